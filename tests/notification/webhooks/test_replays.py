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

        async def waits() -> bool:
            blocked = "SELECT count(*) AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            return (await sending.rows(blocked))[0].n > 0

        await until(waits, "the replay to wait")
        await worker.run(Query("UPDATE webhook_deliveries SET update_time = now()"))
    await replaying
    await hooks.wait_for(2)
