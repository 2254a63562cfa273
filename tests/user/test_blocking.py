"""The service through pytest-grpc: a plain blocking client against our own server, with the whole chain, in its own loop.

pytest-grpc's own server knows neither asyncio nor the chain; only its `grpc_addr`, `grpc_channel` and stub are kept.
"""

import asyncio
import json
import secrets
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import grpc
import psycopg
import pytest
from google.api.httpbody_pb2 import HttpBody
from weft.user.v1 import (
    auth_service_pb2,
    auth_service_pb2_grpc,
    oauth_service_pb2,
    oauth_service_pb2_grpc,
    user_service_pb2,
    user_service_pb2_grpc,
)

from chassis.storage.database import Query
from deploy.local.state.certificates import Certificates
from services.user.__main__ import build
from tests.harness import Harness, Issuer, Running, refusal

PASSWORD = "a quiet morning in Graz"


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
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture(scope="module")
def grpc_add_to_server() -> Any:
    return auth_service_pb2_grpc.add_AuthServiceServicer_to_server


@pytest.fixture(scope="module")
def grpc_servicer() -> None:
    return None  # the harness brings its own


@pytest.fixture(scope="module")
def grpc_stub_cls() -> Any:
    return auth_service_pb2_grpc.AuthServiceStub


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
        connection.execute(f"CREATE DATABASE {prefix}_user TEMPLATE {template('user')}")
        yield Harness(postgres_url, valkey_url, certificates, issuer, lambda _: prefix)
        connection.execute(f"DROP DATABASE {prefix}_user WITH (FORCE)")


@pytest.fixture(scope="module")
def grpc_server(grpc_addr: str, harness: Harness, loop: Loop) -> Iterator[Running]:
    running = harness.running("user", build, listen=grpc_addr, work=False)
    yield loop.run(running.__aenter__())
    loop.run(running.__aexit__(None, None, None))


@pytest.fixture(scope="module")
def grpc_create_channel(grpc_addr: str, grpc_server: Running, harness: Harness) -> Any:
    certificates = harness.certificates

    def create(credentials: Any = None, options: Any = None) -> grpc.Channel:
        made = grpc.ssl_channel_credentials(
            certificates.ca.read_bytes(),
            certificates.key("internal").read_bytes(),
            certificates.certificate("internal").read_bytes(),
        )
        return grpc.secure_channel(grpc_addr, made, options=[("grpc.ssl_target_name_override", "user.weft.internal")])

    return create


@pytest.fixture(scope="module")
def email() -> str:
    return f"ada.{secrets.token_hex(6)}@example.com"


@pytest.fixture(scope="module")
def tokens(grpc_stub: Any, grpc_server: Running, loop: Loop, email: str) -> auth_service_pb2.TokenPair:
    """Of someone who signed up, proved the address and signed in."""
    grpc_stub.SignUp(auth_service_pb2.SignUpRequest(email=email, password=PASSWORD, display_name="Ada"))
    pending = loop.run(grpc_server.app.database.one(Query("SELECT sign_up_id FROM sign_ups")))
    asked = auth_service_pb2.IssueVerificationCodeRequest(sign_up_id=pending.sign_up_id)
    code = grpc_stub.IssueVerificationCode(asked).code
    grpc_stub.VerifyEmail(auth_service_pb2.VerifyEmailRequest(email=email, code=code, password=PASSWORD))
    return grpc_stub.SignIn(auth_service_pb2.SignInRequest(email=email, password=PASSWORD))


def test_a_blocking_client_comes_in_and_sees_itself(grpc_channel: Any, tokens: Any, email: str) -> None:
    stub = user_service_pb2_grpc.UserServiceStub(grpc_channel)
    metadata = [("authorization", f"Bearer {tokens.access_token}")]
    me = stub.GetUser(user_service_pb2.GetUserRequest(user_id="me"), metadata=metadata)
    assert (me.user_id, me.email, me.display_name) == (tokens.user_id, email, "Ada")


def test_a_blocking_client_refreshes_and_signs_out(grpc_stub: Any, tokens: Any) -> None:
    fresh = grpc_stub.Refresh(auth_service_pb2.RefreshRequest(refresh_token=tokens.refresh_token))
    metadata = [("authorization", f"Bearer {fresh.access_token}")]
    _, call = grpc_stub.SignOut.with_call(auth_service_pb2.SignOutRequest(), metadata=metadata)
    assert dict(call.initial_metadata())["x-http-status"] == "204"


def test_a_blocking_client_gets_typed_refusals(grpc_stub: Any, email: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        grpc_stub.SignIn(auth_service_pb2.SignInRequest(email=email, password="not the password"))
    told = refusal(caught.value)
    assert (told.code, told.reason, told.domain) == (
        grpc.StatusCode.UNAUTHENTICATED,
        "CREDENTIALS_INVALID",
        "weft.user.v1",
    )


def test_a_blocking_client_sees_the_protocols_errors_as_replies(grpc_channel: Any) -> None:
    stub = oauth_service_pb2_grpc.OAuthServiceStub(grpc_channel)
    form = HttpBody(content_type="application/x-www-form-urlencoded", data=b"grant_type=client_credentials")
    reply, call = stub.Token.with_call(oauth_service_pb2.TokenRequest(form=form))
    assert json.loads(reply.data)["error"] == "invalid_client"
    assert dict(call.initial_metadata())["x-http-status"] == "401"
