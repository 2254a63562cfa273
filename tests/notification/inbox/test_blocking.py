"""The inbox through a plain blocking client."""

from typing import Any

import grpc
import pytest
from weft.notification.v1 import event_service_pb2, event_service_pb2_grpc, inbox_service_pb2_grpc
from weft.notification.v1.inbox_service_pb2 import CountUnreadRequest, ListInboxRequest, MarkReadRequest

from chassis import ids
from tests import servers
from tests.harness import Issuer, assert_refusal
from tests.notification import sample_events as events

SERVICE = "notification"
STUB = inbox_service_pb2_grpc.InboxServiceStub
ANN = ids.new("usr")


@pytest.fixture(scope="module")
def as_ann(issuer: Issuer) -> list[tuple[str, str]]:
    return [("authorization", issuer.user(ANN))]


def publish(channel: grpc.Channel, *made: Any) -> None:
    request = event_service_pb2.PublishEventsRequest(events=made)
    event_service_pb2_grpc.EventServiceStub(channel).PublishEvents(request)


def test_a_blocking_client_lists_counts_and_marks(grpc_channel: Any, grpc_stub: Any, as_ann: Any) -> None:
    publish(grpc_channel, events.placed(ANN, "ord_1"), events.verified(ANN))

    def count() -> int:
        return int(grpc_stub.CountUnread(CountUnreadRequest(), metadata=as_ann).count)

    servers.wait_until(lambda: count() == 2, "two notifications")
    items = grpc_stub.ListInbox(ListInboxRequest(), metadata=as_ann).items
    assert {item.title for item in items} == {"Order received", "Welcome to Weft"}
    _, call = grpc_stub.MarkRead.with_call(
        MarkReadRequest(notification_ids=[items[0].notification_id]), metadata=as_ann
    )
    assert dict(call.initial_metadata())["x-http-status"] == "204"
    assert count() == 1


def test_a_blocking_client_gets_typed_refusals(grpc_stub: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        grpc_stub.ListInbox(ListInboxRequest())
    assert_refusal(caught.value, "TOKEN_MISSING")
