"""How a client may be registered: authentication, grants, redirect URIs and keys; and how that is updated."""

from typing import Any

import pytest
from google.protobuf import json_format, struct_pb2
from joserfc.jwk import ECKey
from weft.user.v1 import partner_pb2 as pb
from weft.user.v1.partner_service_pb2 import RevokeClientRequest, RotateClientSecretRequest, UpdateClientRequest

from services.user.partners.redirects import problem_of_redirect_uri
from tests.harness import assert_refused
from tests.user.world import Person, World, request_token

CALLBACK = "https://shop.example/callback"
NONE, KEY, SECRET = (
    pb.CLIENT_AUTHENTICATION_NONE,
    pb.CLIENT_AUTHENTICATION_PRIVATE_KEY,
    pb.CLIENT_AUTHENTICATION_SECRET,
)
CODE, OWN = pb.GRANT_TYPE_AUTHORIZATION_CODE, pb.GRANT_TYPE_CLIENT_CREDENTIALS


def jwks(*keys: ECKey, private: bool = False) -> struct_pb2.Struct:
    """A key set as a field of a request."""
    return json_format.ParseDict({"keys": [key.as_dict(private=private) for key in keys]}, struct_pb2.Struct())


SMALL = {"kty": "RSA", "e": "AQAB", "n": "v" * 171}
EC = [ECKey.generate_key("P-256", {"kid": f"k{n}"}) for n in range(6)]


@pytest.mark.parametrize(
    ("uri", "native", "fine"),
    [
        (CALLBACK, False, True),
        (CALLBACK + "?from=weft", False, True),
        ("http://127.0.0.1/cb", False, True),
        ("http://127.0.0.1:8123/cb", True, True),
        ("http://[::1]:1/cb", True, True),
        ("http://localhost:3000/cb", False, True),
        ("com.example.app:/cb", True, True),
        ("com.example.app:/cb", False, False),
        ("com.example.app://cb", True, False),
        ("http://shop.example/cb", False, False),
        ("http://127.0.0.1.evil.example/cb", True, False),
        ("https://shop.example/cb#part", False, False),
        ("https://shop.example/cb#", False, False),
        ("https://user@shop.example/cb", False, False),
        ("https://shop.example\\@evil.example/cb", False, False),
        ("https://shop.example/a/../cb", False, False),
        ("https:///cb", False, False),
        ("https://shop.example:port/cb", False, False),
        ("https://shop.example/ü", False, False),
        ("https://shop.example/ cb", False, False),
        ("https://shop.example/cb\nx", False, False),
        ("//shop.example/cb", False, False),
        ("javascript:alert(1)", True, False),
        ("data:text/html,x", True, False),
        ("", True, False),
    ],
)
def test_a_redirect_uri_leads_to_its_owner_and_to_nobody_else(uri: str, native: bool, fine: bool) -> None:
    assert (problem_of_redirect_uri(uri, native=native) == "") is fine


async def test_a_public_client_has_no_secret_and_no_grant_of_its_own(world: World, operator: Person) -> None:
    partner = await world.partner(operator)
    client = await world.client(operator, partner, authentication=NONE, redirect_uris=["com.example.app:/cb"])
    assert (client.secret, list(client.grant_types)) == ("", [CODE])
    answer = await request_token(world, client)
    assert (answer.status, answer.body["error"]) == (401, "invalid_client")
    request = RotateClientSecretRequest(partner_id=partner.partner_id, client_id=client.client_id)
    rotated = world.partners.RotateClientSecret(request, metadata=operator.metadata)
    await assert_refused(rotated, "CLIENT_WITHOUT_SECRET", client_id=client.client_id)


@pytest.mark.parametrize(
    ("field", "more"),
    [
        ("grant_types", {"authentication": NONE, "grant_types": [OWN]}),
        ("redirect_uris", {"grant_types": [CODE]}),
        ("redirect_uris[1]", {"redirect_uris": [CALLBACK, "http://shop.example"]}),
        ("jwks", {"authentication": KEY}),
        ("jwks", {"authentication": NONE, "redirect_uris": [CALLBACK], "jwks": jwks(EC[0])}),
        ("jwks", {"jwks": json_format.ParseDict({"keys": []}, struct_pb2.Struct())}),
        ("jwks", {"jwks": json_format.ParseDict({"keys": "x"}, struct_pb2.Struct())}),
        ("jwks", {"jwks": json_format.ParseDict({"keys": [{"kty": "EC"}]}, struct_pb2.Struct())}),
        ("jwks", {"jwks": json_format.ParseDict({"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}, struct_pb2.Struct())}),
        ("jwks", {"jwks": jwks(EC[0], private=True)}),
        ("jwks", {"jwks": jwks(*EC)}),
        ("jwks", {"jwks": jwks(EC[0], EC[0])}),
        ("jwks", {"jwks": jwks(ECKey.generate_key("P-384"))}),
        ("jwks", {"jwks": json_format.ParseDict({"keys": [SMALL]}, struct_pb2.Struct())}),
    ],
)
async def test_what_cannot_work_is_refused_by_field(
    world: World, operator: Person, field: str, more: dict[str, Any]
) -> None:
    partner = await world.partner(operator)
    await assert_refused(world.client(operator, partner, **more), "REQUEST_INVALID", violations={field: ""})


async def update(world: World, caller: Person, client: pb.Client, *paths: str, **changes: Any) -> pb.Client:
    settings = pb.ClientSettings(partner_id=client.partner_id, client_id=client.client_id, **changes)
    request = UpdateClientRequest(client=settings)
    request.update_mask.paths.extend(paths)
    return await world.partners.UpdateClient(request, metadata=caller.metadata)


async def test_a_client_is_updated_by_its_etag_and_loses_what_it_has_no_use_for(world: World, operator: Person) -> None:
    partner = await world.partner(operator)
    client = await world.client(operator, partner)
    named = await update(world, operator, client, display_name="App", etag=client.etag, redirect_uris=[CALLBACK])
    assert (named.display_name, list(named.redirect_uris), named.etag) == ("App", [CALLBACK], "2")
    assert (await update(world, operator, client, display_name="App")).etag == "2"
    await assert_refused(update(world, operator, client, scopes=["users.read"], etag="1"), "ETAG_MISMATCH", etag="2")
    await assert_refused(
        update(world, operator, client, scopes=["orders.read"]), "SCOPE_NOT_GRANTED", scopes="orders.read"
    )
    both = pb.ClientSettings(authentication=KEY)
    await assert_refused(
        update(world, operator, client, authentication=both.authentication),
        "REQUEST_INVALID",
        violations={"client.jwks": "must be given"},
    )
    assert (await request_token(world, client)).status == 200

    keyed = await update(world, operator, client, authentication=KEY, jwks=jwks(EC[0]))
    assert json_format.MessageToDict(keyed.jwks)["keys"][0]["kid"] == "k0"
    assert (await request_token(world, client)).status == 401
    assert await world.rows("SELECT 1 FROM client_secrets") == []
    cleared = await update(world, operator, client, "redirect_uris")
    assert list(cleared.redirect_uris) == []


async def test_a_client_of_another_partner_or_a_revoked_one_is_not_found(world: World, operator: Person) -> None:
    partner, other = await world.partner(operator), await world.partner(operator, "Other")
    client = await world.client(operator, partner)
    strange = pb.Client(partner_id=other.partner_id, client_id=client.client_id)
    await assert_refused(
        update(world, operator, strange, display_name="X"), "CLIENT_NOT_FOUND", client_id=client.client_id
    )
    revoke = RevokeClientRequest(partner_id=partner.partner_id, client_id=client.client_id)
    await world.partners.RevokeClient(revoke, metadata=operator.metadata)
    await assert_refused(
        update(world, operator, client, display_name="X"), "CLIENT_NOT_FOUND", client_id=client.client_id
    )
