"""The recipes of CONTRIBUTING, followed in a copy of the tree: what has to be edited, and which rules hold by themselves."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from codegen import check_gen
from tests.codegen.recipes.written import add_rpc

ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.e2e

CHECK = (sys.executable, "-m", "codegen.check")
IMPORTS = (str(Path(sys.executable).with_name("lint-imports")), "--no-cache")

HANDLERS = "services/note/handlers.py"
PROTO = "protos/weft/note/v1/note_service.proto"
FAULTS = {
    "a service that imports another": (
        IMPORTS,
        {HANDLERS: "from services.order import messages\n"},
        "services reach one another only through clients and events",
    ),
    "a service that imports a generator": (
        IMPORTS,
        {HANDLERS: "from codegen import envoy\n"},
        "services know neither codegen nor deploy",
    ),
    "a domain that imports the database": (
        IMPORTS,
        {"services/note/domain.py": "from chassis.storage import database\n"},
        "the domain does no I/O, and neither does what it imports",
    ),
    "a domain that imports what opens connections": (
        IMPORTS,
        {
            "services/note/domain.py": "from services.note import sender\n",
            "services/note/sender.py": "import aiohttp\n",
        },
        "the domain does no I/O, and neither does what it imports",
    ),
    "a noun's domain that imports handlers": (
        IMPORTS,
        {
            "services/note/notes/domain.py": "from services.note import handlers\n",
            "services/note/notes/__init__.py": "",
        },
        "the domain does no I/O, and neither does what it imports",
    ),
    "a repository that imports handlers": (
        IMPORTS,
        {
            "services/note/drafts/repository.py": "from services.note import handlers\n",
            "services/note/drafts/__init__.py": "",
        },
        "repositories import no handlers and no workers",
    ),
    "modules that import one another": (
        IMPORTS,
        {
            "services/note/one.py": "from services.note import other\n",
            "services/note/other.py": "from services.note import one\n",
        },
        "no import cycles between the modules of a package, at any depth",
    ),
    "a query that names no columns": (
        CHECK,
        {HANDLERS: 'QUERY = "SELECT * FROM notes"\n'},
        "name the columns instead of `SELECT *`",
    ),
    "handlers that make a query": (
        CHECK,
        {HANDLERS: '_GET = Query("SELECT title FROM notes WHERE note_id = %(id)s AND owner = %(owner)s")\n'},
        "makes a query: move it to the noun's repository.py",
    ),
    "a query of owned rows without their owner": (
        CHECK,
        {
            "services/note/repository.py": '_GET_ANY = Query(select(notes).where(notes.c.note_id == bindparam("note_id")))\n'
        },
        "reads notes without an owner",
    ),
    "a text without a bound": (
        CHECK,
        {
            PROTO: (
                "    (buf.validate.field).string.min_len = 1,\n    (buf.validate.field).string.max_len = 200\n",
                "    (buf.validate.field).string.min_len = 1\n",
            )
        },
        "max_len",
    ),
}


def environment(tree: Path) -> dict[str, str]:
    """That of commands in the tree, without what a test run passes on to its own processes."""
    own = ("WEFT_RECORD_REASONS", "WEFT_TEST_MESH", "PYTEST_")
    return {name: value for name, value in check_gen.environment(tree).items() if not name.startswith(own)}


def run(tree: Path, *command: str) -> tuple[int, str]:
    """Exit code and output of a command in the tree."""
    done = subprocess.run(command, cwd=tree, env=environment(tree), capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def tree(folder: Path, copied: Callable[[Path], Path]) -> Path:
    """A copy of the repository with the new service in it, generated."""
    return copied(folder / "recipes")


@contextmanager
def edited(tree: Path, edits: dict[str, str | tuple[str, str]]) -> Iterator[None]:
    """The tree with text at the end of files, which may be new, or with a text that is replaced by another."""
    before = {name: (tree / name).read_text() if (tree / name).exists() else None for name in edits}
    try:
        for name, edit in edits.items():
            (tree / name).parent.mkdir(exist_ok=True)
            (tree / name).write_text(_applied(before[name] or "", edit))
        yield
    finally:
        for name, text in before.items():
            (tree / name).unlink() if text is None else (tree / name).write_text(text)


def _applied(text: str, edit: str | tuple[str, str]) -> str:
    if isinstance(edit, str):
        return text + edit
    assert text.count(edit[0]) == 1
    return text.replace(*edit)


def test_make_lint_runs_these_commands() -> None:
    planned = subprocess.run(
        ["make", "-n", "-o", ".venv/ready", "lint"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert "-m codegen.check" in planned
    assert "lint-imports --no-cache" in planned


@pytest.mark.parametrize("command", [CHECK, IMPORTS], ids=["contract", "imports"])
def test_the_new_service_is_under_the_rules_and_keeps_them(tree: Path, command: tuple[str, ...]) -> None:
    code, output = run(tree, *command)
    assert code == 0, output


@pytest.mark.parametrize("fault", FAULTS)
def test_the_new_service_is_refused_where_it_breaks_a_rule(tree: Path, fault: str) -> None:
    command, edits, sentence = FAULTS[fault]
    with edited(tree, edits):
        code, output = run(tree, *command)
    assert code == 1
    assert sentence in output
    assert command != IMPORTS or re.findall(r"(.+?)\s*BROKEN", output) == [sentence]


def test_an_rpc_needs_its_proto_its_handler_its_test_and_a_line_of_the_routes(tree: Path) -> None:
    """All that knows the contract by heart, and a call of the new RPC, in the copy: nothing else was edited."""
    written = add_rpc(tree)
    check_gen.generate(tree)
    for command in (CHECK, IMPORTS):
        assert run(tree, *command)[0] == 0
    tests = (
        "tests/chassis/rpc", "tests/chassis/test_error_details.py", "tests/clients/package/test_surface.py",
        "tests/contract/policies/test_policies.py", "tests/contract/sizes/test_sizes.py", "tests/codegen/test_openapi.py",
        written,
    )  # fmt: skip
    code, output = run(tree, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests)
    assert code == 0, output[-6000:]
