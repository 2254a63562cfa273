"""Calls about users, as tests make them."""

from typing import Any

from weft.user.v1 import user_pb2
from weft.user.v1.address_pb2 import PostalAddress
from weft.user.v1.user_changes_pb2 import UpdateUserRequest
from weft.user.v1.user_service_pb2 import CreateUserRequest

from tests.user.world import Metadata, World


async def update(world: World, caller: Metadata, user_id: str, mask: tuple[str, ...] = (), /, **fields: Any) -> Any:
    request = UpdateUserRequest(user=user_pb2.User(user_id=user_id, **fields))
    request.update_mask.paths.extend(mask)
    return await world.users.UpdateUser(request, metadata=caller)


HOME: dict[str, Any] = {"lines": ["Herrengasse 16"], "locality": "Graz", "postal_code": "8010", "region_code": "AT"}


WORK: dict[str, Any] = {"lines": ["Kärntner Ring 1"], "locality": "Wien", "postal_code": "1010", "region_code": "AT"}


async def shop(world: World) -> Metadata:
    """A client of a partner."""
    operator = await world.operator()
    return await world.client_metadata(await world.client(operator, await world.partner(operator)))


async def create(world: World, caller: Metadata, /, **fields: Any) -> user_pb2.User:
    return await world.users.CreateUser(CreateUserRequest(email=world.email("ada"), **fields), metadata=caller)


BAD: list[tuple[str, dict[str, Any]]] = [
    ("given_name", {"given_name": "x" * 101}),
    ("family_name", {"family_name": "x" * 101}),
    ("display_name", {"display_name": "x" * 101}),
    ("phone", {"phone": "0660 123456"}),
    ("time_zone", {"time_zone": "Middle-earth/Shire"}),
    ("locale", {"locale": "de-de-de"}),
    ("external_reference", {"external_reference": "x" * 101}),
    ("addresses", {"addresses": [PostalAddress(**HOME)] * 11}),
    ("addresses[1].locality", {"addresses": [PostalAddress(**HOME), PostalAddress(**{**HOME, "locality": ""})]}),
    ("addresses[0].lines", {"addresses": [PostalAddress(**{**HOME, "lines": []})]}),
    ("addresses[0].region_code", {"addresses": [PostalAddress(**{**HOME, "region_code": "XX"})]}),
    ("addresses[1].is_default", {"addresses": [PostalAddress(**HOME, is_default=True)] * 2}),
    ("addresses[0].address_id", {"addresses": [PostalAddress(**HOME, address_id="adr_01k00000000000000000000000")]}),
    ('metadata["a b"]', {"metadata": {"a b": ""}}),
    ('metadata["a"]', {"metadata": {"a": "x" * 501}}),
    ("metadata", {"metadata": {f"n{number}": "" for number in range(21)}}),
]
