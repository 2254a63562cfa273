"""The shape of the tree: folders that can be read at one look, and packages that say what they are."""

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from itertools import groupby
from pathlib import Path

import pytest

from deploy.local.options import ROOT

MAX_MODULES = 12
MAX_LINES = 300
FOLDERS = ("bench", "chassis", "codegen", "contract", "deploy", "services", "tests", "clients/python/src")
MODULES = sorted(
    path
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*.py")
    if not {"generated", "versions", "node_modules"} & set(path.parts)
)
PACKAGES = [path for path in MODULES if path.name == "__init__.py"]


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_no_folder_has_more_than_twelve_modules() -> None:
    modules = [path for path in MODULES if path.name != "__init__.py"]
    counted = {relative(folder): len(list(found)) for folder, found in groupby(modules, key=lambda path: path.parent)}
    assert {folder: count for folder, count in counted.items() if count > MAX_MODULES} == {}


def test_no_module_of_the_tests_has_more_than_three_hundred_lines() -> None:
    tests = [path for path in MODULES if ROOT / "tests" in path.parents]
    lines = {relative(path): len(path.read_text().splitlines()) for path in tests}
    assert {path: count for path, count in lines.items() if count > MAX_LINES} == {}, "split it by noun"


@pytest.mark.parametrize("package", PACKAGES, ids=relative)
def test_a_package_says_what_it_is(package: Path) -> None:
    docstring = ast.get_docstring(ast.parse(package.read_text()))
    assert docstring is not None, f"{relative(package)}: write one line that says what the package is"


@pytest.mark.parametrize("module", [path for path in MODULES if "chassis" in path.parts], ids=relative)
def test_the_chassis_and_its_tests_import_no_contract_of_a_service(module: Path) -> None:
    services = "|".join(folder.name for folder in (ROOT / "services").iterdir() if (folder / "__main__.py").exists())
    assert re.findall(rf"^(?:from|import) weft\.(?:{services})\b.*", module.read_text(), re.MULTILINE) == []


REPOSITORIES = [path for path in MODULES if ROOT / "services" in path.parents and path.name.endswith("repository.py")]
VERBS = ["get", "list", "lock", "insert", "update", "delete"]
SYNONYMS = {
    **dict.fromkeys(("fetch", "load"), "get or list"),
    **dict.fromkeys(("create", "put", "save", "store"), "insert, upsert or update"),
    **dict.fromkeys(("forget", "remove"), "delete"),
}
PROTOCOL = re.compile(r"\bWITH\b|\bunnest\b|\bLATERAL\b|\bEXISTS\b|\bARRAY\(|\bpg_\w+\(|\bxid8?\b|\bctid\b|\bjsonb_")


def methods(repository: Path) -> Iterator[tuple[str, list[str]]]:
    """The methods of a repository, each with the names of its arguments."""
    for node in ast.walk(ast.parse(repository.read_text())):
        if isinstance(node, ast.AsyncFunctionDef):
            yield node.name, [argument.arg for argument in node.args.args]


@pytest.mark.parametrize("repository", REPOSITORIES, ids=relative)
def test_repositories_are_alike(repository: Path) -> None:
    """See "Folders read alike" in CONTRIBUTING: the owner comes first, and a page is `limit, after, filters`."""
    things: dict[str, list[str]] = {}  # the verbs of each: `list_clients` and `lock_client` are about one
    for method, _ in methods(repository):
        verb, _, thing = method.partition("_")
        if verb in VERBS:
            things.setdefault(thing.removesuffix("s"), []).append(verb)
    for thing, found in things.items():
        assert found == sorted(found, key=VERBS.index), f"{thing}: the methods are in the order {VERBS}"
    for method, arguments in methods(repository):
        verb = SYNONYMS.get(method.partition("_")[0])
        assert verb is None, f"{method}: the verb of repositories is {verb}"
        assert "caller" not in arguments or method == "require", f"{method}: take the owner, not the caller"
        if "owner" in arguments:
            assert arguments.index("owner") == ("tx" in arguments) + 1, f"{method}: the owner comes first"
        if {"limit", "after"} <= {*arguments}:
            rest = arguments[arguments.index("limit") :]
            assert rest[:2] == ["limit", "after"] and rest[2:] in ([], ["filters"]), f"{method}: limit, after, filters"
    assert not re.findall(r"\bafter or\b|\bif after\b", repository.read_text()), (
        "a page begins after `NEWEST` or `OLDEST`"
    )


@pytest.mark.parametrize("repository", REPOSITORIES, ids=relative)
def test_sql_is_text_only_where_one_statement_is_a_protocol(repository: Path) -> None:
    """See docs/decisions: what SQLAlchemy Core says as well is said in it."""
    names = vars(import_module(relative(repository).removesuffix(".py").replace("/", ".")))
    for call in ast.walk(ast.parse(repository.read_text())):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Query":
            parts = list(ast.walk(call.args[0]))
            text = " ".join(
                part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)
            )
            used = " ".join(str(names.get(part.id)) for part in parts if isinstance(part, ast.Name))
            if re.search(r"\b(?:SELECT|INSERT|UPDATE|DELETE|WHERE)\b", text):
                assert PROTOCOL.search(f"{text} {used}"), f"line {call.lineno}: write it in SQLAlchemy Core"


@pytest.mark.parametrize("test", [path for path in MODULES if path.name.startswith("test_")], ids=relative)
def test_what_tests_share_is_in_no_test(test: Path) -> None:
    found = re.findall(r"^from tests\.[\w.]*\.test_\w+ import .*", test.read_text(), re.MULTILINE)
    assert found == [], "move it into the noun's calls.py, which both import"


JUDGED_ELSEWHERE = (
    "tests/clients",
    "tests/contract/sizes",
    "tests/codegen",
    "tests/edge/protocols.py",
    "tests/harness.py",
)
"""These judge the errors of a client, of the validator or of another tree, or are the helpers themselves."""
DIALECTS = {
    "the fields that a refusal names are given to `assert_refused` or `assert_refusal`: `violations={field: words}`": (
        r"assert\b[^\n]*(?<!\.value)\.violations\b",
        r"assert_refus(?:ed|al)\([^\n]*, (?:violations=)?\[",
        r"fieldViolations",
    ),
    "a refusal is judged by `assert_refused` or `assert_refusal`, which know the code and the status of its reason": (
        r"assert (?:\w+\.)?(?:refusal|of_call|of_response)\([^\n]*\)\.",
        r"assert [^\n]*\b(?:caught|raised)\.value\.code\(\)(?! is grpc\.StatusCode\.DEADLINE_EXCEEDED)",
        r"\[\"details\"\]\[0\]",
    ),
    "`await reason_of(call)` says why a call was refused; it is empty where it was answered": (
        r"except grpc\.(?:aio\.Aio)?RpcError as \w+:\n +return (?:\w+\()?refusal\(\w+\)\.reason",
    ),
}
"""The ways in which tests once judged refusals, by what to write instead."""


@pytest.mark.parametrize("sentence", DIALECTS)
def test_a_refusal_is_judged_in_one_way(sentence: str) -> None:
    tests = [path for path in MODULES if relative(path).startswith("tests/") and path != Path(__file__)]
    assert [
        f"{relative(path)}:{text.count(chr(10), 0, found.start()) + 1}: {found[0]}"
        for path in tests
        if not relative(path).startswith(JUDGED_ELSEWHERE)
        for text in [path.read_text()]
        for pattern in DIALECTS[sentence]
        for found in re.finditer(pattern, text)
    ] == [], sentence


def test_etags_are_made_in_one_place() -> None:
    """So that they have one form on the wire."""
    made = [
        (relative(module), line)
        for module in MODULES
        if ROOT / "services" in module.parents
        for line in re.findall(r"\betag=.*|def etag[\s\S]*?return .*", module.read_text())
        if not re.search(r"etag=(?:etags\.of\(|\w+(?:\.\w+)*\.etag\b)|return etags\.of\(", line)
    ]
    assert made == []
