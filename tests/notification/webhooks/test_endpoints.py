"""Webhook endpoints and the event log, as a partner sees them."""

import asyncio
from pathlib import Path

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from weft.api.v1 import mode_pb2
from weft.notification.v1 import event_service_pb2, webhook_service_pb2
from weft.notification.v1.webhook_endpoint_pb2 import WebhookEndpoint
from weft.order.v1 import events_pb2 as order_events

from services.notification.event_log import catalogue
from tests.harness import assert_refusal, assert_refused
from tests.notification import announced
from tests.notification import sample_events as events
from tests.notification.conftest import Service
from tests.notification.webhooks.receiver import Partner

TEST = mode_pb2.MODE_TEST
URL = "https://hooks.example/weft"


async def test_an_endpoint_shows_its_secret_once_and_keeps_it_sealed(sending: Service, partner: Partner) -> None:
    endpoint = await partner.create(URL, description="orders", event_types=["order.placed", "payment.*"])
    assert endpoint.secret.startswith("whsec_")
    again = await partner.get(endpoint.endpoint_id)
    assert (again.secret, again.url, again.enabled, list(again.event_types), again.mode) == (
        "", URL, True, ["order.placed", "payment.*"], TEST,
    )  # fmt: skip
    listed = await partner.webhooks.ListEndpoints(webhook_service_pb2.ListEndpointsRequest(), metadata=partner.metadata)
    assert list(listed.endpoints) == [again]
    everything = str([await sending.rows(f"SELECT t::text FROM {t} t") for t in sending.app.metadata.tables])
    assert endpoint.secret not in everything
    assert endpoint.secret.removeprefix("whsec_") not in everything


async def test_an_update_takes_the_mask_and_refuses_an_old_etag(partner: Partner) -> None:
    endpoint = await partner.create(URL, description="orders", event_types=["order.*"])
    changed = await partner.update(endpoint.endpoint_id, endpoint.etag, description="all", max_requests_per_second=5)
    assert (changed.description, changed.max_requests_per_second, list(changed.event_types)) == ("all", 5, ["order.*"])
    call = partner.update(endpoint.endpoint_id, endpoint.etag, description="late")
    await assert_refused(call, "ETAG_MISMATCH", etag=changed.etag)
    request = webhook_service_pb2.UpdateEndpointRequest(
        endpoint=WebhookEndpoint(endpoint_id=endpoint.endpoint_id), update_mask=FieldMask(paths=["event_types"])
    )
    cleared = await partner.webhooks.UpdateEndpoint(request, metadata=partner.metadata)
    assert (list(cleared.event_types), cleared.description) == ([], "all")
    off = await partner.update(endpoint.endpoint_id, enabled=False)
    assert (off.enabled, off.disable_reason) == (False, 1)
    assert (await partner.update(endpoint.endpoint_id, enabled=False)).etag == off.etag


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"event_types": ["order.placed", "order.lost"]}, "event_types[1]"),
        ({"event_types": ["shop.*"]}, "event_types[0]"),
        ({"event_types": ["webhook.test"]}, "event_types[0]"),
    ],
)
async def test_a_filter_that_lets_nothing_through_is_refused(partner: Partner, fields, field: str) -> None:
    await assert_refused(partner.create(URL, **fields), "REQUEST_INVALID", violations={field: ""})


async def test_twenty_endpoints_however_many_are_created_at_once(partner: Partner) -> None:
    outcomes = await asyncio.gather(*(partner.create(URL) for _ in range(25)), return_exceptions=True)
    errors = [outcome for outcome in outcomes if isinstance(outcome, grpc.RpcError)]
    assert len([assert_refusal(error, "WEBHOOK_ENDPOINT_LIMIT_REACHED", limit="20") for error in errors]) == 5
    await assert_refused(partner.create(URL), "WEBHOOK_ENDPOINT_LIMIT_REACHED", limit="20")
    live = Partner(partner.harness, partner.running, partner.partner_id, mode="LIVE")
    await live.create(URL)


async def test_what_is_deleted_is_gone_with_its_deliveries(sending: Service, partner: Partner) -> None:
    endpoint = await partner.create(URL)
    await sending.publish(events.placed("usr_1", partner_id=partner.partner_id, mode=TEST))
    (delivery,) = await partner.deliveries(endpoint.endpoint_id)
    request = webhook_service_pb2.DeleteEndpointRequest(endpoint_id=endpoint.endpoint_id)
    await partner.webhooks.DeleteEndpoint(request, metadata=partner.metadata)
    for call in (
        partner.get(endpoint.endpoint_id),
        partner.deliveries(endpoint.endpoint_id),
        partner.replay(delivery),
        partner.webhooks.DeleteEndpoint(request, metadata=partner.metadata),
    ):
        await assert_refused(call, "WEBHOOK_ENDPOINT_NOT_FOUND", endpoint_id=endpoint.endpoint_id)
    await sending.publish(events.placed("usr_1", partner_id=partner.partner_id, mode=TEST))


async def test_a_delivery_of_another_endpoint_is_not_found(sending: Service, partner: Partner) -> None:
    one = await partner.create(URL)
    await sending.publish(events.placed("usr_1", partner_id=partner.partner_id, mode=TEST))
    (delivery,) = await partner.deliveries(one.endpoint_id)
    delivery.endpoint_id = (await partner.create(URL)).endpoint_id
    await assert_refused(partner.replay(delivery), "WEBHOOK_DELIVERY_NOT_FOUND", delivery_id=delivery.delivery_id)


async def test_the_log_is_read_to_its_end_and_on_from_any_event(sending: Service, partner: Partner) -> None:
    made = [events.placed("usr_1", partner_id=partner.partner_id, mode=TEST) for _ in range(7)]
    for event in made[:5]:
        await sending.publish(event)
    await partner.has_listed(made[:5])
    seen, token = [], ""
    while True:
        page = await partner.listed(page_size=2, page_token=token)
        seen += [event.event_id for event in page.events]
        token = page.next_page_token
        if not token:
            break
    assert seen == [event.event_id for event in made[:5]]
    await sending.publish(*made[5:])
    await sending.publish(*made[5:])
    await partner.has_listed(made)
    rest = await partner.listed(after_event_id=seen[-1])
    assert [event.event_id for event in rest.events] == [event.event_id for event in made[5:]]
    of_one = await partner.listed(subject_id=made[3].aggregate_id)
    assert [event.event_id for event in of_one.events] == [made[3].event_id]
    for kind in ("order.placed", "order.*"):
        assert len((await partner.listed(type=kind)).events) == 7
    assert not (await partner.listed(type="webhook.test")).events
    await assert_refused(partner.listed(type="order.place"), "REQUEST_INVALID", violations={"type": "order.placed"})
    other = Partner(partner.harness, partner.running)
    await assert_refused(other.listed(after_event_id=seen[-1]), "EVENT_NOT_FOUND", event_id=seen[-1])
    request = event_service_pb2.GetEventRequest(event_id=seen[0])
    await assert_refused(other.events.GetEvent(request, metadata=other.metadata), "EVENT_NOT_FOUND", event_id=seen[0])


async def test_free_text_stays_inside(sending: Service, partner: Partner) -> None:
    payload = order_events.OrderCancelled(order_id="ord_1", reason="my neighbour Bob changed his mind")
    event = events.made(
        "order.cancelled", payload, user_id="usr_1", aggregate_id="ord_1", partner_id=partner.partner_id, mode=TEST
    )
    await sending.publish(event)
    (listed,) = await partner.has_listed([event])
    assert dict(listed.data) == {"orderId": "ord_1"}


INSIDE = {
    "user.signed_up", "user.verification_requested", "user.invited", "user.password_reset_requested", "user.password_changed",
    "user.email_change_requested", "user.email_changed", "user.phone_verification_requested", "user.phone_verified",
    "user.totp_enabled", "user.totp_disabled", "user.recovery_code_used", "user.second_factor_guessed", "user.passkey_added",
    "user.passkey_removed", "user.passkey_copied", "user.signed_in_from_new_device",
    "partner.member_invited", "partner.suspended", "partner.reinstated", "webhook.disabled",
}  # fmt: skip
"""About accounts that people sign in to, which a partner's customers do not; and about the partner itself, which its people are told."""


def test_every_event_of_the_contract_is_told_to_partners_or_kept_inside_on_purpose() -> None:
    told = {type: payload.DESCRIPTOR.full_name for type, payload in catalogue.DATA.items()}
    assert told.items() <= announced.events().items()
    assert announced.events().keys() - told.keys() == INSIDE
    listed = Path("docs/webhooks.md").read_text().partition("## What is sent")[2].partition("## When")[0]
    assert {type for type in announced.events() if f"`{type}`" in listed} == told.keys()
