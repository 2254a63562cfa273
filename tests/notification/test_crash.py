"""kill -9 of the service while it sends: every event takes effect once, and a mail that arrives twice has one Message-ID."""

import json
import random
import re
from collections import Counter

import psycopg
import pytest

from chassis import ids
from services.notification.__main__ import LOOPS, MAX_MAILS
from tests import servers
from tests.harness import Harness
from tests.notification import sample_events as events
from tests.notification.processes import process, publish
from tests.notification.smtp import Receiver, until
from tests.notification.users import Users

MAILS = 600
"""Several times what two kills may double."""


@pytest.mark.soak
async def test_a_killed_service_loses_nothing_and_doubles_nothing(
    harness: Harness, users: Users, receiver: Receiver
) -> None:
    prefix = harness.service_database("notification")
    surroundings = {
        "WEFT_SMTP_URL": f"smtp://127.0.0.1:{receiver.port}",
        "WEFT_PEERS": json.dumps({"user": [users.address]}),
    }
    people = [users.add(ids.new("usr")) for _ in range(MAILS // 2)]
    sign_ups = [users.sign_up(ids.new("sgn")) for _ in range(MAILS // 2)]
    batch = [events.confirmed(user) for user in people] + [events.signed_up(sign_up) for sign_up in sign_ups]
    for share in (MAILS // 6, MAILS // 2):
        async with process(harness, prefix, surroundings) as (_, address):
            await publish(harness, address, batch)
            await until(lambda share=share: len(receiver.mails) >= share, 60)  # and then it is killed in mid-work
    async with process(harness, prefix, surroundings) as (_, address):
        assert await publish(harness, address, batch) == 0

        async def all_sent() -> bool:
            return sent(harness, prefix) == MAILS

        await servers.until(all_sent, "all mails to be sent", seconds=120)
    arrived = Counter(receiver.ids)
    assert len(arrived) == MAILS
    assert sum(arrived.values()) <= MAILS + 2 * LOOPS * MAX_MAILS, "two kills, each with what was under way"
    assert max(arrived.values()) <= 3
    with psycopg.connect(harness.postgres_url, dbname=f"{prefix}_notification") as connection:
        assert connection.execute("SELECT count(*) FROM notifications").fetchone() == (MAILS,)


@pytest.mark.soak
async def test_a_killed_service_says_everything_in_exactly_one_digest(
    harness: Harness, users: Users, receiver: Receiver
) -> None:
    prefix = harness.service_database("notification")
    surroundings = {
        "WEFT_SMTP_URL": f"smtp://127.0.0.1:{receiver.port}",
        "WEFT_PEERS": json.dumps({"user": [users.address]}),
    }
    people = [users.add(ids.new("usr")) for _ in range(20)]
    batch = [events.expired(user) for _ in range(30) for user in people]
    async with process(harness, prefix, surroundings) as (_, address):
        await publish(harness, address, [])
        await wait_for_tables(harness, prefix)
    with psycopg.connect(harness.postgres_url, dbname=f"{prefix}_notification") as connection:
        connection.cursor().executemany(  # a window that is shorter than the API allows
            "INSERT INTO preferences (user_id, version, updated_at, digests) VALUES (%s, 1, now(), '{ORDERS/EMAIL/1}')",
            [(user,) for user in people],
        )
    for kill in range(8):
        async with process(harness, prefix, surroundings) as (_, address):
            await publish(harness, address, batch[kill * 75 : (kill + 1) * 75])
            wanted = len(receiver.mails) + random.randint(1, 10)
            await until(lambda wanted=wanted: len(receiver.mails) >= wanted, 60)
    async with process(harness, prefix, surroundings) as (_, address):
        assert await publish(harness, address, batch) == 0

        async def all_sent() -> bool:
            return sent(harness, prefix) == len(batch)

        await servers.until(all_sent, "all deliveries to be sent", seconds=120)
    said: dict[str, set[str]] = {event.aggregate_id: set() for event in batch}
    for mail in receiver.mails:
        for order in set(re.findall(r"ord_[0-9a-z]{26}", str(mail.get_body(("plain",)).get_content()))):
            said[order].add(str(mail["Message-ID"]))
    assert {order: len(of) for order, of in said.items() if len(of) != 1} == {}
    assert len({str(mail["Message-ID"]) for mail in receiver.mails}) < len(batch) / 2


async def wait_for_tables(harness: Harness, prefix: str) -> None:
    async def there() -> bool:
        with psycopg.connect(harness.postgres_url, dbname=f"{prefix}_notification") as connection:
            row = connection.execute("SELECT to_regclass('digests')").fetchone()
        return row is not None and row[0] is not None

    await servers.until(there, "the tables", seconds=60)


def sent(harness: Harness, prefix: str) -> int:
    with psycopg.connect(harness.postgres_url, dbname=f"{prefix}_notification") as connection:
        row = connection.execute("SELECT count(*) FROM deliveries WHERE state = 'SENT'").fetchone()
    assert row is not None
    return int(row[0])
