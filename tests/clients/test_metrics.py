"""What the client measures of its calls, as an SDK sees it."""

from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from weft.order.v1 import order_pb2
from weft_client import errors, telemetry, testing


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
