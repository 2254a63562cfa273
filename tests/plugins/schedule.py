"""A pytest plugin: which worker runs what. The heaviest first, a file on one worker unless it is too heavy for one.

Weights are the seconds of the run before, kept in pytest's cache; without one, those below, and a guess for the rest.
A heavy file is split test by test, unless its tests share something that is expensive to make.
"""

from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

SPLIT_FROM_S = 45.0
"""A file that takes longer is split test by test."""
DEFAULT_TEST_S = 0.3
"""Of a test of which nothing is known."""
KNOWN_FILE_S = {
    "tests/edge/requests/test_schemathesis.py": 90.0,
    "tests/e2e/lifecycle/test_crash.py": 60.0,
    "tests/e2e/lifecycle/test_commands.py": 40.0,
    "tests/codegen/recipes/test_recipes.py": 24.0,
    "tests/codegen/recipes/test_lint.py": 12.0,
    "tests/e2e/test_keys.py": 30.0,
    "tests/codegen/test_checks.py": 11.0,
    "tests/codegen/recipes/test_new_service.py": 25.0,
    "tests/e2e/lifecycle/test_stop.py": 25.0,
    "tests/edge/limits/test_callers.py": 22.0,
    "tests/order/orders/test_locks.py": 22.0,
    "tests/contract/ownership/test_ownership.py": 20.0,
    "tests/e2e/lifecycle/test_hard_surroundings.py": 20.0,
    "tests/e2e/lifecycle/test_own_parts.py": 19.0,
    "tests/notification/webhooks/test_sending.py": 18.0,
    "tests/clients/package/test_wheel.py": 14.0,
    "tests/deploy/components/test_external.py": 14.0,
    "tests/edge/test_mesh.py": 14.0,
    "tests/notification/deliveries/test_deliveries.py": 14.0,
    "tests/user/revocations/test_revocations.py": 14.0,
    "tests/edge/test_routes.py": 13.0,
    "tests/user/sessions/test_sign_in.py": 13.0,
    "tests/edge/replies/test_errors.py": 12.0,
    "tests/user/totp/test_sign_in.py": 12.0,
    "tests/edge/test_tls.py": 11.0,
    "tests/bench/test_peers.py": 18.0,
    "tests/chassis/queues/test_worker.py": 5.0,
    "tests/chassis/queues/test_overruns.py": 5.0,
    "tests/e2e/lifecycle/test_memory.py": 10.0,
    "tests/user/consents/test_grants.py": 10.0,
    "tests/user/erasure/test_erasure.py": 10.0,
    "tests/user/oauth/test_oauth.py": 10.0,
    "tests/deploy/components/test_postgres.py": 9.0,
    "tests/edge/requests/test_sizes.py": 9.0,
    "tests/notification/deliveries/test_recipients.py": 8.0,
    "tests/deploy/components/test_databases.py": 7.0,
    "tests/deploy/supervisor/test_restarter.py": 7.0,
    "tests/edge/limits/test_resilience.py": 7.0,
    "tests/order/test_keys.py": 7.0,
    "tests/e2e/persons/test_accounts.py": 6.0,
    "tests/e2e/persons/test_canaries.py": 6.0,
    "tests/notification/requests/test_sending.py": 6.0,
    "tests/order/exports/test_exports.py": 6.0,
    "tests/order/test_crashes.py": 6.0,
    "tests/codegen/test_derivation.py": 5.0,
    "tests/contract/sizes/test_largest_calls.py": 5.0,
    "tests/chassis/test_commands.py": 4.0,
    "tests/notification/test_queues.py": 4.0,
    "tests/order/model/test_model.py": 4.0,
    # Many, and each is nothing.
    "tests/contract/sizes/test_largest_requests.py": 3.0,
    "tests/codegen/test_openapi.py": 3.0,
    "tests/chassis/test_error_details.py": 2.0,
    "tests/clients/package/test_surface.py": 2.0,
    "tests/test_documents.py": 2.0,
    "tests/test_tree.py": 1.0,
    "tests/contract/sizes/test_sizes.py": 2.0,
    "tests/contract/policies/test_policies.py": 1.0,
    "tests/clients/calls/test_errors.py": 1.0,
    "tests/order/schema/test_plans.py": 4.0,
    "tests/notification/webhooks/test_targets.py": 3.0,
}
OWN_MESH = "own mesh"
"""What every file that breaks a mesh is handed out with: a start of one costs ten seconds of a core."""
_CACHE = "weft/seconds"
_seconds: Counter[str] = Counter()


def weights(config: pytest.Config, nodeids: list[str]) -> dict[str, float]:
    """Seconds by file."""
    counted = Counter(_file(nodeid) for nodeid in nodeids)
    cache = getattr(config, "cache", None)  # pytest may run without
    before: dict[str, float] = cache.get(_CACHE, {}) if cache else {}
    return {file: before.get(file, KNOWN_FILE_S.get(file, count * DEFAULT_TEST_S)) for file, count in counted.items()}


def unit(nodeid: str, seconds: dict[str, float], root: Path) -> str:
    """What a test is handed out with: its file, itself, or all that break a mesh."""
    file = _file(nodeid)
    text = _text(root / file)
    if "own_mesh" in text:
        return OWN_MESH
    if seconds.get(file, 0.0) < SPLIT_FROM_S or 'scope="module"' in text:
        return file
    return nodeid


@cache
def _text(file: Path) -> str:
    return file.read_text()


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
