"""The RPCs of UserService on sessions."""

from google.protobuf.empty_pb2 import Empty
from weft.user.v1 import session_pb2 as pb

from chassis.clock import Clock
from chassis.rpc.call import Call
from chassis.rpc.pagination import Pages
from chassis.storage.database import Database
from chassis.times import timestamp
from services.user.audit.audit import Audit
from services.user.sessions.domain import Session
from services.user.sessions.open_session_repository import OpenSessionRepository
from services.user.sessions.repository import SessionRepository
from services.user.users.domain import UserNotFound
from services.user.users.repository import UserRepository
from services.user.users.visible import get_visible


class SessionHandlers:
    """The part of weft.user.v1.UserService about sessions."""

    def __init__(
        self,
        database: Database,
        users: UserRepository,
        open_sessions: OpenSessionRepository,
        sessions: SessionRepository,
        pages: Pages,
        audit: Audit,
        clock: Clock,
    ) -> None:
        self._database = database
        self._users = users
        self._open = open_sessions
        self._sessions = sessions
        self._pages = pages
        self._audit = audit
        self._clock = clock

    async def ListSessions(self, request: pb.ListSessionsRequest, call: Call) -> pb.ListSessionsResponse:
        """Users see their own, operators all."""
        user_id = (await get_visible(self._users, request.user_id, call.caller)).user_id
        page = self._pages.read(request, {"list": "sessions", "user_id": user_id})
        found = await self._open.list(user_id, self._clock.now(), page.limit, page.after)
        current = call.caller.session_id
        sessions, token = self._pages.split(page, found, lambda one: to_message(one, current), key="session_id")
        return pb.ListSessionsResponse(sessions=sessions, next_page_token=token)

    async def RevokeSession(self, request: pb.RevokeSessionRequest, call: Call) -> Empty:
        """One's own, or for an operator anybody's."""
        user_id = (await get_visible(self._users, request.user_id, call.caller)).user_id
        session_id = request.session_id
        async with self._database.transaction() as tx:
            if await self._open.end(tx, user_id, session_id, self._clock.now()):
                await self._audit.record(tx, call, "session.revoked", subject=user_id, session_id=session_id)
        return Empty()

    async def RevokeOtherSessions(self, request: pb.RevokeOtherSessionsRequest, call: Call) -> Empty:
        """Only for oneself: what remains is the session of the call."""
        caller = call.caller
        if request.user_id not in ("me", caller.user_id):
            raise UserNotFound(user_id=request.user_id)
        async with self._database.transaction() as tx:
            await self._users.lock(tx, caller.user_id)
            if await self._sessions.end_others(tx, caller.user_id, caller.session_id, self._clock.now()):
                await self._audit.record(tx, call, "session.others_revoked", subject=caller.user_id)
        return Empty()


def to_message(session: Session, current: str) -> pb.Session:
    """The message of a session; `current` is the id of the one that the call is made with."""
    return pb.Session(
        user_id=session.user_id,
        session_id=session.session_id,
        device=session.place.device,
        network=session.place.network,
        client_id=session.client_id,
        current=session.session_id == current,
        create_time=timestamp(session.created_at),
        expire_time=timestamp(session.expires_at),
        last_use_time=timestamp(session.last_used_at),
    )
