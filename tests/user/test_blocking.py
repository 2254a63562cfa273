"""The user service through a plain blocking client."""

import json
import secrets
from typing import Any

import grpc
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
from tests.blocking import Loop
from tests.harness import Running, assert_refusal

PASSWORD = "a quiet morning in Graz"
SERVICE = "user"
STUB = auth_service_pb2_grpc.AuthServiceStub
SETTINGS = {"work": False}


@pytest.fixture(scope="module")
def email() -> str:
    return f"ada.{secrets.token_hex(6)}@example.com"


@pytest.fixture(scope="module")
def tokens(grpc_stub: Any, grpc_server: Running, loop: Loop, email: str) -> auth_service_pb2.TokenPair:
    """Of someone who signed up, verified the address and signed in."""
    grpc_stub.SignUp(auth_service_pb2.SignUpRequest(email=email, password=PASSWORD, display_name="Ada"))
    pending = loop.run(grpc_server.app.database.one(Query("SELECT sign_up_id FROM sign_ups")))
    asked = auth_service_pb2.IssueVerificationCodeRequest(sign_up_id=pending.sign_up_id)
    code = grpc_stub.IssueVerificationCode(asked).code
    grpc_stub.VerifyEmail(auth_service_pb2.VerifyEmailRequest(email=email, code=code, password=PASSWORD))
    return grpc_stub.SignIn(auth_service_pb2.SignInRequest(email=email, password=PASSWORD))


def test_a_blocking_client_signs_in_and_sees_itself(grpc_channel: Any, tokens: Any, email: str) -> None:
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
    assert_refusal(caught.value, "CREDENTIALS_INVALID")


def test_a_blocking_client_sees_the_protocols_errors_as_replies(grpc_channel: Any) -> None:
    stub = oauth_service_pb2_grpc.OAuthServiceStub(grpc_channel)
    form = HttpBody(content_type="application/x-www-form-urlencoded", data=b"grant_type=client_credentials")
    reply, call = stub.Token.with_call(oauth_service_pb2.TokenRequest(form=form))
    assert json.loads(reply.data)["error"] == "invalid_client"
    assert dict(call.initial_metadata())["x-http-status"] == "401"
