"""Which worker runs what."""

from pathlib import Path

from deploy.local.options import ROOT
from tests.plugins.schedule import DEFAULT_TEST_S, KNOWN_FILE_S, OWN_MESH, SPLIT_FROM_S, unit, weights


def test_a_heavy_file_is_split_and_one_whose_tests_share_something_is_not(tmp_path: Path) -> None:
    (tmp_path / "free.py").write_text("def test_a(): ...")
    (tmp_path / "shared.py").write_text('@pytest.fixture(scope="module")')
    (tmp_path / "light.py").touch()
    (tmp_path / "breaking.py").write_text("def test_a(own_mesh): ...")
    seconds = {"free.py": SPLIT_FROM_S, "shared.py": SPLIT_FROM_S, "light.py": SPLIT_FROM_S - 1}
    assert unit("free.py::test_a", seconds, tmp_path) == "free.py::test_a"
    assert unit("shared.py::test_a", seconds, tmp_path) == "shared.py"
    assert unit("light.py::test_a[x::y]", seconds, tmp_path) == "light.py"
    assert unit("breaking.py::test_a", seconds, tmp_path) == OWN_MESH


def test_weights_are_those_of_the_run_before_or_known_or_guessed() -> None:
    class Cached:
        cache: dict[str, dict[str, float]] = {"weft/seconds": {"a.py": 9.0}}  # noqa: RUF012

    known = next(iter(KNOWN_FILE_S))
    found = weights(Cached(), ["a.py::one", "b.py::one", "b.py::two", f"{known}::one"])  # type: ignore[arg-type]
    assert found == {"a.py": 9.0, "b.py": 2 * DEFAULT_TEST_S, known: KNOWN_FILE_S[known]}


def test_every_file_that_is_known_to_be_heavy_is_there() -> None:
    assert [file for file in KNOWN_FILE_S if not (ROOT / file).exists()] == []
