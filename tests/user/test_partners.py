"""Partners and their clients: plans, scopes, states, and secrets that are seen once."""

import asyncio
from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from weft.api.v1 import plan_pb2
from weft.user.v1 import partner_pb2
from weft.user.v1.partner_service_pb2 import (
    CreateClientRequest,
    CreatePartnerRequest,
    GetPartnerRequest,
    ListClientsRequest,
    ListPartnersRequest,
    ReinstatePartnerRequest,
    RevokeClientRequest,
    RotateClientSecretRequest,
    SuspendPartnerRequest,
    UpdatePartnerRequest,
)

from services.chassis import ids
from tests.harness import refused
from tests.user.world import Answer, Person, World


@pytest.fixture
async def operator(world: World) -> Person:
    """An operator."""
    return await world.operator()


async def ask(world: World, client: partner_pb2.Client, secret: str = "") -> Answer:
    return await world.token((client.client_id, secret or client.secret), grant_type="client_credentials")


async def test_a_partner_is_made_active(world: World, operator: Person) -> None:
    request = CreatePartnerRequest(
        display_name="Acme", plan=plan_pb2.PLAN_STANDARD, scopes=["orders.write", "orders.read"]
    )
    call = world.partners.CreatePartner(request, metadata=operator.metadata)
    partner = await call
    expected = partner_pb2.Partner(
        partner_id=partner.partner_id,
        display_name="Acme",
        plan=plan_pb2.PLAN_STANDARD,
        scopes=["orders.read", "orders.write"],
        state=partner_pb2.PARTNER_STATE_ACTIVE,
        etag="1",
    )
    expected.create_time.FromDatetime(world.clock.now())
    expected.update_time.FromDatetime(world.clock.now())
    assert partner == expected
    assert ("location", f"/v1/partners/{partner.partner_id}") in tuple(await call.initial_metadata())
    found = await world.partners.GetPartner(
        GetPartnerRequest(partner_id=partner.partner_id), metadata=operator.metadata
    )
    assert found == partner


async def test_a_key_makes_one_partner(world: World, operator: Person) -> None:
    request = CreatePartnerRequest(display_name="Acme", plan=plan_pb2.PLAN_FREE, scopes=["orders.read"])
    metadata = [*operator.metadata, ("idempotency-key", "k")]
    first = await world.partners.CreatePartner(request, metadata=metadata)
    assert await world.partners.CreatePartner(request, metadata=metadata) == first


async def test_scopes_that_the_api_does_not_have_are_refused_by_place(world: World, operator: Person) -> None:
    request = CreatePartnerRequest(display_name="Acme", plan=plan_pb2.PLAN_FREE, scopes=["orders.read", "orders.wirte"])
    refusal = await refused(world.partners.CreatePartner(request, metadata=operator.metadata))
    assert (refusal.reason, refusal.violations) == (
        "REQUEST_INVALID",
        {"scopes[1]": "there is no scope orders.wirte"},
    )
    partner = await world.partner(operator)
    refusal = await refused(change(world, operator, partner, scopes=["a.b"]))
    assert refusal.violations == {"partner.scopes[0]": "there is no scope a.b"}


async def test_partners_are_listed_newest_first(world: World, operator: Person) -> None:
    made = [await world.partner(operator, f"P{number}") for number in range(3)]
    wanted = sorted((p.partner_id for p in made), reverse=True)
    found, token = [], ""
    for _ in range(3):
        reply = await world.partners.ListPartners(
            ListPartnersRequest(page_size=1, page_token=token), metadata=operator.metadata
        )
        found += [partner.partner_id for partner in reply.partners]
        token = reply.next_page_token
    assert (found, token) == (wanted, "")


async def change(world: World, operator: Person, partner: partner_pb2.Partner, mask: Any = None, **fields: Any) -> Any:
    request = UpdatePartnerRequest(partner=partner_pb2.Partner(partner_id=partner.partner_id, **fields))
    if mask is not None:
        request.update_mask.CopyFrom(FieldMask(paths=mask))
    return await world.partners.UpdatePartner(request, metadata=operator.metadata)


async def test_an_update_takes_what_is_set_or_what_the_mask_names(world: World, operator: Person) -> None:
    partner = await world.partner(operator)
    world.clock.advance(timedelta(minutes=1))
    renamed = await change(world, operator, partner, display_name="New")
    assert (renamed.display_name, renamed.plan, list(renamed.scopes)) == ("New", partner.plan, list(partner.scopes))
    assert (renamed.etag, renamed.update_time.seconds) == ("2", partner.update_time.seconds + 60)

    masked = await change(world, operator, partner, mask=["plan"], display_name="Ignored", plan=plan_pb2.PLAN_PREMIUM)
    assert (masked.display_name, masked.plan, masked.etag) == ("New", plan_pb2.PLAN_PREMIUM, "3")


async def test_an_update_that_changes_nothing_keeps_the_etag(world: World, operator: Person) -> None:
    partner = await world.partner(operator)
    assert await change(world, operator, partner, display_name=partner.display_name) == partner


async def test_a_stale_etag_is_refused_with_the_current_one(world: World, operator: Person) -> None:
    partner = await world.partner(operator)
    await change(world, operator, partner, display_name="New", etag=partner.etag)
    refusal = await refused(change(world, operator, partner, display_name="Newer", etag=partner.etag))
    assert (refusal.code, refusal.reason, refusal.metadata) == (
        grpc.StatusCode.ABORTED,
        "ETAG_MISMATCH",
        {"etag": "2"},
    )


async def test_of_ten_updates_at_once_with_one_etag_one_is_taken(world: World, operator: Person) -> None:
    partner = await world.partner(operator)
    changes = [change(world, operator, partner, display_name=f"N{n}", etag=partner.etag) for n in range(10)]
    answers = await asyncio.gather(*changes, return_exceptions=True)
    assert sum(isinstance(answer, partner_pb2.Partner) for answer in answers) == 1


@pytest.mark.parametrize(
    ("mask", "fields", "violations"),
    [
        (["state"], {}, {"update_mask": "state cannot be changed"}),
        (["display_name"], {}, {"partner.display_name": "must not be empty"}),
        (["plan"], {}, {"partner.plan": "must not be empty"}),
        (["scopes"], {}, {"partner.scopes": "must not be empty"}),
        (["nonsense"], {}, {"update_mask": "nonsense cannot be changed"}),
    ],
)
async def test_an_update_that_makes_no_sense_is_refused(
    world: World, operator: Person, mask: list[str], fields: dict[str, Any], violations: dict[str, str]
) -> None:
    refusal = await refused(change(world, operator, await world.partner(operator), mask, **fields))
    assert (refusal.reason, refusal.violations) == ("REQUEST_INVALID", violations)


async def test_a_suspended_partner_gets_no_tokens_until_it_is_reinstated(world: World, operator: Person) -> None:
    partner = await world.partner(operator)
    client = await world.client(operator, partner)
    named = {"partner_id": partner.partner_id}
    refusal = await refused(
        world.partners.ReinstatePartner(ReinstatePartnerRequest(**named), metadata=operator.metadata)
    )
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "PARTNER_NOT_SUSPENDED")
    assert refusal.metadata == named

    suspended = await world.partners.SuspendPartner(SuspendPartnerRequest(**named), metadata=operator.metadata)
    assert (suspended.state, suspended.etag) == (partner_pb2.PARTNER_STATE_SUSPENDED, "2")
    answer = await ask(world, client)
    assert (answer.status, answer.body["error"]) == (400, "unauthorized_client")
    refusal = await refused(world.partners.SuspendPartner(SuspendPartnerRequest(**named), metadata=operator.metadata))
    assert (refusal.reason, refusal.metadata) == ("PARTNER_ALREADY_SUSPENDED", named)

    reinstated = await world.partners.ReinstatePartner(ReinstatePartnerRequest(**named), metadata=operator.metadata)
    assert (reinstated.state, reinstated.etag) == (partner_pb2.PARTNER_STATE_ACTIVE, "3")
    assert (await ask(world, client)).status == 200


async def test_a_partner_that_is_not_there_is_not_found_by_any_call(world: World, operator: Person) -> None:
    named = {"partner_id": ids.new("prt")}
    new = {"display_name": "X", "scopes": ["orders.read"]}
    rpc = world.partners
    for call in (
        rpc.GetPartner(GetPartnerRequest(**named), metadata=operator.metadata),
        rpc.UpdatePartner(
            UpdatePartnerRequest(partner=partner_pb2.Partner(display_name="X", **named)), metadata=operator.metadata
        ),
        rpc.SuspendPartner(SuspendPartnerRequest(**named), metadata=operator.metadata),
        rpc.ReinstatePartner(ReinstatePartnerRequest(**named), metadata=operator.metadata),
        rpc.CreateClient(CreateClientRequest(**named, **new), metadata=operator.metadata),
        rpc.ListClients(ListClientsRequest(**named), metadata=operator.metadata),
    ):
        refusal = await refused(call)
        assert (refusal.code, refusal.reason, refusal.metadata) == (
            grpc.StatusCode.NOT_FOUND,
            "PARTNER_NOT_FOUND",
            named,
        )


async def test_a_secret_is_seen_once_and_kept_as_a_hash(world: World, operator: Person) -> None:
    partner = await world.partner(operator)
    client = await world.client(operator, partner)
    assert len(client.secret) > 40
    assert (client.partner_id, list(client.scopes)) == (partner.partner_id, list(partner.scopes))
    (shown,) = await clients_of(world, operator, partner)
    assert shown.secret == ""
    secret = client.secret
    client.ClearField("secret")
    assert shown == client
    kept = str(await world.rows("SELECT client_secrets::text, clients::text FROM client_secrets, clients"))
    assert secret not in kept
    assert secret.encode().hex() not in kept


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
    refusal = await refused(world.partners.CreateClient(request, metadata=operator.metadata))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "SCOPE_NOT_GRANTED")
    assert refusal.metadata == {"scopes": "orders.write users.write"}


async def test_scopes_that_a_partner_loses_its_clients_lose_at_the_next_token(world: World, operator: Person) -> None:
    partner = await world.partner(operator, scopes="orders.read users.read")
    client = await world.client(operator, partner)
    assert (await ask(world, client)).body["scope"] == "orders.read users.read"
    await change(world, operator, partner, scopes=["orders.read", "orders.write"], plan=plan_pb2.PLAN_PREMIUM)
    answer = await ask(world, client)
    assert answer.body["scope"] == "orders.read"
    assert (await world.claims(answer.body["access_token"]))["plan"] == "premium"
    await change(world, operator, partner, scopes=["payments.read"])
    answer = await ask(world, client)
    assert (answer.status, answer.body["error"]) == (400, "invalid_scope")


async def test_a_rotated_secret_works_for_a_day_more(world: World, operator: Person) -> None:
    partner = await world.partner(operator)
    client = await world.client(operator, partner)
    request = RotateClientSecretRequest(partner_id=partner.partner_id, client_id=client.client_id)
    rotated = await world.partners.RotateClientSecret(request, metadata=operator.metadata)
    assert rotated.secret not in ("", client.secret)

    world.clock.advance(timedelta(hours=23, minutes=59))
    assert [(await ask(world, c)).status for c in (client, rotated)] == [200, 200]
    world.clock.advance(timedelta(minutes=1))
    assert [(await ask(world, c)).status for c in (client, rotated)] == [401, 200]


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
    answer = await ask(world, client)
    assert (answer.status, answer.body["error"]) == (401, "invalid_client")
    rotation = world.partners.RotateClientSecret(RotateClientSecretRequest(**named), metadata=operator.metadata)
    assert (await refused(rotation)).reason == "CLIENT_NOT_FOUND"


async def test_a_client_of_another_partner_is_not_found(world: World, operator: Person) -> None:
    partner, other = await world.partner(operator), await world.partner(operator, "Other")
    client = await world.client(operator, other)
    named = {"partner_id": partner.partner_id, "client_id": client.client_id}
    for call in (
        world.partners.RotateClientSecret(RotateClientSecretRequest(**named), metadata=operator.metadata),
        world.partners.RevokeClient(RevokeClientRequest(**named), metadata=operator.metadata),
    ):
        refusal = await refused(call)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "CLIENT_NOT_FOUND")
        assert refusal.metadata == {"client_id": client.client_id}
    assert (await ask(world, client)).status == 200


async def test_the_last_use_is_known_to_the_minute(world: World, operator: Person) -> None:
    partner = await world.partner(operator)
    client = await world.client(operator, partner)
    (shown,) = await clients_of(world, operator, partner)
    assert not shown.HasField("last_use_time")
    await ask(world, client)
    minute = int(world.clock.now().timestamp()) // 60 * 60
    (shown,) = await clients_of(world, operator, partner)
    assert (shown.last_use_time.seconds, shown.last_use_time.nanos) == (minute, 0)
    world.clock.advance(timedelta(minutes=5))
    await ask(world, client)
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
        assert (await refused(call)).reason == reason
    assert (await ask(world, theirs)).status == 200


async def test_customers_have_no_business_here(world: World) -> None:
    person = await world.person("ada")
    refusal = await refused(world.partners.ListPartners(ListPartnersRequest(), metadata=person.metadata))
    assert refusal.reason == "CALLER_NOT_ALLOWED"
