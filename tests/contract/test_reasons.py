"""The plugin that compares recorded error reasons with the contract."""

from pathlib import Path

import contract
from tests.plugins import reasons

CONTRACT = contract.load()
GET = "weft.order.v1.OrderService.GetOrder"


def test_a_declared_reason_and_those_of_the_chassis_are_fine() -> None:
    assert reasons.undeclared(CONTRACT, {(GET, "ORDER_NOT_FOUND"), (GET, "RATE_LIMITED")}) == []


def test_an_undeclared_reason_is_told_with_its_method() -> None:
    assert reasons.undeclared(CONTRACT, {(GET, "OUT_OF_STOCK")}) == [
        "weft.order.v1.OrderService.GetOrder answered OUT_OF_STOCK, which its policy does not declare under `errors`"
    ]


def test_methods_of_tests_own_contracts_are_left_alone() -> None:
    assert reasons.undeclared(CONTRACT, {("weft.lab.v1.LabService.Try", "ANYTHING")}) == []


def test_what_no_test_provokes_is_told() -> None:
    declared = {(method.full_name, reason.name) for method in CONTRACT.methods for reason in method.errors}
    declared |= {(method.full_name, action) for method in CONTRACT.methods for action in method.audit}
    assert reasons.unprovoked(CONTRACT, declared) == []
    assert reasons.unprovoked(CONTRACT, declared - {(GET, "ORDER_NOT_FOUND")}) == [
        "weft.order.v1.OrderService.GetOrder declares ORDER_NOT_FOUND, which no test provokes"
    ]
    assert reasons.unprovoked(
        CONTRACT, declared - {("weft.user.v1.PartnerService.SuspendPartner", "partner.suspended")}
    ) == ["weft.user.v1.PartnerService.SuspendPartner declares partner.suspended, which no test provokes"]


def test_a_line_that_a_killed_process_left_is_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "reasons.txt"
    file.write_text(f"{GET} ORDER_NOT_FOUND\n{GET}")
    assert reasons.recorded(file) == {(GET, "ORDER_NOT_FOUND")}
