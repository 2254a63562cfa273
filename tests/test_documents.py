"""What the documents say of the tree is there: links, paths, numbers of decisions."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DECISIONS = ROOT / "docs" / "decisions"
SETTINGS = (ROOT / "chassis" / "settings.py", ROOT / "codegen" / "edge_settings.py")
NUMBERED = sorted(DECISIONS.glob("[0-9]*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FOLDERS = ("bench", "chassis", "clients", "codegen", "contract", "deploy", "docs", "gen", "protos", "services", "tests")
NOT_THERE = {
    "tests/note/ownership_world.py",
    "bench/results/",
    "docs/decisions/NNNN-title.md",
    "protos/weft/note/v1/note_service.proto",
    "services/note/",
}
"""What is made by a command, and what a recipe asks the reader to make."""
TERMS = (
    "authentication", "authorization", "circuit breaker", "dead letter", "deadline", "idempotency", "interceptor",
    "outbox", "pagination", "rate limit", "retry",
)  # fmt: skip

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
every_decision = pytest.mark.parametrize("decision", NUMBERED, ids=lambda decision: decision.stem)


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())
    assert [t for t in targets if "://" not in t and not (page.parent / t).exists()] == []


@every_page
def test_the_paths_that_a_page_names_exist(page: Path) -> None:
    named = re.findall(rf"`((?:{'|'.join(FOLDERS)})/[\w./-]*)`", page.read_text())
    assert [path for path in named if path not in NOT_THERE and not (ROOT / path).exists()] == []


def test_the_constants_that_the_pages_name_are_those_of_the_code() -> None:
    """Error reasons, states, options of the contract; a setting is the upper-case name of a field."""
    named = {name for page in PAGES for name in re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", page.read_text())}
    known = set(_grep(r"[A-Z]+(_[A-Z]+)+", "chassis", "clients", "codegen", "deploy", "protos", "services", "tests"))
    declared = "".join(path.read_text() for path in SETTINGS)
    settings = {f"WEFT_{name.upper()}" for name in re.findall(r"^    (\w+):", declared, re.MULTILINE)}
    compose = set(re.findall(r"\$\{(\w+)", (ROOT / "deploy" / "compose.yaml").read_text()))
    assert named - known - settings - compose == set()


@every_decision
def test_a_decision_has_the_one_format(decision: Path) -> None:
    text = decision.read_text()
    assert text.startswith(f"# {decision.name[:4]}. ")
    assert re.findall(r"^\*\*(\w+)\.\*\*", text, re.MULTILINE) == [
        "Context",
        "Decision",
        "Consequences",
        "Alternatives",
    ]


def test_decisions_are_numbered_without_gaps() -> None:
    assert [d.name[:4] for d in NUMBERED] == [f"{number:04}" for number in range(1, len(NUMBERED) + 1)]


def test_the_index_lists_every_decision_by_its_title() -> None:
    listed = re.findall(r"^\| \[(\d{4})\]\((.+?)\) \| (.+?)(?: \(replaced by \d{4}\))? \|$", _index(), re.MULTILINE)
    titles = [re.match(r"# \d{4}\. (.+)", d.read_text()) for d in NUMBERED]
    assert listed == [(d.name[:4], d.name, title[1]) for d, title in zip(NUMBERED, titles, strict=True) if title]


def test_references_to_decisions_are_to_one_that_exists() -> None:
    found = _grep(r"decisions?[ /][0-9]{4}(( and |, )[0-9]{4})*", ".", ":!gen")
    assert set(re.findall(r"[0-9]{4}", " ".join(found))) - {d.name[:4] for d in NUMBERED} == set()


def test_the_glossary_has_the_standard_terms() -> None:
    glossary = (ROOT / "docs" / "glossary.md").read_text()
    assert [term for term in TERMS if term not in glossary] == []


def _grep(pattern: str, *paths: str) -> list[str]:
    """What matches in the tracked files, as they are now."""
    command = ["git", "grep", "-IhoE", pattern, "--", *paths]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()


def _index() -> str:
    return (DECISIONS / "README.md").read_text()
