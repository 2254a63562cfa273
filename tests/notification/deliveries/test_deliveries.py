"""Deliveries that are refused, retried, deferred or interrupted."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import psycopg
import pytest

from chassis import ids
from chassis.errors import ServiceUnavailable
from chassis.storage.database import Query
from services.notification.__main__ import MAX_EMAIL_ATTEMPTS
from services.notification.deliveries.domain import DeliveryResult, DeliveryState, Reason, fail, retry, skip
from services.notification.deliveries.repository import DeliveryRepository
from tests.notification import sample_events as events
from tests.notification.conftest import Service, Start
from tests.notification.smtp import HANG_UP, receiving, until

ANN = ids.new("usr")
SIGN_UP = ids.new("sgn")


@pytest.mark.parametrize(("response", "code"), [("451 4.3.2 later", 451), ("421 4.3.2 closing", 421)])
async def test_a_mail_that_the_server_defers_is_tried_again_under_one_message_id(
    start: Start, clock, response: str, code: int
) -> None:
    async with start(clock=clock) as service:
        service.users.add(ANN)
        service.receiver.data_responses = [response, response]
        await service.publish(events.confirmed(ANN))
        await service.wait_until_idle()
        assert await service.states() == [("QUEUED", "")]
        for _ in range(2):
            clock.advance(events.MAX_BACKOFF)
            await service.wait_until_idle()
        assert await service.states() == [("SENT", "")]
        assert len(set(service.receiver.ids)) == 1
        assert len(service.receiver.ids) == 3
        assert [made[:2] for made in await service.attempts()] == [(1, code), (2, code), (3, 250)]


async def test_without_a_mail_server_mails_wait(start: Start) -> None:
    async with start(smtp_url="") as service:
        service.users.add(ANN)
        await service.publish(events.confirmed(ANN))
        async with asyncio.timeout(20):
            while await service.states() != [("QUEUED", "")]:  # noqa: ASYNC110 - it is in the database
                await asyncio.sleep(0.02)


async def test_after_a_lost_response_the_same_mail_is_sent_again_with_the_same_code(service: Service) -> None:
    service.users.sign_up(SIGN_UP)
    service.receiver.data_responses = [HANG_UP]
    await service.publish(events.signed_up(SIGN_UP))
    await service.wait_until_idle()
    first, second = service.receiver.mails
    assert first["Message-ID"] == second["Message-ID"]
    assert first.as_bytes() == second.as_bytes()
    assert service.users.codes == {SIGN_UP: ["10000001"]}
    assert await service.states() == [("SENT", "")]
    assert [made[:2] for made in await service.attempts()] == [(1, 0), (2, 250)]


async def test_after_two_lost_responses_the_mail_waits_and_has_a_new_code_under_the_same_message_id(
    start: Start, clock
) -> None:
    async with start(clock=clock) as service:
        service.users.sign_up(SIGN_UP)
        service.receiver.data_responses = [HANG_UP, HANG_UP]
        await service.publish(events.signed_up(SIGN_UP))
        await service.wait_until_idle()
        assert await service.states() == [("QUEUED", "")]
        clock.advance(events.MAX_BACKOFF)
        await service.wait_until_idle()
        assert await service.states() == [("SENT", "")]
        assert len(set(service.receiver.ids)) == 1
        assert "10000002" in service.receiver.text()


@pytest.mark.logs_errors("job_dead")
async def test_a_mail_that_the_server_refuses_fails_immediately_and_its_address_is_not_stored(
    service: Service,
) -> None:
    service.users.add(ANN, "ann@example.com")
    service.receiver.recipient_responses = ["550 5.1.1 <ann@example.com> no such user"]
    await service.publish(events.confirmed(ANN))
    await service.wait_until_idle()
    assert await service.states() == [("FAILED", "ADDRESS_UNUSABLE")]
    assert await service.attempts() == [(1, 550, "5.1.1 <…> no such user")]
    assert await service.jobs() == [("dead", 1, "550 5.1.1 <…> no such user")]


@pytest.mark.logs_errors("job_dead")
async def test_an_address_that_cannot_be_in_a_mail_fails_its_delivery_alone(service: Service) -> None:
    bob = service.users.add(ids.new("usr"))
    service.users.add(ANN, "not an address")
    await service.publish(events.confirmed(ANN, "ord_1"), events.confirmed(bob, "ord_2"))
    await service.wait_until_idle()
    assert sorted(await service.states()) == [("FAILED", "ADDRESS_UNUSABLE"), ("SENT", "")]


@pytest.mark.logs_errors("job_dead")
async def test_a_mail_dies_after_its_last_attempt_and_can_be_replayed(start: Start, clock) -> None:
    async with start(clock=clock) as service:
        service.users.add(ANN)
        service.receiver.data_responses = ["451 later"] * MAX_EMAIL_ATTEMPTS
        await service.publish(events.confirmed(ANN))
        for _ in range(MAX_EMAIL_ATTEMPTS):
            await service.wait_until_idle()
            clock.advance(events.MAX_BACKOFF)
        assert await service.jobs() == [("dead", MAX_EMAIL_ATTEMPTS, "451 later")]
        assert await service.states() == [("FAILED", "TOO_MANY_ATTEMPTS")]
        (queue,) = [queue for queue in service.app._queues if queue.name == "email_jobs"]
        await queue.replay([row.id for row in await service.rows("SELECT id FROM email_jobs")])
        await service.wait_until_idle()
        assert await service.states() == [("SENT", "")]
        assert len(set(service.receiver.ids)) == 1


async def test_mails_wait_while_the_mail_server_is_away_and_are_sent_as_soon_as_it_is_back(start: Start) -> None:
    async with receiving() as gone:
        port = gone.port
    async with start(smtp_url=f"smtp://127.0.0.1:{port}") as service:
        await service.keep_jobs()
        service.users.add(ANN)
        await service.publish(*(events.confirmed(ANN) for _ in range(90)))
        await service.publish(*(events.confirmed(ANN) for _ in range(90)))

        async def left_alone() -> bool:
            return any("mail server: circuit breaker open" in error for _, _, error in await service.jobs())

        await events.until(left_alone)
        assert {state for state, _ in await service.states()} <= {"QUEUED", "SENDING"}
        async with receiving(port=port) as back:
            await service.wait_until_idle()
            assert await service.states() == [("SENT", "")] * 180
            assert len(back.mails) == 180
        # The outage used up no attempts, and the breaker spared most mails the connecting.
        assert set(await service.counted_attempts()) == {1}
        refused = [code for _, code, _ in await service.attempts()].count(0)
        assert 5 <= refused < 90


async def test_a_server_is_given_no_more_mails_a_second_than_the_setting_says(start: Start) -> None:
    async with start(mail_rate=10) as service:
        await service.keep_jobs()
        service.users.add(ANN)
        began = time.monotonic()
        await service.publish(*(events.confirmed(ANN) for _ in range(22)))
        await service.wait_until_idle()
        assert time.monotonic() - began > 1.1, "ten at once, and one each tenth of a second"
        assert await service.states() == [("SENT", "")] * 22
        assert set(await service.counted_attempts()) == {1}


async def test_the_response_to_one_mail_does_not_affect_the_others(service: Service) -> None:
    service.users.add(ANN)
    service.receiver.data_responses = [b"250 gr\xfc\xdfe", b"250 \x00\x1b[2J", b"250 " + b"x" * 400, "250 accepted"]
    await service.publish(*(events.confirmed(ANN) for _ in range(8)))
    await service.wait_until_idle()
    assert await service.states() == [("SENT", "")] * 8
    assert len(service.receiver.ids) == len(set(service.receiver.ids)) == 8
    assert await service.jobs() == []
    responses = {response for _, _, response in await service.attempts()}
    assert {"gr\ufffd\ufffde", "[2J", "x" * 200, "accepted"} == responses


@pytest.mark.logs_errors("result_not_stored")
async def test_a_delivery_that_the_database_refuses_is_refused_alone(start: Start, clock) -> None:
    async with start(clock=clock) as service:
        service.users.add(ANN)
        async with service.app.database.transaction() as tx:
            await tx.run(Query("ALTER TABLE attempts ADD CONSTRAINT picky CHECK (response <> 'unstorable')"))
        service.receiver.data_responses = ["250 unstorable"]
        await service.publish(*(events.confirmed(ANN) for _ in range(8)))
        await service.wait_until_idle()
        assert sorted(await service.states()) == [("SENDING", ""), *[("SENT", "")] * 7]
        clock.advance(events.MAX_BACKOFF)
        await service.wait_until_idle()
        assert await service.states() == [("SENT", "")] * 8
    sent = Counter(service.receiver.ids)
    assert sorted(sent.values()) == [1] * 7 + [2]  # only the one whose result could not be stored


async def test_a_late_worker_does_not_overwrite_what_another_has_claimed(start: Start, clock) -> None:
    async with start(clock=clock, work=False) as service:
        await service.publish(events.confirmed(ANN))
        (row,) = await service.rows("SELECT delivery_id FROM deliveries")
        await service.rows("UPDATE email_jobs SET attempts = 2 RETURNING 1")
        deliveries = DeliveryRepository(service.app.database, "test", service.app._queues[0])
        (late,) = await deliveries.claim({row.delivery_id: 1}, clock.now())
        (current,) = await deliveries.claim({row.delivery_id: 2}, clock.now())
        assert (late.maybe_sent_by, current.maybe_sent_by) == ("", "test")  # which may have been sent before
        for result in (fail(Reason.REFUSED, "late"), skip(Reason.NOT_NEEDED)):
            await deliveries.update([(late, result)], clock.now())
            assert await service.states() == [("SENDING", "")]
        await deliveries.update([(current, retry("later", 1, 2))], clock.now())
        assert await service.jobs() == [("ready", 2, "")], "the job goes on with its delivery"
        await service.rows("UPDATE deliveries SET state = 'SENDING' RETURNING 1")
        await deliveries.update([(current, DeliveryResult(DeliveryState.SENT))], clock.now())
        assert await service.states() == [("SENT", "")]
        assert await service.jobs() == [], "the job ends with its delivery"


async def test_a_job_that_comes_again_after_its_mail_was_sent_sends_nothing(service: Service) -> None:
    service.users.add(ANN)
    await service.publish(events.confirmed(ANN))
    await service.wait_until_idle()
    await service.put_jobs_again()
    await service.wait_until_idle()
    assert len(service.receiver.mails) == 1
    assert await service.states() == [("SENT", "")]


async def test_a_process_that_died_while_sending_leaves_the_mail_to_another(start: Start, clock) -> None:
    async with start(clock=clock, work=False) as service:
        service.users.add(ANN)
        await service.publish(events.confirmed(ANN))
        prefix = service.app.settings.database_prefix
        (queue,) = [queue for queue in service.app._queues if queue.name == "email_jobs"]
        assert len(await queue.lease(10)) == 1  # and then nothing more is heard of it
        await service.rows("UPDATE deliveries SET state = 'SENDING' RETURNING 1")
        clock.advance(timedelta(seconds=queue.lease_time + 1))
        async with start(clock=clock, prefix=prefix) as heir:
            await heir.wait_until_idle()
            assert await heir.states() == [("SENT", "")]
            assert len(heir.receiver.mails) == 1


async def test_a_database_that_restarts_while_a_mail_is_sent_does_not_have_it_sent_again(service: Service) -> None:
    service.users.add(ANN)
    service.receiver.stalled = asyncio.Event()
    await service.publish(events.confirmed(ANN))
    await until(lambda: service.receiver.waiting == 1)
    async with away(service):
        service.receiver.stalled.set()
        await until(lambda: len(service.receiver.mails) == 1)
    await service.wait_until_idle()
    assert await service.states() == [("SENT", "")]
    assert len(service.receiver.mails) == 1


@asynccontextmanager
async def away(service: Service) -> AsyncIterator[None]:
    """The service's database accepts no connections and breaks existing ones."""
    name = f"{service.app.settings.database_prefix}_notification"
    url = service.harness.postgres_url
    async with await psycopg.AsyncConnection.connect(url, dbname="postgres", autocommit=True) as connection:
        await connection.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")
        await connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        yield
        await connection.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")

    async def back() -> bool:  # a pool notifications broken connections one by one
        try:
            return bool(await service.rows("SELECT 1"))
        except ServiceUnavailable:
            return False

    for _ in range(service.app.settings.pool_size):
        await events.until(back)


async def test_a_delivery_whose_job_died_with_its_worker_is_marked_as_failed(start: Start, clock) -> None:
    async with start(clock=clock, work=False) as service:
        await service.publish(events.confirmed(ANN))
        await service.rows("UPDATE email_jobs SET state = 'dead' RETURNING 1")
        job = next(job for _, job, name in service.app._jobs if name == "fail dead deliveries")
        assert await job() == 1
        assert await service.states() == [("FAILED", "TOO_MANY_ATTEMPTS")]
