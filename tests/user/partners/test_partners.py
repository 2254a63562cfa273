"""Partners: plans, scopes and states."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from weft.api.v1 import plan_pb2
from weft.user.v1 import partner_pb2
from weft.user.v1.partner_service_pb2 import (
    CreateClientRequest,
    CreatePartnerRequest,
    GetPartnerRequest,
    ListClientsRequest,
    ListPartnersRequest,
    ReinstatePartnerRequest,
    SuspendPartnerRequest,
    UpdatePartnerRequest,
)

from chassis import ids
from tests.harness import assert_refused
from tests.user.world import Person, World, change, request_token


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


async def test_scopes_that_partners_cannot_hold_are_refused_by_place(world: World, operator: Person) -> None:
    request = CreatePartnerRequest(display_name="Acme", plan=plan_pb2.PLAN_FREE, scopes=["orders.read", "orders.wirte"])
    call = world.partners.CreatePartner(request, metadata=operator.metadata)
    await assert_refused(call, "REQUEST_INVALID", violations={"scopes[1]": "cannot hold the scope orders.wirte"})
    call = change(world, operator, await world.partner(operator), scopes=["inbox.read"])
    await assert_refused(call, "REQUEST_INVALID", violations={"partner.scopes[0]": "cannot hold the scope inbox.read"})


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


async def test_an_update_changes_the_fields_of_the_mask_or_those_that_are_set(world: World, operator: Person) -> None:
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
    await assert_refused(
        change(world, operator, partner, display_name="Newer", etag=partner.etag), "ETAG_MISMATCH", etag="2"
    )


async def test_of_ten_concurrent_updates_with_one_etag_one_succeeds(world: World, operator: Person) -> None:
    partner = await world.partner(operator)
    changes = [change(world, operator, partner, display_name=f"N{n}", etag=partner.etag) for n in range(10)]
    answers = await asyncio.gather(*changes, return_exceptions=True)
    assert sum(isinstance(answer, partner_pb2.Partner) for answer in answers) == 1


@pytest.mark.parametrize(
    ("mask", "fields", "violations"),
    [
        (["state"], {}, {"update_mask": "must name only display_name, plan, scopes"}),
        (["plan", "x.y"], {}, {"update_mask": "must name only display_name, plan, scopes"}),
        (["display_name"], {}, {"partner.display_name": "must be given, as it is updated"}),
        (["plan"], {"display_name": "X"}, {"partner.plan": "must be given, as it is updated"}),
        (["scopes"], {}, {"partner.scopes": "must be given, as it is updated"}),
        (
            ["*"],
            {"display_name": "X"},
            {"partner.plan": "must be given, as it is updated", "partner.scopes": "must be given, as it is updated"},
        ),
        (None, {"display_name": ""}, {"partner.display_name": "must be at least 1 characters"}),
    ],
)
async def test_an_update_that_makes_no_sense_is_refused(
    world: World, operator: Person, mask: list[str], fields: dict[str, Any], violations: dict[str, str]
) -> None:
    call = change(world, operator, await world.partner(operator), mask, **fields)
    await assert_refused(call, "REQUEST_INVALID", violations=violations)


async def test_a_suspended_partner_gets_no_tokens_until_it_is_reinstated(world: World, operator: Person) -> None:
    partner = await world.partner(operator)
    client = await world.client(operator, partner)
    named = {"partner_id": partner.partner_id}
    await assert_refused(
        world.partners.ReinstatePartner(ReinstatePartnerRequest(**named), metadata=operator.metadata),
        "PARTNER_NOT_SUSPENDED",
        **named,
    )

    suspended = await world.partners.SuspendPartner(SuspendPartnerRequest(**named), metadata=operator.metadata)
    assert (suspended.state, suspended.etag) == (partner_pb2.PARTNER_STATE_SUSPENDED, "2")
    answer = await request_token(world, client)
    assert (answer.status, answer.body["error"]) == (400, "unauthorized_client")
    await assert_refused(
        world.partners.SuspendPartner(SuspendPartnerRequest(**named), metadata=operator.metadata),
        "PARTNER_ALREADY_SUSPENDED",
        **named,
    )

    reinstated = await world.partners.ReinstatePartner(ReinstatePartnerRequest(**named), metadata=operator.metadata)
    assert (reinstated.state, reinstated.etag) == (partner_pb2.PARTNER_STATE_ACTIVE, "3")
    assert (await request_token(world, client)).status == 200
    told = [("partner.suspended", partner.partner_id, 2), ("partner.reinstated", partner.partner_id, 3)]
    assert (await world.emitted())[-2:] == told


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
        await assert_refused(call, "PARTNER_NOT_FOUND", **named)


async def test_customers_have_no_business_here(world: World) -> None:
    person = await world.person("ada")
    await assert_refused(
        world.partners.ListPartners(ListPartnersRequest(), metadata=person.metadata), "CALLER_NOT_ALLOWED"
    )
