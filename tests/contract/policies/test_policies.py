"""What holds for every RPC of the contract."""

from pathlib import Path

import pytest

import contract
from contract import Method, checks

CONTRACT = contract.load()
ROUTES = Path(__file__).parents[1] / "routes.txt"
every_method = pytest.mark.parametrize("method", CONTRACT.methods, ids=lambda method: method.full_name)


@every_method
def test_an_rpc_of_the_descriptors_has_a_policy_that_was_read(method: Method) -> None:
    service = CONTRACT.pool.FindServiceByName(method.service)
    assert CONTRACT.by_path[method.path] is method
    assert [m.name for m in service.methods].count(method.name) == 1
    assert method.callers
    assert method.deadline > 0


def test_no_rpc_of_the_descriptors_is_missing() -> None:
    declared = {f"{service.full_name}.{method.name}" for service in CONTRACT.services for method in service.methods}
    assert {method.full_name for method in CONTRACT.methods} == declared


def test_the_contract_passes_every_check() -> None:
    assert checks.faults(CONTRACT) == []


def test_names_and_routes_are_those_of_the_api_design() -> None:
    listed = {}
    for line in ROUTES.read_text().splitlines():
        if line and not line.startswith("#"):
            name, verb, path = line.split()[:3]
            listed[name] = (verb, path)
    for method in CONTRACT.methods:
        assert method.full_name in listed, (
            f"{method.full_name} is not in tests/contract/routes.txt: add it, marked as ours"
        )
        route = ("-", "INTERNAL") if method.route is None else (method.route.verb, method.route.path)
        assert route == listed[method.full_name]
