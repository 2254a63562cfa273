"""The RPCs of UserService that erase and export a person's data."""

from google.protobuf.empty_pb2 import Empty
from weft.api.v1.personal_record_pb2 import PersonalRecord
from weft.user.v1 import events_pb2
from weft.user.v1 import personal_data_pb2 as pb

from chassis.clock import Clock
from chassis.queues.queue import Queue
from chassis.rpc.call import Call
from chassis.rpc.pagination import MAX_PAGE_BYTES, Pages
from chassis.storage.database import Database, Transaction
from services.user import ownership
from services.user.accounts.repository import SignUpRepository
from services.user.audit.audit import Audit
from services.user.auth.reauthentication import Reauthentication
from services.user.codes.repository import CodeRepository
from services.user.erasure import worker
from services.user.erasure.export import MAX_RECORDS, Export
from services.user.erasure.repository import PersonRepository
from services.user.lifecycle.handlers import refuse_below
from services.user.members.domain import LastOwnerStays
from services.user.members.repository import MemberRepository
from services.user.partners.repository import PartnerRepository
from services.user.roles.repository import RoleRepository
from services.user.sessions.repository import SessionRepository
from services.user.users.domain import DELETED, UserNotFound
from services.user.users.events import UserEvents
from services.user.users.repository import UserRepository
from services.user.users.visible import get_visible, id_of


class ErasureHandlers:
    """The part of weft.user.v1.UserService that erases."""

    def __init__(
        self,
        database: Database,
        users: UserRepository,
        roles: RoleRepository,
        persons: PersonRepository,
        sessions: SessionRepository,
        sign_ups: SignUpRepository,
        requests: CodeRepository,
        members: MemberRepository,
        partners: PartnerRepository,
        jobs: Queue,
        reauthentication: Reauthentication,
        events: UserEvents,
        audit: Audit,
        clock: Clock,
    ) -> None:
        self._database = database
        self._users = users
        self._roles = roles
        self._persons = persons
        self._sessions = sessions
        self._sign_ups = sign_ups
        self._requests = requests
        self._members = members
        self._partners = partners
        self._jobs = jobs
        self._reauthentication = reauthentication
        self._events = events
        self._audit = audit
        self._clock = clock

    async def DeleteUser(self, request: pb.DeleteUserRequest, call: Call) -> Empty:
        """One transaction takes all that is here, and queues the rest: whoever dies in between has erased all or nothing."""
        self._reauthentication.by_age(call)
        user_id = id_of(request.user_id, call.caller)
        now = self._clock.now()
        async with self._database.transaction() as tx:
            partner_ids = await self._lock_owned(tx, user_id)
            await self._roles.require_other_admin(tx, user_id)
            user = await self._users.lock_erased(tx, user_id)
            if user is None or not ownership.may_see_user(call.caller, user_id, user.partner_id, user.mode):
                raise UserNotFound(user_id=request.user_id)
            if user.state == DELETED:
                return Empty()
            refuse_below(user, call.caller)
            for partner_id in partner_ids:
                if await self._members.count_owners(tx, partner_id) == 1:
                    raise LastOwnerStays(partner_id=partner_id)
            await self._sessions.end_others(tx, user_id, "", now)
            if not user.partner_id:
                await self._sign_ups.delete_all(tx, user.email)
                await self._requests.delete_to_address(tx, user.email)
            await self._persons.delete_owned(tx, user_id)
            await self._persons.anonymise(tx, user_id, now)
            await worker.put(tx, self._jobs, user_id, now)
            await self._audit.record(tx, call, "user.erased", subject=user_id)
            payload = events_pb2.UserErased(user_id=user_id)
            await self._events.put(tx, "user.erased", user_id, payload, call.caller.actor)
        return Empty()

    async def _lock_owned(self, tx: Transaction, user_id: str) -> tuple[str, ...]:
        """The active partners that the user owns, locked as by whoever changes their people. Partners come before users."""
        for partner_id in await self._members.list_owned(tx, user_id):
            await self._partners.lock(tx, partner_id)
        return await self._members.list_owned(tx, user_id)


class ExportHandlers:
    """The part of weft.user.v1.UserService that exports."""

    def __init__(self, users: UserRepository, export: Export, reauthentication: Reauthentication, pages: Pages) -> None:
        self._users = users
        self._export = export
        self._reauthentication = reauthentication
        self._pages = pages

    async def ExportUserData(self, request: pb.ExportUserDataRequest, call: Call) -> pb.ExportUserDataResponse:
        """A page goes from one source to the next, until it is full."""
        self._reauthentication.by_age(call)
        user = await get_visible(self._users, request.user_id, call.caller)
        page = self._pages.read(request, {"export": user.user_id}, start="0 ")
        size = request.page_size or 100
        number, _, after = page.after.partition(" ")
        place, room = int(number), MAX_PAGE_BYTES
        records: list[PersonalRecord] = []
        while place < len(self._export.sources) and len(records) < size and room > 0:
            part = await self._export.sources[place](user, after, min(size - len(records), MAX_RECORDS))
            records += part.records
            room -= sum(record.ByteSize() for record in part.records)
            place, after = (place, part.records[-1].record_id) if part.more else (place + 1, "")
        left = place < len(self._export.sources)
        token = self._pages.token(page, f"{place} {after}") if left else ""
        return pb.ExportUserDataResponse(records=records, next_page_token=token)
