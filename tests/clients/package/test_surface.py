"""No RPC is missing in either flavour, none is there that should not be, and arguments are the request's fields."""

import inspect
from typing import Any

import pytest
import weft_internal
from weft_client import AsyncWeft, Weft

import contract
from codegen.python_client.model import Rpc, Service, services
from codegen.python_client.source import argument

CONTRACT = contract.load()
PUBLIC = services(CONTRACT, internal=False)
INTERNAL = services(CONTRACT, internal=True)
CLIENTS = {
    "asyncio": AsyncWeft("localhost:1"),
    "blocking": Weft("localhost:1"),
    "internal": weft_internal.InternalWeft({}),
}


def _cases() -> list[Any]:
    found = [("internal", s, rpc) for s in (*PUBLIC, *INTERNAL) for rpc in s.rpcs]
    found += [(flavour, s, rpc) for flavour in ("asyncio", "blocking") for s in PUBLIC for rpc in s.rpcs]
    return [pytest.param(*case, id=f"{case[0]}-{case[1].attribute}.{case[2].name}") for case in found]


@pytest.mark.parametrize(("flavour", "service", "rpc"), _cases())
def test_every_rpc_is_a_method_with_the_request_s_fields(flavour: str, service: Service, rpc: Rpc) -> None:
    method = getattr(getattr(CLIENTS[flavour], service.attribute), rpc.name)
    parameters = inspect.signature(method).parameters
    expected = {argument(field.name) for field in rpc.request.fields} | {"timeout"}
    assert set(parameters) == expected | ({"idempotency_key"} if rpc.keyed else set())
    assert {parameter.kind for parameter in parameters.values()} == {inspect.Parameter.KEYWORD_ONLY}
    assert rpc.method.comment.splitlines()[0] in (method.__doc__ or "")
    streams_or_pages = rpc.method.server_streaming or rpc.items is not None
    assert inspect.iscoroutinefunction(method) == (flavour != "blocking" and not streams_or_pages)
    for reason in rpc.method.errors:
        assert reason.comment.splitlines()[0] in method.__doc__


def test_the_three_sets_are_those_of_the_contract() -> None:
    assert {rpc.method.full_name for s in (*PUBLIC, *INTERNAL) for rpc in s.rpcs} == {
        method.full_name for method in CONTRACT.methods
    }


@pytest.mark.parametrize("flavour", ["asyncio", "blocking"])
def test_what_partners_install_has_no_internal_call(flavour: str) -> None:
    client = CLIENTS[flavour]
    for service in INTERNAL:
        known = getattr(client, service.attribute, None)
        assert [rpc.name for rpc in service.rpcs if hasattr(known, rpc.name)] == []


def test_attributes_read_as_people_speak() -> None:
    """Plural where there are several; these names are promised to users."""
    found = {service.descriptor.name: service.attribute for service in (*PUBLIC, *INTERNAL)}
    assert found == found | {
        "AuthService": "auth",
        "EventService": "events",
        "InboxService": "inbox",
        "OAuthService": "oauth",
        "OrderService": "orders",
        "PartnerService": "partners",
        "PaymentService": "payments",
        "ProductService": "products",
        "UserService": "users",
    }
