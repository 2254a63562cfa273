"""A replay and a worker at the same time."""

import asyncio

from aiohttp import web
from weft.api.v1 import mode_pb2

from chassis.storage.database import Query
from tests.notification import sample_events as events
from tests.notification.conftest import Service
from tests.notification.webhooks.receiver import Partner, Receiver, state
from tests.servers import until

TEST = mode_pb2.MODE_TEST


async def test_a_replay_during_an_attempt_is_an_attempt_of_its_own(
    sending: Service, hooks: Receiver, partner: Partner
) -> None:
    release = asyncio.Event()

    async def wait(_):
        await asyncio.wait_for(release.wait(), 5)
        return web.Response()

    hooks.answer("/hook", wait)
    endpoint = await partner.create(hooks.url())
    await sending.publish(events.placed("usr_1", partner_id=partner.partner_id, mode=TEST))
    await hooks.wait_for(1)
    (delivery,) = await partner.deliveries(endpoint.endpoint_id)
    await partner.replay(delivery)
    release.set()
    await hooks.wait_for(2)
    (delivery,) = await partner.settled(endpoint.endpoint_id, 1)
    assert (state(delivery), delivery.attempt_count) == ("SUCCEEDED", 2)


async def test_a_replay_waits_for_a_worker_that_stores_and_neither_is_broken_off(
    sending: Service, hooks: Receiver, partner: Partner
) -> None:
    """Both lock the lane first: else each would have what the other waits for."""
    endpoint = await partner.create(hooks.url())
    await sending.publish(events.placed("usr_1", partner_id=partner.partner_id, mode=TEST))
    (delivery,) = await partner.settled(endpoint.endpoint_id, 1)
    async with sending.app.database.transaction() as worker:
        await worker.all(Query("SELECT 1 FROM webhook_lanes FOR UPDATE"))
        replaying = asyncio.create_task(partner.replay(delivery))
        await until(lambda: _somebody_waits(sending), "the replay to wait")
        await worker.run(Query("UPDATE webhook_deliveries SET update_time = now()"))
    await replaying
    await hooks.wait_for(2)


async def test_what_is_owed_while_a_worker_waits_to_store_is_sent_at_once(
    sending: Service, hooks: Receiver, partner: Partner
) -> None:
    """The worker's statement began before: it sees that the lane was woken, and not the delivery."""
    release = asyncio.Event()

    async def wait(_):
        await asyncio.wait_for(release.wait(), 5)
        return web.Response()

    hooks.answer("/hook", 200, wait, 200)
    endpoint = await partner.create(hooks.url())
    await sending.publish(events.placed("usr_1", partner_id=partner.partner_id, mode=TEST))
    (first,) = await partner.settled(endpoint.endpoint_id, 1)
    await sending.publish(events.placed("usr_1", partner_id=partner.partner_id, mode=TEST))
    await hooks.wait_for(2)
    async with sending.app.database.transaction() as owing:
        await owing.all(Query("SELECT 1 FROM webhook_lanes FOR UPDATE"))
        release.set()
        await until(lambda: _somebody_waits(sending), "the worker to wait")
        again = "UPDATE webhook_deliveries SET state = 'PENDING', due = now() WHERE delivery_id = %(id)s"
        await owing.run(Query(again), id=first.delivery_id)
        await owing.run(Query("UPDATE webhook_lanes SET due = LEAST(due, now())"))
    await hooks.wait_for(3)
    await partner.settled(endpoint.endpoint_id, 2)


async def _somebody_waits(service: Service) -> bool:
    blocked = (
        "SELECT count(*) AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    return bool((await service.rows(blocked))[0].n > 0)
