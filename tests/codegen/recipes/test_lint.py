"""One `make lint` of a tree in which every rule is broken, most of them in a service that did not exist yesterday.

It has to tell all of that at once, each with its place and what to write.
"""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.codegen.recipes.written import make

pytestmark = pytest.mark.e2e

NOTE = "services/note"
PROTO = "protos/weft/note/v1/note_service.proto"
Edits = dict[str, str | tuple[str, str]]
"""Text at the end of a file, which may be new, or a text that is replaced by another."""

PURE = "but the domain does no I/O, and neither does what it imports: take the value as an argument, and do the I/O in"
BELOW = "but repositories import no handlers and no workers: move what both need into the noun's domain.py"
FAULTS: dict[str, tuple[Edits, str]] = {
    "a scope that nobody has": (
        {"protos/weft/api/v1/scope.proto": ("  // Reads the partner's notes.", "  // Shares notes.\n  SCOPE_NOTES_SHARE = 89;\n  // Reads the partner's notes.")},
        "protos/weft/api/v1/scope.proto:{}: weft.api.v1.Scope.SCOPE_NOTES_SHARE is held by nobody: write [(held_by) = ",
    ),
    "a misspelt rate, which does not compile": (
        {PROTO: ("rate: RATE_CLASS_READ", "rate: RATE_CLASS_REED")},
        f"{PROTO}:{{}}: RATE_CLASS_REED is not declared: write RATE_CLASS_READ, or add RATE_CLASS_REED to protos/weft/api/v1/policy.proto.",
    ),
    "a text without a bound": (
        {PROTO: ("    (buf.validate.field).string.min_len = 1,\n    (buf.validate.field).string.max_len = 200\n", "    (buf.validate.field).string.min_len = 1\n")},
        f"{PROTO}:{{}}: weft.note.v1.CreateNoteRequest.text has no upper bound: write `(buf.validate.field).string.max_len = 100`.",
    ),
    "201 without a location": (
        {PROTO: ('      owner: "*"\n', '      owner: "*"\n      success: 201\n')},
        f"{PROTO}:{{}}: weft.note.v1.NoteService.WatchNotes succeeds with 201, and no GET of weft.note.v1 that names its resource in "
        "its path returns weft.note.v1.WatchNotesResponse, so that no `location` can be sent: add one, or drop `success`.",
    ),
    "a GET that creates": (
        {},  # that above
        f"{PROTO}:{{}}: weft.note.v1.NoteService.WatchNotes is a GET and succeeds with 201, though it creates nothing: drop `success`.",
    ),
    "metadata that is left out": (
        {f"{NOTE}/late_handlers.py": "from services.note.domain import NoteNotFound\nMISSING = NoteNotFound()\n"},
        f"{NOTE}/late_handlers.py:2: NoteNotFound needs note_id, which its message names: write `note_id=…`.",
    ),
    "a metadata key that is not declared": (
        {f"{NOTE}/handlers.py": ("NoteNotFound(note_id=", "NoteNotFound(title=request.note_id, note_id=")},
        f"{NOTE}/handlers.py:{{}}: NOTE_NOT_FOUND of weft.note.v1 has no metadata key 'title': add it to the `metadata` of its option",
    ),
    "an error that is not declared": (
        {f"{NOTE}/domain.py": "class NoteGone(NotFound): ...\n"},
        f"{NOTE}/domain.py:{{}}: NoteGone is NOTE_GONE of weft.note.v1, which its ErrorReason does not have: add it there",
    ),
    "a query of owned rows without their owner": (
        {f"{NOTE}/repository.py": '_GET_ANY = Query(select(notes).where(notes.c.note_id == bindparam("note_id")))\n'},
        f"{NOTE}/repository.py:{{}}: reads notes without an owner: use a condition of the service's ownership.py, or write `# any owner",
    ),
    "a table that does not say whose it is": (
        {f"{NOTE}/tables.py": 'tags = Table("tags", metadata, Column("partner_id", Text), info=retention.keep("for good"))\n'},
        f'{NOTE}/tables.py:{{}}: tags has a partner_id and no owner: write `"owner": ("partner_id",)` in its info',
    ),
    "a query that names no columns": (
        {f"{NOTE}/repository.py": '_LIST_ALL = "SELECT * FROM notes"\n'},
        f"{NOTE}/repository.py:{{}}: name the columns instead of `SELECT *`",
    ),
    "a row that is read by position": (
        {f"{NOTE}/repository.py": "def _second(row: Row) -> Note:\n    return Note(*row)\n"},
        f"{NOTE}/repository.py:{{}}: reads `*row` by the order of columns, which a new one changes: write `Type(**row._asdict())`",
    ),
    "an owner that is taken apart": (
        {f"{NOTE}/repository.py": "def _of(owner: Owner) -> dict[str, str]:\n    return {**owner._asdict()}\n"},
        f"{NOTE}/repository.py:{{}}: takes owner apart: write `**owner.values`, a property of the owner in ownership.py",
    ),
    "handlers that make a query": (
        {f"{NOTE}/handlers.py": "from chassis.storage import database as db\n_GET = db.Query(\"SELECT 1\")\n"},
        f"{NOTE}/handlers.py:{{}}: makes a query: move it to the noun's repository.py",
    ),
    "a service that imports another": (
        {f"{NOTE}/handlers.py": "def late() -> object:\n    from services.order import messages\n    return messages\n"},
        f"{NOTE}/handlers.py:{{}}: imports services.order.messages; but services reach one another only through clients and "
        "events: call the other service through weft_client",
    ),
    "a service that imports a generator": (
        {f"{NOTE}/one.py": "from codegen import envoy\n"},
        f"{NOTE}/one.py:1: imports codegen.envoy; but services know neither codegen nor deploy: move what a running service needs",
    ),
    "the chassis that imports a service": (
        {"chassis/late.py": "if True:\n    from services.note import tables as t\n"},
        "chassis/late.py:2: imports services.note.tables; but chassis knows no service: let the service pass it in",
    ),
    "the contract that imports the chassis": (
        {"contract/late.py": "from chassis.clock import Clock as C\n"},
        "contract/late.py:1: imports chassis.clock; but contract imports generated code only: read it from the descriptors",
    ),
    "a generator that imports a service": (
        {"codegen/late.py": "import services.note.tables\n"},
        "codegen/late.py:1: imports services.note.tables; but codegen knows no service: read the contract or the syntax tree",
    ),
    "a domain that imports the database": (
        {f"{NOTE}/domain.py": "from chassis.storage import database\n"},
        f"{NOTE}/domain.py:{{}}: imports chassis.storage.database; {PURE}",
    ),
    "a domain that asks the clock": (
        {f"{NOTE}/late_domain.py": "import time\nNOW = time.time()\n"},
        f"{NOTE}/late_domain.py:2: uses time.time, but the domain does no I/O: take the time as an argument.",
    ),
    "a domain that imports what opens connections": (
        {f"{NOTE}/price_domain.py": "from services.note import sender\n", f"{NOTE}/sender.py": "import aiohttp\n", f"{NOTE}/sum_domain.py": "from services.note import price_domain\n"},
        f"{NOTE}/price_domain.py:1: imports services.note.sender, which imports aiohttp ({NOTE}/sender.py:1); {PURE}",
    ),
    "a noun's domain that imports statements": (
        {f"{NOTE}/inks/domain.py": "from services.note.inks import list_statements\n", f"{NOTE}/inks/__init__.py": "", f"{NOTE}/inks/list_statements.py": ""},
        f"{NOTE}/inks/domain.py:1: imports services.note.inks.list_statements; {PURE}",
    ),
    "a repository that imports handlers": (
        {f"{NOTE}/inks/repository.py": "import services.note.handlers as above\n"},
        f"{NOTE}/inks/repository.py:1: imports services.note.handlers; {BELOW}",
    ),
    "handlers that import the database's driver": (
        {f"{NOTE}/inks/pen_handlers.py": "import sqlalchemy as sa\n"},
        f"{NOTE}/inks/pen_handlers.py:1: imports sqlalchemy; but handlers know no database driver: let the repository raise an exception",
    ),
    "a use case that catches the errors of the database": (
        {f"{NOTE}/inks/blotting.py": "from psycopg import errors\n"},
        f"{NOTE}/inks/blotting.py:1: imports psycopg: let the repository raise an exception of the domain",
    ),
    "the client that imports the chassis": (
        {"clients/python/src/weft_client/tls.py": "from chassis.clock import Clock\n"},
        "clients/python/src/weft_client/tls.py:{}: imports chassis.clock; but the client knows nothing else of the repository: it is installed alone",
    ),
    "a part of a repository that imports handlers of a part": (
        {f"{NOTE}/inks/line_repository.py": "from .line_handlers import x\n", f"{NOTE}/inks/line_handlers.py": "x = 1\n"},
        f"{NOTE}/inks/line_repository.py:1: imports services.note.inks.line_handlers; {BELOW}",
    ),
    "statements that import a worker": (
        {f"{NOTE}/inks/dry_statements.py": "from services.note.inks.worker import x as y\n", f"{NOTE}/inks/worker.py": "x = 1\n"},
        f"{NOTE}/inks/dry_statements.py:1: imports services.note.inks.worker; {BELOW}",
    ),
    "modules that import one another": (
        {f"{NOTE}/first.py": "from services.note import other\n", f"{NOTE}/other.py": "from services.note import first\n"},
        f"{NOTE}/(first|other).py:1: imports services.note.(other|first); but no import cycles between the modules of a package, "
        "at any depth: move what both need into a third module",
    ),
    "modules of the client that import one another": (
        {"clients/python/src/weft_client/tls.py": "from weft_client import target\n", "clients/python/src/weft_client/target.py": "from weft_client import tls\n"},
        "clients/python/src/weft_client/(tls|target).py:{}: imports weft_client.(target|tls); but no import cycles",
    ),
    "modules of the bench that import one another": (
        {"bench/machine.py": "from bench import numbers\n", "bench/numbers.py": "from bench import machine\n"},
        "bench/(machine|numbers).py:{}: imports bench.(numbers|machine); but no import cycles",
    ),
    "a folder that is no package": (
        {f"{NOTE}/pens/nib.py": "from services.note import handlers\n"},
        f"{NOTE}/pens/__init__.py:1: is missing, so that no import rule is checked in {NOTE}/pens: write it",
    ),
    "a wrong type": (
        {f"{NOTE}/typed.py": 'x: int = "1"\n'},
        f"{NOTE}/typed.py:1: error: Incompatible types in assignment",
    ),
    "a message that is not generated": (
        {f"{NOTE}/early.py": "from weft.note.v1 import early_pb2\n"},
        "What mypy does not find of weft.… is written by `make gen`: run it.",
    ),
    "a style": ({f"{NOTE}/styled.py": "import os\n"}, f"{NOTE}/styled.py:1:8: F401 "),
    "a format": ({f"{NOTE}/spaced.py": "x  =  1\n"}, f"{NOTE}/spaced.py:1: is not formatted: run `make format`."),
    "a format of a proto": (
        {"protos/weft/note/v1/error_reason.proto": ("  // Not a reason.", "    // Not a reason.")},
        "protos/weft/note/v1/error_reason.proto: is not formatted: run `make format`.",
    ),
    "a proto's style": (
        {PROTO: ("string cursor = 1;", "string Cursor = 1;")},
        f"{PROTO}:{{}}:{{}}:Field name \"Cursor\" should be lower_snake_case",
    ),
    "a container's setting": (
        {"deploy/compose.yaml": ("      WEFT_PEERS:", "      WEFT_PEARS:")},
        "deploy/compose.yaml: edge: WEFT_PEARS is no setting: write one of docs/settings.md, or drop it.",
    ),
}  # fmt: skip


def plant(tree: Path, edits: Edits) -> None:
    for name, edit in edits.items():
        file = tree / name
        text = file.read_text() if file.exists() else ""
        file.parent.mkdir(exist_ok=True)
        assert isinstance(edit, str) or edit[0] in text, (name, edit)
        file.write_text(text + edit if isinstance(edit, str) else text.replace(*edit, 1))


@pytest.fixture(scope="module")
def said(folder: Path, copied: Callable[[Path], Path]) -> str:
    """What one `make lint` says of the tree with all faults."""
    tree = copied(folder / "broken")
    for edits, _ in FAULTS.values():
        plant(tree, edits)
    code, output = make(tree, "lint")
    assert code
    return output


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_rule_is_told_beside_all_others(said: str, fault: str) -> None:
    sentence = re.escape(FAULTS[fault][1]).replace(r"\{\}", r"\d+")
    sentence = re.sub(r"\\\((\w+)\\\|(\w+)\\\)", r"(\1|\2)", sentence)
    assert re.search(rf"^ +{sentence}", said, re.MULTILINE), said


def test_what_imports_a_broken_module_is_not_told_again(said: str) -> None:
    assert f"{NOTE}/sum_domain.py:1: imports" not in said


def test_nothing_is_told_twice(said: str) -> None:
    lines = [line for line in said.splitlines() if line.startswith("  ")]
    assert sorted(set(lines)) == sorted(lines)
    assert "cannot find" not in said
