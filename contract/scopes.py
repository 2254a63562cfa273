"""What a token allows and who may hold it: the values of `weft.api.v1.Scope`."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import EnumValueDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from weft.api.v1 import scope_pb2

from contract.method import Caller, Method

_OPERATORS = frozenset(("operator", "admin"))


@dataclass(frozen=True)
class Scope:
    """One scope: its name on the wire (`orders.write`), the roles that hold it (`customer`), and whether partners may.

    `members`: the roles of a partner's people who hold it, if the partner does or it is about the partner itself
    (`own_partner`). `includes`: the names of other scopes that come with it.
    """

    name: str
    symbol: str
    roles: frozenset[str]
    partners: bool
    members: frozenset[str] = frozenset()
    own_partner: bool = False
    includes: frozenset[str] = frozenset()


def read(pool: DescriptorPool) -> dict[int, Scope]:
    """Every scope by its number in the enum, in the enum's order."""
    return {value.number: _scope(value) for value in pool.FindEnumTypeByName("weft.api.v1.Scope").values[1:]}


def by_role(scopes: Mapping[int, Scope]) -> dict[str, tuple[str, ...]]:
    """The names of the scopes that each role holds."""
    roles = [role.removeprefix("ROLE_").lower() for role in scope_pb2.Role.keys()[1:]]
    return {role: tuple(scope.name for scope in scopes.values() if role in scope.roles) for role in roles}


def of_member(scopes: Mapping[int, Scope], role: str, granted: Collection[str]) -> tuple[str, ...]:
    """The names of the scopes of one of a partner's people, sorted. `granted`: those of the partner."""
    return tuple(sorted(s.name for s in scopes.values() if role in s.members and (s.own_partner or s.name in granted)))


def accepted(scopes: Mapping[int, Scope], name: str) -> frozenset[str]:
    """The scopes of which one has to be held for what `name` allows."""
    return frozenset({name, *(scope.name for scope in scopes.values() if name in scope.includes)})


def faults(scopes: Mapping[int, Scope]) -> Iterator[str]:
    """A sentence for each scope that is invalid, with what to write."""
    for scope in scopes.values():
        if not re.fullmatch(r"SCOPE_[A-Z]+_[A-Z]+", scope.symbol):
            yield f"weft.api.v1.Scope.{scope.symbol} is not named after a noun and a verb: write it as SCOPE_ORDERS_WRITE."
        if not scope.roles and not scope.partners:
            yield (
                f"weft.api.v1.Scope.{scope.symbol} is held by nobody: write [(held_by) = {{roles: [ROLE_ADMIN]}}] or "
                "`partners: true`, or drop it."
            )


def faults_of_method(method: Method, scope: Scope) -> Iterator[str]:
    """A sentence for each kind of caller that can never hold the scope that the method requires."""
    holders = {
        Caller.USER: bool(scope.roles),
        Caller.OPERATOR: bool(scope.roles & _OPERATORS),
        Caller.PARTNER: scope.partners,
        Caller.MEMBER: bool(scope.members),
    }
    for caller, held in holders.items():
        if caller in method.callers and not held:
            remedy = {Caller.PARTNER: "partners: true", Caller.MEMBER: "members"}.get(caller, "a role")
            yield (
                f"{method.full_name} is open to CALLER_{caller.name}, none of whom can hold {scope.symbol}: drop the caller, "
                f"or add {remedy} to the scope's `held_by`."
            )


def _scope(value: EnumValueDescriptor) -> Scope:
    options = descriptor_pb2.EnumValueOptions.FromString(value.GetOptions().SerializeToString())
    holders = options.Extensions[scope_pb2.held_by]
    roles = frozenset(scope_pb2.Role.Name(role).removeprefix("ROLE_").lower() for role in holders.roles)
    return Scope(
        _name(value.name),
        value.name,
        roles,
        holders.partners,
        frozenset(member_role(role) for role in holders.members),
        holders.own_partner,
        frozenset(_name(scope_pb2.Scope.Name(scope)) for scope in holders.includes),
    )


def member_role(value: "scope_pb2.MemberRole.ValueType") -> str:
    """The name of a role of a partner's people, as in tokens."""
    return scope_pb2.MemberRole.Name(value).removeprefix("MEMBER_ROLE_").lower()


def _name(symbol: str) -> str:
    return symbol.removeprefix("SCOPE_").lower().replace("_", ".")
