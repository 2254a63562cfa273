"""A pytest plugin: which worker runs what. The heaviest first, a file on one worker unless it is too heavy for one.

Weights are the seconds of the run before, kept in pytest's cache; without one, those below, and a guess for the rest.
A heavy file is split test by test, unless its tests share something that is expensive to make.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

SPLIT_FROM_S = 45.0
"""A file that takes longer is split test by test."""
DEFAULT_TEST_S = 0.7
"""Of a test of which nothing is known."""
KNOWN_FILE_S = {
    "tests/codegen/recipes/test_new_service.py": 120.0,
    "tests/codegen/recipes/test_recipes.py": 100.0,
    "tests/edge/requests/test_schemathesis.py": 90.0,
    "tests/clients/package/test_wheel.py": 60.0,
    "tests/e2e/lifecycle/test_crash.py": 60.0,
    "tests/e2e/lifecycle/test_stop.py": 60.0,
    "tests/e2e/lifecycle/test_memory.py": 40.0,
    "tests/e2e/lifecycle/test_own_parts.py": 40.0,
    "tests/deploy/supervisor/test_restarter.py": 40.0,
}
_CACHE = "weft/seconds"
_seconds: Counter[str] = Counter()


def weights(config: pytest.Config, nodeids: list[str]) -> dict[str, float]:
    """Seconds by file."""
    counted = Counter(_file(nodeid) for nodeid in nodeids)
    cache = getattr(config, "cache", None)  # pytest may run without
    before: dict[str, float] = cache.get(_CACHE, {}) if cache else {}
    return {file: before.get(file, KNOWN_FILE_S.get(file, count * DEFAULT_TEST_S)) for file, count in counted.items()}


def unit(nodeid: str, seconds: dict[str, float], root: Path) -> str:
    """What a test is handed out with: its file, or itself."""
    file = _file(nodeid)
    if seconds.get(file, 0.0) < SPLIT_FROM_S or 'scope="module"' in (root / file).read_text():
        return file
    return nodeid


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]


class Heaviest(LoadScopeScheduling):
    """Hands units out in the order of the collection, which is sorted by weight."""

    def _split_scope(self, nodeid: str) -> str:
        if not hasattr(self, "_weights"):
            self._weights = weights(self.config, self.collection or [])
        return unit(nodeid, self._weights, self.config.rootpath)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Heaviest:
    """In the place of `--dist`'s own."""
    config.option.loadscopereorder = False
    return Heaviest(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sort by weight, alike in every worker."""
    if hasattr(config, "workerinput"):
        seconds = weights(config, [item.nodeid for item in items])
        items.sort(key=lambda item: -seconds[_file(item.nodeid)])


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Weigh."""
    _seconds[_file(report.nodeid)] += report.duration


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Keep the weights for the next run; what did not run now keeps its own."""
    config, cache = session.config, getattr(session.config, "cache", None)
    if hasattr(config, "workerinput") or cache is None or not getattr(config.option, "numprocesses", None):
        return
    kept = cache.get(_CACHE, {})
    cache.set(_CACHE, {**kept, **{file: round(found, 1) for file, found in _seconds.items()}})
