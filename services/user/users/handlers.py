"""The RPCs of UserService."""

from datetime import datetime
from typing import Any

from weft.user.v1 import events_pb2, user_pb2
from weft.user.v1 import user_service_pb2 as pb

from chassis import ids, times
from chassis.clock import Clock
from chassis.queues import outbox
from chassis.queues.outbox import Outbox
from chassis.rpc.call import Call
from chassis.rpc.pagination import Pages
from chassis.security.identity import Identity
from chassis.storage.database import Database
from services.user.audit.audit import Audit
from services.user.ownership import owner_of
from services.user.users.cached import CachedUsers
from services.user.users.domain import (
    ACTIVE,
    CUSTOMER,
    INITIAL,
    ChangeNeedsVerification,
    User,
    normal_locale,
    refuse_unmailable,
)
from services.user.users.messages import addresses_of, state_name, to_message
from services.user.users.profile import normal_addresses, normal_time_zone
from services.user.users.repository import UserRepository
from services.user.users.visible import get_visible


class UserHandlers:
    """weft.user.v1.UserService."""

    def __init__(
        self,
        database: Database,
        users: UserRepository,
        cached: CachedUsers,
        events: Outbox,
        pages: Pages,
        audit: Audit,
        clock: Clock,
    ) -> None:
        self._database = database
        self._users = users
        self._cached = cached
        self._events = events
        self._pages = pages
        self._audit = audit
        self._clock = clock

    async def CreateUser(self, request: pb.CreateUserRequest, call: Call) -> user_pb2.User:
        """A partner's customer is active immediately; a person whom an operator adds is invited to sign up."""
        now, partner_id = self._clock.now(), call.caller.partner_id
        user = _new_user(request, call.caller, now)
        reply = to_message(user)
        async with self._database.transaction() as tx:
            await self._users.insert(tx, user)
            if not partner_id:
                invited = events_pb2.UserInvited(user_id=user.user_id)
                event = outbox.event(
                    self._clock,
                    type="user.invited",
                    aggregate_id=user.user_id,
                    sequence=1,
                    payload=invited,
                    actor=call.caller.actor,
                    user_id=user.user_id,
                )
                await self._events.put(tx, event)
            await self._audit.record(tx, call, "user.created", subject=user.user_id)
            await call.remember(tx, reply)
        return reply

    async def GetUser(self, request: pb.GetUserRequest, call: Call) -> user_pb2.User:
        """Users see themselves, partners their own users, operators all; any other user is not found."""
        return to_message(await get_visible(self._users, request.user_id, call.caller))

    async def BatchGetUsers(self, request: pb.BatchGetUsersRequest, _: Call) -> pb.BatchGetUsersResponse:
        """The users that exist, for other services."""
        return pb.BatchGetUsersResponse(users=await self._cached.get_many(request.user_ids))

    async def ListUsers(self, request: pb.ListUsersRequest, call: Call) -> pb.ListUsersResponse:
        """A partner's own users; all for an operator."""
        owner, filters = owner_of(call.caller), _filters(request)
        page = self._pages.read(request, {"list": "users", "owner": owner, **filters})
        found = await self._users.list(owner, page.limit, page.after, filters)
        users, token = self._pages.split(page, found, to_message, key="user_id")
        return pb.ListUsersResponse(users=users, next_page_token=token)


def _new_user(request: pb.CreateUserRequest, caller: Identity, now: datetime) -> User:
    """Raises `RequestInvalid` for what the contract's bounds let through."""
    refuse_unmailable(request.email)
    partner_id = caller.partner_id
    if request.phone and not partner_id:
        raise ChangeNeedsVerification(field="phone")
    return User(
        user_id=ids.new("usr", now),
        partner_id=partner_id,
        email=request.email,
        display_name=request.display_name,
        given_name=request.given_name,
        family_name=request.family_name,
        phone=request.phone,
        locale=normal_locale(request.locale),
        time_zone=normal_time_zone(request.time_zone),
        addresses=normal_addresses(addresses_of(request.addresses), (), now),
        metadata=dict(request.metadata),
        state=ACTIVE if partner_id else INITIAL,
        external_reference=request.external_reference,
        roles=(CUSTOMER,),
        plan="free",
        created_at=now,
        updated_at=now,
        events=0 if partner_id else 1,
        mode=caller.mode,
    )


def _filters(request: pb.ListUsersRequest) -> dict[str, Any]:
    """The filters of `UserRepository.list` that a request sets."""
    filters: dict[str, Any] = {}
    if request.states:
        filters["states"] = sorted({state_name(state) for state in request.states})
    if request.email:
        filters["email"] = request.email
    if request.external_reference:
        filters["external_reference"] = request.external_reference
    if request.HasField("create_time_from"):
        filters["created_from"] = times.clamped(request.create_time_from)
    if request.HasField("create_time_to"):
        filters["created_to"] = times.clamped(request.create_time_to)
    return filters
