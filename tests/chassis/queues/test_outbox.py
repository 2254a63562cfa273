"""The relay, from a service's outbox to the real notification service: no event holds up another."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from weft.api.v1.event_pb2 import Event

from chassis import ids
from chassis.app import App
from chassis.storage.database import Query, Row
from tests import servers
from tests.harness import Harness, Running
from tests.notification import sample_events as events


async def nothing(_: App) -> None:
    """A service without handlers: its relay is what is looked at."""


@dataclass
class Pair:
    """A service with an outbox, and the service that takes its events."""

    sender: App
    receiver: Running

    async def put(self, *made: Event) -> None:
        async with self.sender.database.transaction() as tx:
            for event in made:
                await self.sender.outbox.put(tx, event)

    async def rows(self) -> list[Row]:
        return await self.sender.database.all(
            Query("SELECT kind, state, error, attempts, excused FROM outbox ORDER BY id")
        )

    async def taken(self) -> int:
        return int((await self.receiver.app.database.one(Query("SELECT count(*) AS n FROM seen"))).n)

    async def until_taken(self, count: int) -> None:
        async def there() -> bool:
            return await self.taken() == count

        await servers.until(there, f"{count} events to be taken")


@pytest.fixture
async def pair(harness: Harness) -> AsyncIterator[Pair]:
    async with (
        harness.running("notification", work=False) as receiver,
        harness.running("order", nothing, peers={"notification": [receiver.address]}) as sender,
    ):
        yield Pair(sender.app, receiver)


def poison() -> Event:
    """An event that the receiver's contract refuses."""
    made = events.confirmed(ids.new("usr"))
    made.event_id = "x" * 10_000
    return made


@pytest.mark.logs_errors("event_rejected")
async def test_an_event_that_is_refused_backs_off_alone_and_the_others_of_its_batch_arrive(pair: Pair, capfd) -> None:
    batch = [events.confirmed(ids.new("usr")) for _ in range(20)]
    batch.insert(7, poison())
    await pair.put(*batch)
    await pair.until_taken(20)

    async def written() -> bool:
        return [(row.state, row.error) for row in await pair.rows()] == [("ready", "REQUEST_INVALID")]

    await servers.until(written, "the results to be written down")
    (refused,) = await pair.rows()
    assert refused.excused == 0
    assert "event_rejected" in capfd.readouterr().out


@pytest.mark.logs_errors("job_dead")
async def test_a_payload_that_is_no_event_is_set_aside(pair: Pair) -> None:
    async with pair.sender.database.transaction() as tx:
        await pair.sender.outbox.queue.put(tx, kind="broken", payload=b"\xff\xff")
    await pair.put(events.confirmed(ids.new("usr")))
    await pair.until_taken(1)

    async def written() -> bool:
        return [(row.state, row.error) for row in await pair.rows()] == [("dead", "the payload is not an event")]

    await servers.until(written, "the results to be written down")


async def test_events_of_an_outage_arrive_as_soon_as_the_receiver_is_back_and_no_attempt_is_counted(
    harness: Harness,
) -> None:
    async with harness.running("notification", work=False) as gone:
        address, prefix = gone.address, gone.app.settings.database_prefix
    async with harness.running("order", nothing, peers={"notification": [address]}) as sender:
        pair = Pair(sender.app, gone)
        await pair.put(*(events.confirmed(ids.new("usr")) for _ in range(5)))

        async def deferred() -> bool:
            rows = await pair.rows()
            assert {row.attempts - row.excused for row in rows} <= {0, 1}
            return any(row.excused >= 2 for row in rows)

        await servers.until(deferred, "the relay to have met the outage twice")
        async with harness.running("notification", prefix=prefix, listen=address, work=False) as back:
            pair.receiver = back
            await pair.until_taken(5)

            async def written() -> bool:
                return not await pair.rows()

            await servers.until(written, "the results to be written down")
