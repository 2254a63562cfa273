"""What a call takes over from the work that makes it: deadline, caller, request id, trace."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
import weft_internal.methods
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags
from weft.order.v1 import order_pb2, order_service_pb2
from weft.user.v1 import user_service_pb2
from weft_client import Retries, context, errors, testing
from weft_client.calls import telemetry
from weft_internal import InternalWeft


@pytest.fixture
def internal() -> Iterator[testing.Fakes]:
    """The internal calls' fakes."""
    with testing.Fakes(known=weft_internal.methods.BY_NAME) as served:
        served.reply("users.batch_get_users", user_service_pb2.BatchGetUsersResponse())
        yield served


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """Where the client's spans go."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(telemetry, "_tracer", provider.get_tracer("weft_client"))
    return exporter


def _only(exporter: InMemorySpanExporter) -> ReadableSpan:
    (span,) = exporter.get_finished_spans()
    return span


async def test_an_internal_call_bears_the_caller_s_token_and_request_id(internal: testing.Fakes) -> None:
    tokens = context.authorization.set("Bearer of-the-caller"), context.request_id.set("of-the-request")
    try:
        async with InternalWeft({"user": [internal.address]}) as weft:
            await weft.users.batch_get_users(user_ids=["usr_1"])
    finally:
        context.authorization.reset(tokens[0])
        context.request_id.reset(tokens[1])
    (received,) = internal.calls("users.batch_get_users")
    assert received.metadata["authorization"] == "Bearer of-the-caller"
    assert received.metadata["x-request-id"] == "of-the-request"


async def test_a_service_without_an_address_is_named(internal: testing.Fakes) -> None:
    async with InternalWeft({}) as weft:
        with pytest.raises(ValueError, match="No address of the user service is known"):
            await weft.users.batch_get_users(user_ids=["usr_1"])


async def test_no_call_outlasts_the_work_it_belongs_to(connect: Any, fakes: testing.Fakes) -> None:
    fakes.reply("orders.get_order", order_pb2.Order())
    fakes.reply("orders.list_orders", order_service_pb2.ListOrdersResponse())
    fakes.delay("orders.get_order", 10)
    token = context.deadline.set(time.monotonic() + 0.3)
    try:
        client = connect(fakes.address)
        with pytest.raises(errors.DeadlineExceeded):
            await client.call("orders.get_order", order_id="ord_1", timeout=60)
        with pytest.raises(errors.DeadlineExceeded) as raised:
            await client.call("orders.get_order", order_id="ord_1")
        assert raised.value.attempts == 0
        # A caller who is in a hurry, however often, does not open the breaker for others.
        fakes.delay("orders.get_order", 10, times=6)
        for _ in range(6):
            context.deadline.set(time.monotonic() + 0.02)
            with pytest.raises(errors.DeadlineExceeded):
                await client.call("orders.get_order", order_id="ord_1")
    finally:
        context.deadline.reset(token)
    # Another RPC: where a call ended before it was sent, its delay still waits for the next one.
    assert await client.items("orders.list_orders") == []


async def test_a_call_is_a_span_under_the_current_one_and_its_context_travels(
    fakes: testing.Fakes, spans: InMemorySpanExporter
) -> None:
    fakes.reply("orders.get_order", order_pb2.Order())
    fakes.fail("orders.get_order", errors.Unavailable("restarting"))
    outer = TracerProvider().get_tracer("test").start_span("outer")
    async with fakes.async_weft(retries=Retries(first_pause_s=0.01)) as weft:
        with trace.use_span(outer):
            await weft.orders.get_order(order_id="ord_1")
    span = _only(spans)
    assert (span.name, span.kind) == ("weft.order.v1.OrderService/GetOrder", SpanKind.CLIENT)
    assert span.parent == outer.get_span_context()
    assert span.attributes == {
        "rpc.system.name": "grpc",
        "rpc.method": "weft.order.v1.OrderService/GetOrder",
        "rpc.response.status_code": "OK",
        "weft.attempts": 2,
    }
    assert [event.name for event in span.events] == ["retry"]
    own = span.context
    assert own is not None
    for received in fakes.calls("orders.get_order"):
        assert received.metadata["traceparent"] == f"00-{own.trace_id:032x}-{own.span_id:016x}-{own.trace_flags:02x}"


async def test_a_failed_call_s_span_says_why_and_holds_no_secret(
    fakes: testing.Fakes, spans: InMemorySpanExporter
) -> None:
    fakes.fail("auth.sign_in", errors.CredentialsInvalid("no"))
    async with fakes.async_weft() as weft:
        with pytest.raises(errors.CredentialsInvalid):
            await weft.auth.sign_in(email="canary@example.com", password="canary-password")
    span = _only(spans)
    assert span.status.status_code is StatusCode.ERROR
    assert dict(span.attributes or {}) == {
        "rpc.system.name": "grpc",
        "rpc.method": "weft.user.v1.AuthService/SignIn",
        "rpc.response.status_code": "UNAUTHENTICATED",
        "weft.reason": "CREDENTIALS_INVALID",
    }
    assert "canary" not in span.to_json()


async def test_under_an_unsampled_trace_no_span_is_made_and_the_context_travels(
    fakes: testing.Fakes, spans: InMemorySpanExporter
) -> None:
    fakes.reply("orders.get_order", order_pb2.Order())
    outer = NonRecordingSpan(SpanContext(0xA1, 0xB2, is_remote=True, trace_flags=TraceFlags(0)))
    async with fakes.async_weft() as weft:
        with trace.use_span(outer):
            await weft.orders.get_order(order_id="ord_1")
    assert spans.get_finished_spans() == ()
    assert fakes.calls("orders.get_order")[0].metadata["traceparent"] == f"00-{0xA1:032x}-{0xB2:016x}-00"


async def test_logs_tell_of_retries_and_hold_no_secret(
    connect: Any, fakes: testing.Fakes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "weft_client")
    fakes.reply("orders.create_order", order_pb2.Order())
    fakes.fail("orders.create_order", errors.Unavailable("restarting"))
    client = connect(fakes.address, retries=Retries(first_pause_s=0.01))
    line = {"product_id": "canary", "quantity": 1}
    await client.call("orders.create_order", lines=[line], payment_method="pm_canary", note="canary")
    assert "CreateOrder: attempt 1 failed with UNAVAILABLE" in caplog.text
    assert "canary" not in caplog.text
    assert "test" not in caplog.text.replace("latest", "")
