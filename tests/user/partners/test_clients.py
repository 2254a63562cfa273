"""Partners' clients: their scopes, and secrets that are seen once."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from weft.api.v1 import plan_pb2
from weft.api.v1.mode_pb2 import MODE_TEST
from weft.user.v1 import partner_pb2
from weft.user.v1.oauth_service_pb2 import TokenRequest
from weft.user.v1.partner_pb2 import ClientSettings
from weft.user.v1.partner_service_pb2 import (
    CreateClientRequest,
    GetPartnerRequest,
    ListClientsRequest,
    RevokeClientRequest,
    RotateClientSecretRequest,
    SuspendPartnerRequest,
    UpdateClientRequest,
)

from tests.harness import assert_refused, reason_of
from tests.servers import until
from tests.user.world import Person, World, change, request_token


async def test_a_secret_is_returned_once_and_stored_as_a_hash(world: World, operator: Person) -> None:
    partner = await world.partner(operator)
    client = await world.client(operator, partner)
    assert len(client.secret) > 40
    assert (client.partner_id, list(client.scopes)) == (partner.partner_id, list(partner.scopes))
    (shown,) = await clients_of(world, operator, partner)
    assert shown.secret == ""
    secret = client.secret
    client.ClearField("secret")
    assert shown == client
    stored = str(await world.rows("SELECT client_secrets::text, clients::text FROM client_secrets, clients"))
    assert secret not in stored
    assert secret.encode().hex() not in stored


async def clients_of(world: World, operator: Person, partner: partner_pb2.Partner, **page: Any) -> Any:
    request = ListClientsRequest(partner_id=partner.partner_id, **page)
    return (await world.partners.ListClients(request, metadata=operator.metadata)).clients


async def test_clients_are_listed_by_pages(world: World, operator: Person) -> None:
    partner, other = await world.partner(operator), await world.partner(operator, "Other")
    made = [await world.client(operator, partner) for _ in range(3)]
    await world.client(operator, other)
    wanted = sorted((client.client_id for client in made), reverse=True)
    found, token = [], ""
    for _ in range(2):
        request = ListClientsRequest(partner_id=partner.partner_id, page_size=2, page_token=token)
        reply = await world.partners.ListClients(request, metadata=operator.metadata)
        found += [client.client_id for client in reply.clients]
        token = reply.next_page_token
    assert (found, token) == (wanted, "")


async def test_a_client_holds_no_more_than_its_partner(world: World, operator: Person) -> None:
    partner = await world.partner(operator, scopes="orders.read users.read")
    request = CreateClientRequest(
        partner_id=partner.partner_id, display_name="X", scopes=["users.write", "orders.read", "orders.write"]
    )
    await assert_refused(
        world.partners.CreateClient(request, metadata=operator.metadata),
        "SCOPE_NOT_GRANTED",
        scopes="orders.write users.write",
    )


async def test_scopes_that_a_partner_loses_its_clients_lose_at_the_next_token(world: World, operator: Person) -> None:
    partner = await world.partner(operator, scopes="orders.read users.read")
    client = await world.client(operator, partner)
    assert (await request_token(world, client)).body["scope"] == "orders.read users.read"
    await change(world, operator, partner, scopes=["orders.read", "orders.write"], plan=plan_pb2.PLAN_PREMIUM)
    answer = await request_token(world, client)
    assert answer.body["scope"] == "orders.read"
    assert (await world.claims(answer.body["access_token"]))["plan"] == "premium"
    await change(world, operator, partner, scopes=["payments.read"])
    answer = await request_token(world, client)
    assert (answer.status, answer.body["error"]) == (400, "invalid_scope")


async def test_a_rotated_secret_works_for_a_day_more(world: World, operator: Person) -> None:
    partner = await world.partner(operator)
    client = await world.client(operator, partner)
    request = RotateClientSecretRequest(partner_id=partner.partner_id, client_id=client.client_id)
    rotated = await world.partners.RotateClientSecret(request, metadata=operator.metadata)
    assert rotated.secret not in ("", client.secret)

    world.clock.advance(timedelta(hours=23, minutes=59))
    assert [(await request_token(world, c)).status for c in (client, rotated)] == [200, 200]
    world.clock.advance(timedelta(minutes=1))
    assert [(await request_token(world, c)).status for c in (client, rotated)] == [401, 200]


async def test_a_revoked_client_gets_no_tokens_and_stays_revoked(world: World, operator: Person) -> None:
    partner = await world.partner(operator)
    client = await world.client(operator, partner)
    named = {"partner_id": partner.partner_id, "client_id": client.client_id}
    call = world.partners.RevokeClient(RevokeClientRequest(**named), metadata=operator.metadata)
    await call
    assert ("x-http-status", "204") in tuple(await call.initial_metadata())
    revoked_at = world.clock.now()
    world.clock.advance(timedelta(hours=1))
    await world.partners.RevokeClient(RevokeClientRequest(**named), metadata=operator.metadata)

    (shown,) = await clients_of(world, operator, partner)
    assert shown.revoke_time.ToDatetime(revoked_at.tzinfo) == revoked_at
    answer = await request_token(world, client)
    assert (answer.status, answer.body["error"]) == (401, "invalid_client")
    rotation = world.partners.RotateClientSecret(RotateClientSecretRequest(**named), metadata=operator.metadata)
    await assert_refused(rotation, "CLIENT_NOT_FOUND")


async def test_a_client_of_another_partner_is_not_found(world: World, operator: Person) -> None:
    partner, other = await world.partner(operator), await world.partner(operator, "Other")
    client = await world.client(operator, other)
    named = {"partner_id": partner.partner_id, "client_id": client.client_id}
    for call in (
        world.partners.RotateClientSecret(RotateClientSecretRequest(**named), metadata=operator.metadata),
        world.partners.RevokeClient(RevokeClientRequest(**named), metadata=operator.metadata),
    ):
        await assert_refused(call, "CLIENT_NOT_FOUND", client_id=client.client_id)
    assert (await request_token(world, client)).status == 200


async def test_the_last_use_is_known_to_the_minute(world: World, operator: Person) -> None:
    partner = await world.partner(operator)
    client = await world.client(operator, partner)
    (shown,) = await clients_of(world, operator, partner)
    assert not shown.HasField("last_use_time")
    await request_token(world, client)
    minute = int(world.clock.now().timestamp()) // 60 * 60
    (shown,) = await clients_of(world, operator, partner)
    assert (shown.last_use_time.seconds, shown.last_use_time.nanos) == (minute, 0)
    world.clock.advance(timedelta(minutes=5))
    await request_token(world, client)
    (shown,) = await clients_of(world, operator, partner)
    assert shown.last_use_time.seconds == minute + 300


async def test_a_client_that_may_looks_after_its_own_partner_and_no_other(world: World, operator: Person) -> None:
    partner = await world.partner(operator, scopes="partners.admin orders.read")
    other = await world.partner(operator, "Other", scopes="partners.admin")
    metadata = await world.client_metadata(await world.client(operator, partner))
    theirs = await world.client(operator, other)
    rpc = world.partners
    new = {"display_name": "X", "scopes": ["orders.read"]}
    made = await rpc.CreateClient(CreateClientRequest(partner_id=partner.partner_id, **new), metadata=metadata)
    own = {"partner_id": partner.partner_id, "client_id": made.client_id}
    await rpc.RotateClientSecret(RotateClientSecretRequest(**own), metadata=metadata)
    await rpc.RevokeClient(RevokeClientRequest(**own), metadata=metadata)
    reply = await rpc.ListClients(ListClientsRequest(partner_id=partner.partner_id), metadata=metadata)
    assert len(reply.clients) == 2

    foreign = {"partner_id": other.partner_id, "client_id": theirs.client_id}
    calls = {
        rpc.CreateClient(
            CreateClientRequest(partner_id=other.partner_id, **new), metadata=metadata
        ): "PARTNER_NOT_FOUND",
        rpc.ListClients(ListClientsRequest(partner_id=other.partner_id), metadata=metadata): "PARTNER_NOT_FOUND",
        rpc.RotateClientSecret(RotateClientSecretRequest(**foreign), metadata=metadata): "CLIENT_NOT_FOUND",
        rpc.RevokeClient(RevokeClientRequest(**foreign), metadata=metadata): "CLIENT_NOT_FOUND",
        rpc.GetPartner(GetPartnerRequest(partner_id=partner.partner_id), metadata=metadata): "CALLER_NOT_ALLOWED",
        rpc.SuspendPartner(
            SuspendPartnerRequest(partner_id=partner.partner_id), metadata=metadata
        ): "CALLER_NOT_ALLOWED",
    }
    for call, reason in calls.items():
        await assert_refused(call, reason)
    assert (await request_token(world, theirs)).status == 200


async def test_two_secrets_work_at_a_time_and_others_end_when_asked(world: World, operator: Person) -> None:
    partner = await world.partner(operator)
    made = [await world.client(operator, partner)]
    named = {"partner_id": partner.partner_id, "client_id": made[0].client_id}
    for days in (0, 30):
        world.clock.advance(timedelta(seconds=1))
        request = RotateClientSecretRequest(**named, secret_lifetime_days=days)
        made.append(await world.partners.RotateClientSecret(request, metadata=operator.metadata))
    assert [(await request_token(world, client)).status for client in made] == [401, 200, 200]
    now = world.clock.now()
    (shown,) = await clients_of(world, operator, partner)
    ends = [secret.expire_time.ToDatetime(now.tzinfo) for secret in shown.secrets]
    assert ends == [now + timedelta(days=30), now + timedelta(days=1)]
    assert shown.secrets == made[-1].secrets

    token = (await request_token(world, made[1])).body["access_token"]
    mine = ListClientsRequest(partner_id=partner.partner_id)
    request = RotateClientSecretRequest(**named, end_others=True)
    made.append(await world.partners.RotateClientSecret(request, metadata=operator.metadata))
    assert [(await request_token(world, client)).status for client in made] == [401, 401, 401, 200]
    assert len(made[-1].secrets) == 1

    async def revoked() -> bool:
        call = world.partners.ListClients(mine, metadata=[("authorization", f"Bearer {token}")])
        return await reason_of(call) == "TOKEN_REVOKED"

    await until(revoked, "the token to be revoked")
    world.clock.advance(timedelta(days=29))
    assert (await request_token(world, made[-1])).status == 200


async def test_a_client_is_used_from_its_networks_only(world: World, operator: Person) -> None:
    partner = await world.partner(operator, scopes="users.read partners.admin")
    request = CreateClientRequest(
        partner_id=partner.partner_id,
        display_name="Shop",
        scopes=list(partner.scopes),
        allowed_networks=["203.0.113.9/24", "2001:DB8:0::/32", "::ffff:198.51.100.7", "203.0.113.0/24"],
    )
    client = await world.partners.CreateClient(request, metadata=operator.metadata)
    assert list(client.allowed_networks) == ["203.0.113.0/24", "2001:db8::/32", "198.51.100.7/32"]

    async def token(address: str) -> Any:
        form = urlencode({"grant_type": "client_credentials"}).encode()
        basic = (client.client_id, client.secret)
        return await world.post(world.oauth.Token, TokenRequest, form, basic, metadata=world.at(address))

    within = ("203.0.113.200", "2001:db8:ffff::1", "198.51.100.7", "::ffff:203.0.113.1")
    without = ("203.0.114.1", "2001:db9::1", "198.51.100.8", "nonsense")
    for address in without:
        answer = await token(address)
        assert (answer.status, answer.body["error"]) == (400, "unauthorized_client"), address
    bearer = [("authorization", f"Bearer {(await token(within[0])).body['access_token']}")]
    listing = ListClientsRequest(partner_id=partner.partner_id)
    for address in within:
        await world.partners.ListClients(listing, metadata=[*bearer, *world.at(address)])
    for address in without:
        await assert_refused(
            world.partners.ListClients(listing, metadata=[*bearer, *world.at(address)]), "ADDRESS_NOT_ALLOWED"
        )
    settings = ClientSettings(
        partner_id=partner.partner_id, client_id=client.client_id, allowed_networks=["10.0.0.0/8", "10.0.0.0/33"]
    )
    update = world.partners.UpdateClient(UpdateClientRequest(client=settings), metadata=operator.metadata)
    await assert_refused(update, "REQUEST_INVALID", violations={"client.allowed_networks[1]": "must be an IP address"})
    settings.allowed_networks.pop()
    await world.partners.UpdateClient(UpdateClientRequest(client=settings), metadata=operator.metadata)

    async def revoked() -> bool:
        call = world.partners.ListClients(listing, metadata=[*bearer, *world.at(within[0])])
        return await reason_of(call) == "TOKEN_REVOKED"

    await until(revoked, "the token of the former list to be revoked")


async def test_an_app_that_people_sign_in_to_is_in_live(world: World, operator: Person) -> None:
    partner = await world.partner(operator)
    request = CreateClientRequest(
        partner_id=partner.partner_id,
        display_name="App",
        scopes=["users.read"],
        mode=MODE_TEST,
        redirect_uris=["https://shop.example/callback"],
    )
    call = world.partners.CreateClient(request, metadata=operator.metadata)
    await assert_refused(
        call, "REQUEST_INVALID", violations={"grant_types": "must not contain GRANT_TYPE_AUTHORIZATION_CODE"}
    )
