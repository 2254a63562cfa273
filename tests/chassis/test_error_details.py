"""Answers fit: message, details and headers of any error together stay below 4 KB, and say what was left out."""

import base64
import importlib
import pkgutil
import re
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import quote

import grpc
import pytest
from google.rpc import error_details_pb2

import contract
import services
from chassis import errors
from chassis.errors import WeftError
from chassis.rpc.response import MAX_HEADER_BYTES, _sendable
from tests.chassis.probe import contract as pb
from tests.chassis.probe.service import USER, Items, serving, unary
from tests.harness import Harness, assert_refused

MAX_TRAILER_BYTES = 4096
CONTRACT = contract.load()


def kinds() -> Iterator[type[WeftError]]:
    """Every error class of every service that has a reason of the contract."""
    for module in pkgutil.walk_packages(services.__path__, "services."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    waiting = [WeftError]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if (kind.domain, kind.reason) in CONTRACT.reasons:
            yield kind


def sent(error: WeftError) -> int:
    """The bytes of an error's trailers as HTTP/2 counts them."""
    status = error.status("r" * 64)
    trailers = {
        "grpc-status": "3",
        "grpc-message": quote(status.message, safe=" !\"#$&'()*+,/:;<=>?@[\\]^`{|}~"),
        "grpc-status-details-bin": base64.b64encode(status.SerializeToString()).decode(),
        ":status": "200",
        "content-type": "application/grpc",
    }
    return sum(len(name) + len(value) + 32 for name, value in trailers.items())


@pytest.mark.parametrize("kind", sorted(kinds(), key=lambda k: (k.domain, k.reason)), ids=lambda k: k.reason)
@pytest.mark.parametrize("letter", ["x", "😀", "%", "\ud800"])
def test_the_worst_error_of_every_kind_fits(kind: type[WeftError], letter: str) -> None:
    keys = re.findall(r"{(\w+)}", kind.__doc__ or "") or ["one", "two", "three"]
    metadata = dict.fromkeys(keys, letter * 5_000)
    violations = [(letter * 500, letter * 2_000)] * 1_000
    error = kind(retry_after=timedelta(days=1), violations=violations, left_out=10**6, **metadata)
    assert sent(error) < MAX_TRAILER_BYTES


def test_what_fits_is_told_in_full() -> None:
    violations = [(f"lines[{n}].product_id", "must be an id: `prd_` and 26 characters") for n in range(20)]
    status = errors.RequestInvalid(violations=violations).status("r")
    bad = error_details_pb2.BadRequest()
    assert [detail.Unpack(bad) for detail in status.details] == [False, True, False]
    assert [(v.field, v.description) for v in bad.field_violations] == violations
    assert status.message == "The request is not valid; see the field violations."


def test_what_is_left_out_is_counted() -> None:
    status = errors.RequestInvalid(violations=[("a", "b")] * 300).status("r")
    assert status.message == "The request is not valid; see the field violations, and 280 more."


@pytest.mark.logs_errors("header_dropped")
def test_headers_that_would_end_the_call_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    method = CONTRACT.methods[0]
    good = ("location", "/v1/orders/ord_1")
    headers = [good, ("x-long", "x" * MAX_HEADER_BYTES), ("x-foreign", "é"), ("x-lines", "a\nb")]
    assert _sendable(headers, method) == (good,)
    many = _sendable([(f"x-{n}", "v" * 100) for n in range(1_000)], method)
    assert sum(len(name) + len(value) + 32 for name, value in many) <= MAX_HEADER_BYTES


async def test_a_hundred_invalid_parts_reach_the_caller_as_violations(harness: Harness) -> None:
    headers = (("authorization", harness.issuer.operator(USER, "products.write")),)
    async with serving(harness, Items()) as probe:
        create = unary(probe, "CreateItem")
        with pytest.raises(grpc.RpcError) as caught:
            await create(pb.CreateItemRequest(title="Tea", parts=[pb.Part()] * 100), metadata=headers)
        assert caught.value.details() == "The request is not valid; see the field violations, and 180 more."
        with pytest.raises(grpc.RpcError) as caught:
            await create(pb.CreateItemRequest(parts=[pb.Part()] * 10_000), metadata=headers)
        assert b"must have at most 100 items" in dict(caught.value.trailing_metadata())["grpc-status-details-bin"]


@pytest.mark.parametrize(("data", "reason"), [(b"\xff\xff", "MESSAGE_MALFORMED"), (b"\xff" * 6_000, "BODY_TOO_LARGE")])
async def test_bytes_that_are_no_message_are_malformed_in_our_shape(harness: Harness, data: bytes, reason: str) -> None:
    async with serving(harness, Items()) as probe:
        found = await assert_refused(probe.channel.unary_unary(f"/{pb.SERVICE}/PeekItem")(data), reason)
        assert found.code is grpc.StatusCode.INVALID_ARGUMENT
