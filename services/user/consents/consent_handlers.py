"""The RPCs of UserService with which people look after their consents."""

from google.protobuf.empty_pb2 import Empty
from weft.user.v1 import consent_pb2 as pb

from chassis.clock import Clock
from chassis.errors import NotFound
from chassis.rpc.call import Call
from chassis.rpc.pagination import Pages
from chassis.storage.database import Database
from chassis.times import timestamp
from services.user.audit.audit import Audit
from services.user.consents.domain import Consent
from services.user.consents.repository import ConsentRepository
from services.user.sessions.repository import SessionRepository
from services.user.users.repository import UserRepository
from services.user.users.visible import get_visible


class ConsentNotFound(NotFound):
    """The user has not granted anything to client {client_id}."""


class ConsentHandlers:
    """The part of weft.user.v1.UserService about consents."""

    def __init__(
        self,
        database: Database,
        consents: ConsentRepository,
        sessions: SessionRepository,
        users: UserRepository,
        pages: Pages,
        audit: Audit,
        clock: Clock,
    ) -> None:
        self._database = database
        self._consents = consents
        self._sessions = sessions
        self._users = users
        self._pages = pages
        self._audit = audit
        self._clock = clock

    async def ListConsents(self, request: pb.ListConsentsRequest, call: Call) -> pb.ListConsentsResponse:
        """By client, the newest first."""
        user_id = (await get_visible(self._users, request.user_id, call.caller)).user_id
        page = self._pages.read(request, {"list": "consents", "user_id": user_id})
        found = await self._consents.list_consents(user_id, page.limit, page.after)
        consents, token = self._pages.split(page, found, to_message, key="client_id")
        return pb.ListConsentsResponse(consents=consents, next_page_token=token)

    async def RevokeConsent(self, request: pb.RevokeConsentRequest, call: Call) -> Empty:
        """Ends the app's sessions and unused codes as well."""
        user_id = (await get_visible(self._users, request.user_id, call.caller)).user_id
        async with self._database.transaction() as tx:
            await self._users.lock(tx, user_id)  # no code of theirs is made or exchanged meanwhile
            if not await self._consents.delete_consent(tx, user_id, request.client_id):
                raise ConsentNotFound(client_id=request.client_id)
            await self._audit.record(tx, call, "consent.revoked", subject=user_id)
            await self._sessions.end_of_app(tx, user_id, request.client_id, self._clock.now())
        return Empty()


def to_message(consent: Consent) -> pb.Consent:
    return pb.Consent(
        client_id=consent.client_id,
        client_name=consent.client_name,
        scopes=consent.scopes,
        create_time=timestamp(consent.created_at),
        update_time=timestamp(consent.updated_at),
    )
