"""UserService: users as partners, operators, other services and they themselves see them."""

from typing import Any

from weft.api.v1 import scope_pb2
from weft.user.v1 import events_pb2, user_pb2, user_service_pb2

from chassis import ids
from chassis.clock import Clock
from chassis.queues import outbox
from chassis.queues.outbox import Outbox
from chassis.rpc.call import Call
from chassis.rpc.pagination import Pages
from chassis.storage.database import Database
from services.user.users.domain import (
    ACTIVE,
    CUSTOMER,
    INITIAL,
    User,
    UserNotFound,
    normal_locale,
    refuse_unmailable,
)
from services.user.users.repository import UserRepository


class UserHandlers:
    """One method for each RPC, in the proto's order."""

    def __init__(self, database: Database, users: UserRepository, events: Outbox, pages: Pages, clock: Clock) -> None:
        self._database = database
        self._users = users
        self._events = events
        self._pages = pages
        self._clock = clock

    async def CreateUser(self, request: user_service_pb2.CreateUserRequest, call: Call) -> user_pb2.User:
        """A partner's customer is active at once; a person whom an operator adds is told to sign up."""
        refuse_unmailable(request.email)
        now = self._clock.now()
        partner_id = call.caller.partner_id
        user = User(
            user_id=ids.new("usr", now),
            partner_id=partner_id,
            email=request.email,
            display_name=request.display_name,
            locale=normal_locale(request.locale),
            state=ACTIVE if partner_id else INITIAL,
            external_reference=request.external_reference,
            roles=(CUSTOMER,),
            plan="free",
            created_at=now,
            updated_at=now,
            events=0 if partner_id else 1,
        )
        reply = as_message(user)
        async with self._database.transaction() as tx:
            await self._users.add(tx, user)
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
            await call.remember(tx, reply)
        return reply

    async def GetUser(self, request: user_service_pb2.GetUserRequest, call: Call) -> user_pb2.User:
        """Users see themselves, partners their own, operators everyone; the rest is not there."""
        caller = call.caller
        user_id = caller.user_id if request.user_id == "me" else request.user_id
        allowed = bool(user_id) and (caller.is_partner or caller.is_operator or user_id == caller.user_id)
        user = await self._users.find(user_id) if allowed else None
        if user is None or (caller.is_partner and user.partner_id != caller.partner_id):
            raise UserNotFound(user_id=request.user_id)
        return as_message(user)

    async def BatchGetUsers(
        self, request: user_service_pb2.BatchGetUsersRequest, _: Call
    ) -> user_service_pb2.BatchGetUsersResponse:
        """Whoever exists, for other services."""
        found = await self._users.find_all(request.user_ids)
        return user_service_pb2.BatchGetUsersResponse(users=[as_message(user) for user in found])

    async def ListUsers(
        self, request: user_service_pb2.ListUsersRequest, call: Call
    ) -> user_service_pb2.ListUsersResponse:
        """A partner's own; an operator's are all."""
        filters: dict[str, Any] = {}
        if call.caller.is_partner:
            filters["partner_id"] = call.caller.partner_id
        if request.states:
            filters["states"] = sorted(_state_name(state) for state in request.states)
        if request.email:
            filters["email"] = request.email
        if request.external_reference:
            filters["external_reference"] = request.external_reference
        page = self._pages.read(request, {"list": "users", **filters})
        if page.after:
            filters["after"] = page.after
        found = await self._users.list(page.limit, filters)
        users, token = self._pages.split(page, found, as_message, key="user_id")
        return user_service_pb2.ListUsersResponse(users=users, next_page_token=token)


def as_message(user: User) -> user_pb2.User:
    """A user as callers see it."""
    message = user_pb2.User(
        user_id=user.user_id,
        email=user.email,
        display_name=user.display_name,
        locale=user.locale,
        state=user_pb2.UserState.Value(f"USER_STATE_{user.state}"),
        partner_id=user.partner_id,
        external_reference=user.external_reference,
        roles=[scope_pb2.Role.Value(f"ROLE_{role.upper()}") for role in user.roles],
        etag=str(user.revision),
    )
    message.create_time.FromDatetime(user.created_at)
    message.update_time.FromDatetime(user.updated_at)
    return message


def _state_name(state: "user_pb2.UserState.ValueType") -> str:
    return user_pb2.UserState.Name(state).removeprefix("USER_STATE_")
