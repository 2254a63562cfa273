"""A mail server that accepts everything and never answers: whatever was leased comes to an end within its lease."""

import asyncio

import pytest

from chassis import ids
from services.notification.__main__ import LOOPS, MAX_MAILS
from tests import servers
from tests.notification import sample_events as events
from tests.notification.conftest import Start


@pytest.mark.soak
async def test_all_mails_that_may_be_under_way_hang_and_none_overruns_its_lease(start: Start) -> None:
    async with start() as service:
        service.receiver.stalled = asyncio.Event()
        people = [service.users.add(ids.new("usr")) for _ in range(LOOPS * MAX_MAILS)]
        await service.publish(*(events.confirmed(user) for user in people))

        async def all_answered() -> bool:
            jobs = await service.rows("SELECT error FROM email_jobs WHERE error <> ''")
            return len(jobs) == len(people)

        await servers.until(all_answered, "each mail to be put off", seconds=90)
        overran = await service.rows(
            "SELECT overruns, error FROM email_jobs WHERE overruns > 0 OR error LIKE 'overran%'"
        )
        assert overran == []
        service.receiver.stalled.set()

        async def all_sent() -> bool:
            return {state for state, _ in await service.states()} == {"SENT"}

        await servers.until(all_sent, "all mails to be sent", seconds=90)
        assert len(set(service.receiver.ids)) == len(people)
