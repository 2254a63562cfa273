"""The error stage knows what the contract declares, and logs as an error what a handler raises beyond it."""

import re
from datetime import timedelta
from typing import Any

import pytest

from chassis import errors
from chassis.errors import WeftError
from chassis.rpc.call import Call
from tests.chassis.probe import contract as pb
from tests.chassis.probe.service import ITEM, Items, serving, unary
from tests.harness import Harness, reason_of


class ItemNotFound(errors.NotFound):
    """There is no item {item_id}."""

    domain = "weft.lab.v1"


class OutOfStock(errors.FailedPrecondition):
    """Too few are left."""

    domain = "weft.user.v1"


class Failing(Items):
    """Raises the given error."""

    error: WeftError

    async def PeekItem(self, request: Any, call: Call) -> Any:
        raise self.error


async def logged(harness: Harness, capfd: pytest.CaptureFixture[str], error: WeftError) -> list[str]:
    """The error events of a call that answers with `error`; the caller gets it in every case."""
    handlers = Failing()
    handlers.error = error
    async with serving(harness, handlers) as running:
        peek = unary(running, "PeekItem")
        assert await reason_of(peek(pb.GetItemRequest(item_id=ITEM), timeout=10)) == error.reason
    lines = [line for line in capfd.readouterr().out.splitlines() if '"level": "error"' in line]
    return re.findall(r'"event": "(\w+)"', "\n".join(lines))


@pytest.mark.parametrize(
    "error",
    [
        ItemNotFound(item_id="itm_1"),
        errors.EtagMismatch(etag="1"),
        errors.Overloaded(retry_after=timedelta(seconds=1)),
    ],
    ids=lambda error: error.reason,
)
async def test_what_is_declared_logs_nothing(
    harness: Harness, capfd: pytest.CaptureFixture[str], error: WeftError
) -> None:
    assert await logged(harness, capfd, error) == []


@pytest.mark.logs_errors("undeclared_metadata")
async def test_metadata_that_the_reason_does_not_declare_is_logged(
    harness: Harness, capfd: pytest.CaptureFixture[str]
) -> None:
    error = ItemNotFound(item_id="itm_1", shelf="7")
    assert await logged(harness, capfd, error) == ["undeclared_metadata"]


@pytest.mark.logs_errors("undeclared_retry")
async def test_a_retry_that_the_reason_does_not_declare_is_logged(
    harness: Harness, capfd: pytest.CaptureFixture[str]
) -> None:
    error = ItemNotFound(item_id="itm_1", retry_after=timedelta(seconds=1))
    assert await logged(harness, capfd, error) == ["undeclared_retry"]


@pytest.mark.logs_errors("undeclared_reason")
async def test_a_reason_that_the_rpc_does_not_declare_is_logged(
    harness: Harness, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errors, "observer", None)  # the run would fail, too
    assert await logged(harness, capfd, OutOfStock()) == ["undeclared_reason"]
