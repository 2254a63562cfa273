"""The RPCs of UserService that change users."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from google.protobuf.message import Message
from weft.user.v1 import events_pb2, user_pb2
from weft.user.v1 import user_changes_pb2 as pb

from chassis.clock import Clock
from chassis.errors import RequestInvalid, ScopeMissing
from chassis.rpc.call import Call
from chassis.rpc.requests import masks
from chassis.security.identity import Identity
from chassis.storage.database import Database
from services.user.audit.audit import Audit
from services.user.audit.domain import changed_fields
from services.user.roles.repository import RoleRepository
from services.user.sessions.repository import SessionRepository
from services.user.users.domain import (
    ADMIN,
    OPERATOR,
    ChangeNeedsVerification,
    User,
    normal_locale,
    refuse_unmailable,
)
from services.user.users.events import UserEvents
from services.user.users.messages import addresses_of, to_message
from services.user.users.profile import normal_addresses, normal_time_zone
from services.user.users.repository import UserRepository
from services.user.users.visible import lock_visible

ADMINISTER = "users.admin"
_PLAIN = {"email", "display_name", "given_name", "family_name", "phone", "external_reference"}
_STAMPS = frozenset({"phone_verified_at"})


class UserChangeHandlers:
    """The part of weft.user.v1.UserService that changes users."""

    def __init__(
        self,
        database: Database,
        users: UserRepository,
        roles: RoleRepository,
        sessions: SessionRepository,
        events: UserEvents,
        audit: Audit,
        clock: Clock,
    ) -> None:
        self._database = database
        self._users = users
        self._roles = roles
        self._sessions = sessions
        self._events = events
        self._audit = audit
        self._clock = clock

    async def UpdateUser(self, request: pb.UpdateUserRequest, call: Call) -> user_pb2.User:
        """Updates the fields of the mask, or those that are present. What stays the same changes nothing, not even the etag."""
        requested, now = request.user, self._clock.now()
        async with self._database.transaction() as tx:
            user = await lock_visible(tx, self._users, requested.user_id, call.caller)
            changed = user.update(now, requested.etag, _changes(request, user, now))
            _refuse_foreign(user, changed, call.caller)
            if changed is not user:
                await self._users.update(tx, changed)
                fields = sorted(set(changed_fields(user, changed)) - _STAMPS)
                await self._audit.record(tx, call, "user.updated", subject=user.user_id, fields=fields)
                payload = events_pb2.UserUpdated(user_id=user.user_id, fields=fields)
                await self._events.put(tx, "user.updated", user.user_id, payload, call.caller.actor)
        return to_message(changed)

    async def DeactivateUser(self, request: pb.DeactivateUserRequest, call: Call) -> user_pb2.User:
        """Ends the sessions, and revokes their access tokens."""
        return await self._move(
            request, call, "user.deactivated", events_pb2.UserDeactivated, User.deactivate, closes=True
        )

    async def ReactivateUser(self, request: pb.ReactivateUserRequest, call: Call) -> user_pb2.User:
        """The person signs in again."""
        return await self._move(request, call, "user.reactivated", events_pb2.UserReactivated, User.reactivate)

    async def LockUser(self, request: pb.LockUserRequest, call: Call) -> user_pb2.User:
        """Ends the sessions, and revokes their access tokens."""
        return await self._move(request, call, "user.locked", events_pb2.UserLocked, User.lock, closes=True)

    async def UnlockUser(self, request: pb.UnlockUserRequest, call: Call) -> user_pb2.User:
        """The person signs in again."""
        return await self._move(request, call, "user.unlocked", events_pb2.UserUnlocked, User.unlock)

    async def _move(
        self,
        request: Any,
        call: Call,
        action: str,
        payload: Callable[..., Message],
        change: Callable[[User, datetime], User],
        *,
        closes: bool = False,
    ) -> user_pb2.User:
        now = self._clock.now()
        async with self._database.transaction() as tx:
            if closes:
                await self._roles.require_other_admin(tx, request.user_id)
            user = await lock_visible(tx, self._users, request.user_id, call.caller)
            user.require(request.etag)
            changed = change(user, now)
            await self._users.update(tx, changed)
            if closes:
                refuse_below(user, call.caller)
                await self._sessions.end_others(tx, user.user_id, "", now)
            await self._audit.record(tx, call, action, subject=user.user_id, fields=("state",))
            event = payload(user_id=user.user_id, of_partner=bool(user.partner_id))
            await self._events.put(tx, action, user.user_id, event, call.caller.actor)
            reply = to_message(changed)
            await call.remember(tx, reply)
        return reply


def refuse_below(user: User, caller: Identity) -> None:
    """Raise `ScopeMissing` where an operator closes the account of another operator without being an admin."""
    if {OPERATOR, ADMIN} & set(user.roles) and user.user_id != caller.user_id and ADMINISTER not in caller.scopes:
        raise ScopeMissing(scope=ADMINISTER)


def _changes(request: pb.UpdateUserRequest, user: User, now: datetime) -> dict[str, Any]:
    """What an update changes, by the names of `User`, in its normal form. Raises `RequestInvalid`."""
    fields, given = masks.fields(request, "user"), request.user
    changes: dict[str, Any] = {name: getattr(given, name) for name in fields & _PLAIN}
    if "locale" in fields:
        changes["locale"] = normal_locale(given.locale, "user.")
    if "time_zone" in fields:
        changes["time_zone"] = normal_time_zone(given.time_zone, "user.")
    if "addresses" in fields:
        known = [address.address_id for address in user.addresses]
        changes["addresses"] = normal_addresses(addresses_of(given.addresses), known, now, "user.")
    if "metadata" in fields:
        changes["metadata"] = dict(given.metadata)
    if changes.get("email", user.email) != user.email:
        refuse_unmailable(given.email, "user.email")
    if changes.get("phone", user.phone) != user.phone:
        changes["phone_verified_at"] = None
    return changes


def _refuse_foreign(user: User, changed: User, caller: Identity) -> None:
    """Raise for what is changed in another way: a person proves an address, and a reference is the partner's."""
    own = not (caller.is_partner or caller.is_operator)
    for field in ("email", "phone"):
        if getattr(user, field) != getattr(changed, field) and (own or not user.partner_id):
            raise ChangeNeedsVerification(field=field)
    if own and user.external_reference != changed.external_reference:
        raise RequestInvalid(violations=[("user.external_reference", "is set by partners and operators")])
