"""A user service by contract: a real server with the user service's certificate."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import count
from typing import Any

import grpc
from weft.user.v1 import (
    auth_service_pb2,
    auth_service_pb2_grpc,
    member_pb2,
    one_time_code_pb2,
    partner_service_pb2_grpc,
    user_pb2,
    user_service_pb2,
    user_service_pb2_grpc,
)
from weft_client import errors
from weft_client.failures import to_status

from deploy.local.state.certificates import Certificates

EXPIRES = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


class Users(
    user_service_pb2_grpc.UserServiceServicer,
    auth_service_pb2_grpc.AuthServiceServicer,
    partner_service_pb2_grpc.PartnerServiceServicer,
):
    """Which users and sign-ups there are, which codes were issued, and which calls arrived."""

    def __init__(self) -> None:
        self.by_id: dict[str, user_pb2.User] = {}
        self.sign_ups: dict[str, tuple[str, str, bool]] = {}
        self.code_requests: dict[str, one_time_code_pb2.IssueOneTimeCodeResponse] = {}
        self.codes: dict[str, list[str]] = {}
        self.owners: dict[str, list[str]] = {}
        self.batches: list[list[str]] = []
        self.traceparents: list[str] = []
        self.everybody = False
        """Whether every id is a user's."""
        self.down = False
        self.failing_codes = 0
        self.late_codes: set[str] = set()
        self.code_calls = 0
        self.address = ""
        self._numbers = count(10_000_001)

    def add(self, user_id: str, email: str = "", *, state: str = "ACTIVE", **fields: Any) -> str:
        """Add a user; returns the id."""
        state_value = user_pb2.UserState.Value(f"USER_STATE_{state}")
        self.by_id[user_id] = user_pb2.User(
            user_id=user_id, email=email or f"{user_id}@example.com", state=state_value, **fields
        )
        return user_id

    def sign_up(self, sign_up_id: str, email: str = "", *, locale: str = "en", has_account: bool = False) -> str:
        """Add a pending sign-up; returns the id."""
        self.sign_ups[sign_up_id] = (email or f"{sign_up_id}@example.com", locale, has_account)
        return sign_up_id

    def code_request(self, request_id: str, message: str = "CODE", locale: str = "en", **recipient: str) -> str:
        """Add a request of a one-time code; returns the id."""
        value = one_time_code_pb2.CodeMessage.Value(f"CODE_MESSAGE_{message}")
        self.code_requests[request_id] = one_time_code_pb2.IssueOneTimeCodeResponse(
            message=value, locale=locale, **recipient
        )
        return request_id

    async def BatchGetUsers(self, request: user_service_pb2.BatchGetUsersRequest, context: Any) -> Any:
        self.traceparents.append(dict(context.invocation_metadata()).get("traceparent", ""))
        await self._answer(context)
        self.batches.append(list(request.user_ids))
        if self.everybody:
            for user_id in request.user_ids:
                self.by_id.get(user_id) or self.add(user_id)
        found = [self.by_id[id] for id in request.user_ids if id in self.by_id]
        return user_service_pb2.BatchGetUsersResponse(users=found)

    async def IssueVerificationCode(self, request: auth_service_pb2.IssueVerificationCodeRequest, context: Any) -> Any:
        self.code_calls += 1
        await self._answer(context)
        if request.sign_up_id in self.late_codes:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "as if it took too long")
        if self.failing_codes:
            self.failing_codes -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "for once")
        if request.sign_up_id not in self.sign_ups:
            await _refuse(context, errors.SignUpNotFound(sign_up_id=request.sign_up_id))
        email, locale, has_account = self.sign_ups[request.sign_up_id]
        reply = auth_service_pb2.IssueVerificationCodeResponse(email=email, locale=locale)
        if not has_account:
            reply.code = str(next(self._numbers))
            reply.expire_time.FromDatetime(EXPIRES)
            self.codes.setdefault(request.sign_up_id, []).append(reply.code)
        return reply

    async def IssueOneTimeCode(self, request: one_time_code_pb2.IssueOneTimeCodeRequest, context: Any) -> Any:
        self.code_calls += 1
        await self._answer(context)
        if request.code_request_id not in self.code_requests:
            await _refuse(context, errors.CodeRequestNotFound(code_request_id=request.code_request_id))
        reply = one_time_code_pb2.IssueOneTimeCodeResponse()
        reply.CopyFrom(self.code_requests[request.code_request_id])
        if reply.message == one_time_code_pb2.CODE_MESSAGE_CODE:
            reply.code = str(next(self._numbers))
            reply.expire_time.FromDatetime(EXPIRES)
            self.codes.setdefault(request.code_request_id, []).append(reply.code)
        return reply

    async def GetOwners(self, request: member_pb2.GetOwnersRequest, context: Any) -> Any:
        await self._answer(context)
        return member_pb2.GetOwnersResponse(user_ids=self.owners.get(request.partner_id, ()))

    async def _answer(self, context: Any) -> None:
        if self.down:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "down")


async def _refuse(context: Any, error: errors.WeftError) -> None:
    status = to_status(error)
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    await context.abort(error.code, str(error))


@asynccontextmanager
async def serving(certificates: Certificates) -> AsyncIterator[Users]:
    """Serve on a port of 127.0.0.1, over mutual TLS."""
    users = Users()
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])  # or another worker's may have the same port
    user_service_pb2_grpc.add_UserServiceServicer_to_server(users, server)
    auth_service_pb2_grpc.add_AuthServiceServicer_to_server(users, server)
    partner_service_pb2_grpc.add_PartnerServiceServicer_to_server(users, server)
    pair = (certificates.key("user").read_bytes(), certificates.certificate("user").read_bytes())
    credentials = grpc.ssl_server_credentials([pair], certificates.ca.read_bytes(), require_client_auth=True)
    users.address = f"127.0.0.1:{server.add_secure_port('127.0.0.1:0', credentials)}"
    await server.start()
    try:
        yield users
    finally:
        await server.stop(None)
