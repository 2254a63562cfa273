"""Who may see what: every RPC with an `owner`, called by its owner, by strangers and by nobody."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import json_format
from google.rpc import code_pb2

from chassis import ids
from contract import Caller, Method, rules
from tests import servers
from tests.contract.sizes.requests import CONTRACT, SAMPLES, empty, is_map
from tests.harness import Running, reason_of

OWNED = [method for method in CONTRACT.methods if method.owner]
Ids = Mapping[str, str]
"""By the names of fields: `{"order_id": "ord_…"}`."""
Own = Callable[["Actor"], Awaitable[Ids]]
_UNSET = ("etag", "mode", "external_reference", "page_token", "cursor", "email", "phone", "address_id", "update_mask")
"""Fields of a mutation's sample that would be refused, or be refused the second time."""


@dataclass(frozen=True)
class Actor:
    """Someone who calls. What two actors of one `group` own belongs to both: a partner and its customer.

    What a partner has in another mode is another group's, which has only the partner itself in common with it.
    """

    name: str
    kind: Caller | None
    group: str
    token: str = field(default="", repr=False)
    role: str = ""
    """Of one of a partner's people, whose token has the scopes of the role; others have all."""
    app: bool = False
    """A partner's app that acts for the user, with every scope."""
    refusal: str = ""
    """Of every call, for a token that is none."""

    def refused(self, method: Method) -> str:
        """Why a method is not for the actor at all; empty where it is."""
        if self.refusal:
            return self.refusal
        if not self.may_call(method) or (self.app and not method.apps):
            return "CALLER_NOT_ALLOWED"
        if self.role and method.scope and CONTRACT.accepted_scopes(method.scope).isdisjoint(scopes_of(self.role)):
            return "SCOPE_MISSING"
        return ""

    def may_call(self, method: Method) -> bool:
        """An operator is a user, too, who owns nothing."""
        if self.kind is Caller.MEMBER:
            return bool({Caller.PARTNER, Caller.MEMBER} & method.callers)
        return self.kind in method.callers or (self.kind is Caller.OPERATOR and Caller.USER in method.callers)

    def sees_all(self, method: Method) -> bool:
        """Operators see what is anybody's, where they may call as operators."""
        return self.kind is Caller.OPERATOR and Caller.OPERATOR in method.callers


@dataclass(frozen=True)
class World:
    """A running service, those who call it, and what makes a new thing of a group's."""

    running: Running
    actors: tuple[Actor, ...]
    create: Callable[[str], Awaitable[Ids]]
    prepare: Callable[[Method, Ids], Awaitable[None]] | None = None
    """Brings what was created into the state that a method asks for."""

    @property
    def groups(self) -> list[str]:
        """The groups that own things."""
        return sorted({actor.group for actor in self.actors if actor.group})


def owned_by_field(package: str) -> list[Method]:
    """The methods of a package whose `owner` names a field."""
    return [method for method in OWNED if method.package == package and method.owner != "*"]


def ownerless(package: str) -> list[Method]:
    """The methods of a package that ask for a token, and whose request names nothing that is somebody's."""
    return [m for m in CONTRACT.methods if m.package == package and not (m.owner or m.public or m.internal)]


def scopes_of(role: str) -> tuple[str, ...]:
    """Those of a partner's person, where the partner has all."""
    return CONTRACT.scopes_of_member(role, [scope.name for scope in CONTRACT.scopes.values() if scope.partners])


def filtered(package: str) -> list[Method]:
    """The methods of a package that return what is the caller's."""
    return [method for method in OWNED if method.package == package and method.owner == "*"]


async def check_field(world: World, method: Method) -> None:
    """The owner and an operator are answered or told of the thing's state; strangers learn nothing, as of what does not exist."""
    things: dict[str, Ids] = {}

    async def own(actor: Actor) -> Ids:
        """What is the group's of an actor: made once, for calls that are refused change nothing of it."""
        if actor.group not in things:
            things[actor.group] = await world.create(actor.group)
        return things[actor.group]

    for group in world.groups:
        known: Ids = {}
        for actor in world.actors:
            case = f"{actor.name} calls {method.full_name} with what belongs to {group}"
            known = known or await _prepared(world, method, group)
            reason = await reason_of(_call(world, method, actor, request(method, known)))
            if refused := actor.refused(method):
                assert reason == refused, case
            elif actor.group == group or actor.sees_all(method) or await _same_partner(own, method, actor, known):
                assert reason in _answers(method, actor), (case, reason)
                known = known if method.read_only else {}
            else:
                assert reason.endswith("_NOT_FOUND"), case
                missing = request(method, _missing(method, known))
                assert reason == await reason_of(_call(world, method, actor, missing)), case
                await _check_mixed(world, own, method, actor, known)


async def _prepared(world: World, method: Method, group: str) -> Ids:
    """A new thing of a group's, in the state that the method asks for: until a call of its owner has changed it."""
    known = await world.create(group)
    if world.prepare is not None:
        await world.prepare(method, known)
    name, service = method.owner.rpartition(".")[2], method.package.split(".")[1]
    assert name in known, f"{method.full_name}: return {name!r} from `create` in tests/{service}/ownership_world.py"
    return known


async def _same_partner(own: Own, method: Method, actor: Actor, known: Ids) -> bool:
    """Whether the call names the actor's own partner, and nothing that belongs to it in another mode."""
    named = [v.rpartition(".")[2] for v in method.route.variables] if method.route else []
    only_partner = named == ["partner_id"] or (actor.kind is Caller.MEMBER and "partner_id" in named)
    return only_partner and bool(actor.group) and (await own(actor))["partner_id"] == known["partner_id"]


_STATES = (code_pb2.FAILED_PRECONDITION, code_pb2.RESOURCE_EXHAUSTED)


def _answers(method: Method, actor: Actor) -> set[str]:
    """What the owner may be answered: success, or that the thing, which was found, is not in a state for it.

    A partner's person may be told that it takes another role.
    """
    role = {"CLIENT_MODE_NOT_ALLOWED", "SCOPE_MISSING"} if actor.role not in ("", "owner") else set()
    return {"", *role, *(reason.name for reason in method.errors if reason.code in _STATES)}


async def _check_mixed(world: World, own: Own, method: Method, actor: Actor, known: Ids) -> None:
    """A stranger's own owner does not open the way to another's thing."""
    if method.route is None or len(method.route.variables) < 2 or not actor.group:
        return
    name = method.owner.rpartition(".")[2]
    mixed = {**known, name: (await own(actor))[name]}
    reason = await reason_of(_call(world, method, actor, request(method, mixed)))
    assert reason.endswith("_NOT_FOUND"), (actor.name, method.full_name)


async def check_list(world: World, method: Method) -> None:
    """Everyone sees what is their own, operators everything; nobody else is answered."""
    made = {group: await world.create(group) for group in world.groups}
    for actor in world.actors:
        if await _refused(world, method, actor):
            continue
        await _check_seen(world, method, actor, made)


async def _check_seen(world: World, method: Method, actor: Actor, made: Mapping[str, Ids]) -> None:
    visible = _visible(actor, method, made)

    async def sees_all() -> bool:
        seen = _seen(await _call(world, method, actor, empty(method).SerializeToString()), made)
        assert seen <= visible, (actor.name, method.full_name)
        return seen == visible

    # What is listed in the order of its commits waits for every transaction of the database server, also those of other tests.
    await servers.until(sees_all, f"{actor.name} to see what is theirs in {method.full_name}")


def is_endless(method: Method) -> bool:
    """Whether a method streams for as long as its caller stays; an export ends with what there is."""
    return method.server_streaming and method.name.startswith("Watch")


async def check_callers(world: World, method: Method) -> None:
    """Whoever may not call is refused as such, before the request is looked at. Nobody else calls."""
    for actor in world.actors:
        await _refused(world, method, actor)


async def check_stream(world: World, method: Method) -> None:
    """The same of a stream: all have one open while things are made; each reads up to the last that is theirs."""
    allowed = [actor for actor in world.actors if not await _refused(world, method, actor)]
    calls = {actor.name: _open(world, method, actor) for actor in allowed}
    for call in calls.values():
        await asyncio.wait_for(call.read(), 10)  # it has begun
    made = {group: await world.create(group) for group in world.groups}
    # Whoever sees what is not theirs sees it before what is made last.
    ends = {group: await world.create(group) for group in world.groups}
    for actor in allowed:
        if not actor.group and not actor.sees_all(method):
            continue  # an operator who, as a person, has nothing: no end would come
        last = actor.group or world.groups[-1]
        end = {last: {name: value for name, value in ends[last].items() if value != made[last][name]}}
        seen: set[str] = set()
        async with asyncio.timeout(10):
            while not _seen(raw := await calls[actor.name].read(), end):
                seen |= _seen(raw, made)
        assert seen == _visible(actor, method, made), (actor.name, method.full_name)
    for call in calls.values():
        call.cancel()


def request(method: Method, known: Ids) -> bytes:
    """A request that names these ids wherever it has a field for them; for a mutation, with samples beside them."""
    found: Any = empty(method)
    if not method.read_only:
        sample = SAMPLES.message(found.DESCRIPTOR, request=True)
        json_format.ParseDict(sample, found, ignore_unknown_fields=True)
    _put(found, known, every=not method.read_only)
    return found.SerializeToString()


def _put(message: Any, known: Ids, every: bool) -> None:
    for described in message.DESCRIPTOR.fields:
        name, value = described.name, getattr(message, described.name)
        if name in known and not described.is_repeated and (every or name in message.DESCRIPTOR.fields_by_name):
            setattr(message, name, known[name])
        elif name in _UNSET and not rules.required(described):
            message.ClearField(name)
        elif is_map(described):
            continue
        elif described.message_type is not None and described.message_type.full_name.startswith("weft."):
            parts = value if described.is_repeated else [value] if message.HasField(name) else []
            for part in parts:
                _put(part, known, every)


def _missing(method: Method, known: Ids) -> Ids:
    """The same, with an owner that does not exist."""
    name = method.owner.rpartition(".")[2]
    return {**known, name: ids.new(known[name].partition("_")[0])}


def _seen(reply: bytes, made: Mapping[str, Ids]) -> set[str]:
    """The groups whose things a reply names; a partner that several have in common says nothing."""
    shared = {
        value
        for values in made.values()
        for value in values.values()
        if sum(value in k.values() for k in made.values()) > 1
    }
    return {
        group
        for group, known in made.items()
        if any(value.encode() in reply for value in known.values() if value not in shared)
    }


def _visible(actor: Actor, method: Method, made: Mapping[str, Ids]) -> set[str]:
    return set(made) if actor.sees_all(method) else {actor.group} - {""}


async def _refused(world: World, method: Method, actor: Actor) -> bool:
    """Whether the actor is none of those who may call; then the call was refused as such."""
    expected = actor.refused(method)
    if expected:
        case = f"{actor.name} calls {method.full_name}"
        assert await reason_of(_call(world, method, actor, empty(method).SerializeToString())) == expected, case
    return bool(expected)


async def _call(world: World, method: Method, actor: Actor, data: bytes) -> bytes:
    metadata = [("idempotency-key", secrets.token_hex(8)), *_authorization(actor)]
    if method.server_streaming:
        call = world.running.channel.unary_stream(method.path)(data, metadata=_authorization(actor), timeout=20)
        if not is_endless(method):
            return b"".join([bytes(reply) async for reply in call])
        reply = await call.read()
        call.cancel()
        return bytes(reply)
    return bytes(await world.running.channel.unary_unary(method.path)(data, metadata=metadata, timeout=20))


def _open(world: World, method: Method, actor: Actor) -> Any:
    data = empty(method).SerializeToString()
    return world.running.channel.unary_stream(method.path)(data, metadata=_authorization(actor), timeout=20)


def _authorization(actor: Actor) -> list[tuple[str, str]]:
    return [("authorization", actor.token)] if actor.token else []
