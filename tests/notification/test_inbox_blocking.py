"""The inbox through pytest-grpc: a plain blocking client against our own server, with the whole chain, in a loop of its own.

pytest-grpc's own server knows neither asyncio nor the chain; only its `grpc_addr`, `grpc_channel` and stub are kept.
"""

import asyncio
import secrets
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import grpc
import psycopg
import pytest
from weft.notification.v1 import event_service_pb2, event_service_pb2_grpc, inbox_service_pb2_grpc
from weft.notification.v1.inbox_service_pb2 import CountUnreadRequest, ListInboxRequest, MarkReadRequest

from chassis import ids
from deploy.local.state.certificates import Certificates
from tests import servers
from tests.harness import Harness, Issuer, Running, refusal
from tests.notification import events


class Loop:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()


@pytest.fixture(scope="module")
def grpc_add_to_server() -> Any:
    return inbox_service_pb2_grpc.add_InboxServiceServicer_to_server


@pytest.fixture(scope="module")
def grpc_servicer() -> None:
    return None  # the harness brings its own


@pytest.fixture(scope="module")
def grpc_stub_cls() -> Any:
    return inbox_service_pb2_grpc.InboxServiceStub


@pytest.fixture(scope="module")
def grpc_addr() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture(scope="module")
def harness(
    postgres_url: str, valkey_url: str, certificates: Certificates, issuer: Issuer, template: Callable[[str], str]
) -> Iterator[Harness]:
    """As the common one, for a module, as long as pytest-grpc's fixtures live."""
    prefix = f"t{secrets.token_hex(4)}"
    with psycopg.connect(postgres_url, dbname="postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {prefix}_notification TEMPLATE {template('notification')}")
        yield Harness(postgres_url, valkey_url, certificates, issuer, lambda _: prefix)
        connection.execute(f"DROP DATABASE {prefix}_notification WITH (FORCE)")


@pytest.fixture(scope="module")
def grpc_server(grpc_addr: str, harness: Harness) -> Iterator[Running]:
    loop = Loop()
    running = harness.running("notification", listen=grpc_addr)
    try:
        started = loop.run(running.__aenter__())
        yield started
        loop.run(running.__aexit__(None, None, None))
    finally:
        loop.close()


@pytest.fixture(scope="module")
def grpc_create_channel(grpc_addr: str, grpc_server: Running, harness: Harness) -> Any:
    certificates = harness.certificates

    def create(credentials: Any = None, options: Any = None) -> grpc.Channel:
        made = grpc.ssl_channel_credentials(
            certificates.ca.read_bytes(),
            certificates.key("internal").read_bytes(),
            certificates.certificate("internal").read_bytes(),
        )
        override = [("grpc.ssl_target_name_override", "notification.weft.internal")]
        return grpc.secure_channel(grpc_addr, made, options=override)

    return create


ANN = ids.new("usr")


@pytest.fixture(scope="module")
def as_ann(harness: Harness) -> list[tuple[str, str]]:
    return [("authorization", harness.issuer.user(ANN))]


def publish(channel: grpc.Channel, *made: Any) -> None:
    request = event_service_pb2.PublishEventsRequest(events=made)
    event_service_pb2_grpc.EventServiceStub(channel).PublishEvents(request)


def test_a_blocking_client_lists_counts_and_marks(grpc_channel: Any, grpc_stub: Any, as_ann: Any) -> None:
    publish(grpc_channel, events.placed(ANN, "ord_1"), events.verified(ANN))

    def count() -> int:
        return int(grpc_stub.CountUnread(CountUnreadRequest(), metadata=as_ann).count)

    servers.wait_until(lambda: count() == 2, "two notices")
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
    told = refusal(caught.value)
    assert (told.code, told.reason, told.domain) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING", "weft.api.v1")
