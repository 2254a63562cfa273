"""The user service as orders need it: a small server of its own that answers BatchGetUsers over mTLS."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
from weft.api.v1 import mode_pb2
from weft.user.v1 import user_pb2, user_service_pb2, user_service_pb2_grpc

from deploy.local.state.certificates import Certificates


@dataclass
class Users(user_service_pb2_grpc.UserServiceServicer):
    """Knows the users that a test gives it, by id, and counts its calls."""

    known: dict[str, user_pb2.User] = field(default_factory=dict)
    calls: int = 0
    most: int = 0
    """Users in one call."""
    down: bool = False
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    """Calls are answered once it is set, as it is unless a test clears it."""
    address: str = ""

    def __post_init__(self) -> None:
        self.gate.set()

    def add(
        self,
        user_id: str,
        partner_id: str,
        state: user_pb2.UserState.ValueType = user_pb2.USER_STATE_ACTIVE,
        mode: mode_pb2.Mode.ValueType = mode_pb2.MODE_LIVE,
    ) -> None:
        """A user of a partner."""
        self.known[user_id] = user_pb2.User(user_id=user_id, partner_id=partner_id, state=state, mode=mode)

    async def BatchGetUsers(self, request, context):
        """Those that are known."""
        self.calls += 1
        self.most = max(self.most, len(request.user_ids))
        await self.gate.wait()
        if self.down:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "down")
        found = [self.known[user_id] for user_id in request.user_ids if user_id in self.known]
        return user_service_pb2.BatchGetUsersResponse(users=found)


@asynccontextmanager
async def serving(users: Users, certificates: Certificates) -> AsyncIterator[str]:
    """Serve them; the address."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])  # or another worker's may have the same port
    user_service_pb2_grpc.add_UserServiceServicer_to_server(users, server)
    pair = (certificates.key("user").read_bytes(), certificates.certificate("user").read_bytes())
    credentials = grpc.ssl_server_credentials([pair], certificates.ca.read_bytes(), require_client_auth=True)
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)
