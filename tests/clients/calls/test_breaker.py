"""The breaker leaves a failing service alone, probes it by one call, and counts only what says something about its health. Metrics of calls."""

import asyncio
import threading
from typing import Any

import pytest
from opentelemetry import metrics as otel
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from weft.order.v1 import order_pb2
from weft_client import Retries, errors, testing
from weft_client.calls import breaker, telemetry
from weft_client.calls.breaker import Breaker, BreakerOpen, State

from tests.servers import until

ONCE = Retries(attempts=1)


class Time:
    """A clock that only moves when it is advanced."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(breaker, "monotonic", lambda: self.now)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    return Time(monkeypatch)


def retry_after(watched: Breaker) -> float:
    """What `acquire` asks for; 0 where it admits the call."""
    try:
        watched.acquire()
    except BreakerOpen as opened:
        return opened.retry_after
    return 0.0


@pytest.mark.usefixtures("time")
def test_it_opens_after_five_failures_in_a_row() -> None:
    watched = Breaker("order")
    for _ in range(4):
        watched.acquire()
        watched.failed()
    watched.acquire()
    watched.succeeded()
    for _ in range(5):
        watched.acquire()
        watched.failed()
    assert (watched.state, retry_after(watched)) == (State.OPEN, 1.0)


def test_one_probe_at_a_time_and_longer_pauses_up_to_the_most(time: Time) -> None:
    watched = Breaker("order", failures=1)
    watched.acquire()
    watched.failed()
    for pause in (1, 2, 4, 5, 5):
        time.now += pause - 0.01
        assert retry_after(watched) == pytest.approx(0.01, abs=0.1)
        time.now += 0.01
        assert [retry_after(watched) for _ in range(20)].count(0) == 1
        watched.failed()
    time.now += 5
    watched.acquire()
    watched.succeeded()
    assert (watched.state, retry_after(watched)) == (State.CLOSED, 0)


def test_a_probe_that_was_called_off_leaves_the_place_to_the_next(time: Time) -> None:
    watched = Breaker("order", failures=1)
    watched.acquire()
    watched.failed()
    time.now += 1
    watched.acquire()
    watched.cancelled()
    watched.acquire()


async def test_an_open_breaker_sends_nothing_and_closes_by_one_probe(connect: Any, fakes: testing.Fakes) -> None:
    fakes.reply("orders.get_order", order_pb2.Order(order_id="ord_1"))
    fakes.reply("auth.sign_up")
    client = connect(fakes.address, retries=ONCE)
    for fault in [
        errors.Unavailable(),
        errors.RateLimited(),
        errors.Unavailable(),
        errors.RateLimited(),
        errors.DeadlineExceeded(),
    ]:
        fakes.fail("orders.get_order", fault)
        with pytest.raises(type(fault)):
            await client.call("orders.get_order", order_id="ord_1")
    with pytest.raises(errors.CircuitOpen) as raised:
        await client.call("orders.get_order", order_id="ord_1")
    assert raised.value.attempts == 0
    assert 0 < raised.value.retry_after <= 1
    assert len(fakes.calls("orders.get_order")) == 5
    await client.call("auth.sign_up", email="a@b.example", password="long enough for it")  # another service

    fakes.delay("orders.get_order", 1.0)  # all ten begin meanwhile

    async def answered() -> bool:
        calls = [client.call("orders.get_order", order_id="ord_1") for _ in range(10)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        return any(isinstance(outcome, order_pb2.Order) for outcome in outcomes)

    await until(answered, "the probe to be answered")
    assert len(fakes.calls("orders.get_order")) == 6
    await client.call("orders.get_order", order_id="ord_1")


async def test_other_errors_are_answers_of_a_healthy_service(connect: Any, fakes: testing.Fakes) -> None:
    client = connect(fakes.address)
    fakes.fail("orders.get_order", errors.OrderNotFound("no", order_id="ord_1"), times=10)
    for _ in range(10):
        with pytest.raises(errors.OrderNotFound):
            await client.call("orders.get_order", order_id="ord_1")


async def test_a_cancelled_probe_lets_the_next_one_in(fakes: testing.Fakes) -> None:
    go_on = threading.Event()
    fakes.reply("orders.get_order", order_pb2.Order(order_id="ord_1"))
    async with fakes.async_weft(retries=ONCE) as weft:
        fakes.fail("orders.get_order", errors.Unavailable(), times=5)
        for _ in range(5):
            with pytest.raises(errors.Unavailable):
                await weft.orders.get_order(order_id="ord_1")
        watched = weft._connection.link("order").breaker

        @fakes.on("orders.get_order")
        def hang(_: Any) -> order_pb2.Order:
            go_on.wait(10)
            return order_pb2.Order(order_id="ord_1")

        async def probing() -> bool:
            nonlocal probe
            if probe.done():
                probe = asyncio.create_task(weft.orders.get_order(order_id="ord_1"))
            await asyncio.wait([probe], timeout=0.05)
            if probe.done():
                assert isinstance(probe.exception(), errors.CircuitOpen)
            return watched.state is State.HALF_OPEN

        probe = asyncio.create_task(weft.orders.get_order(order_id="ord_1"))
        await until(probing, "a probe to be under way")
        probe.cancel()
        await asyncio.wait([probe])
        assert probe.cancelled()
        go_on.set()
        assert (await weft.orders.get_order(order_id="ord_1")).order_id == "ord_1"
        assert watched.state is State.CLOSED


def test_its_state_is_a_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = InMemoryMetricReader()
    meter = MeterProvider([reader]).get_meter("weft_client")
    meter.create_observable_gauge("weft.client.breaker.state", [breaker._observe])
    watched = Breaker("metered", failures=1)
    watched.acquire()
    watched.failed()
    data = reader.get_metrics_data()
    assert data is not None
    points = data.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points
    assert [point.value for point in points if point.attributes == {"weft.service": "metered"}] == [State.OPEN]
    assert otel.get_meter("weft_client") is not None


def test_calls_are_measured_by_method_and_code_in_buckets_of_seconds(
    fakes: testing.Fakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = InMemoryMetricReader()
    monkeypatch.setattr(telemetry, "_duration", telemetry._durations(MeterProvider([reader]).get_meter("weft_client")))
    fakes.reply("orders.get_order", order_pb2.Order(order_id="ord_1"))
    with fakes.weft() as weft:
        for _ in range(3):
            weft.orders.get_order(order_id="ord_1")
        fakes.fail("orders.get_order", errors.OrderNotFound("No such order."))
        with pytest.raises(errors.OrderNotFound):
            weft.orders.get_order(order_id="ord_2")

    data = reader.get_metrics_data()
    assert data is not None
    (metric,) = data.resource_metrics[0].scope_metrics[0].metrics
    points: list[Any] = list(metric.data.data_points)
    assert (metric.name, metric.unit) == ("rpc.client.call.duration", "s")
    counted = {
        (point.attributes["rpc.method"], point.attributes["rpc.response.status_code"]): point.count for point in points
    }
    method = "weft.order.v1.OrderService/GetOrder"
    assert counted == {(method, "OK"): 3, (method, "NOT_FOUND"): 1}
    assert {point.explicit_bounds[0] for point in points} == {0.005}
