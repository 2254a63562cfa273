"""From an event to a mail in a mailbox, and what may go wrong on the way."""

import asyncio
import re
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
from services.notification.deliveries.domain import DeliveryResult, DeliveryState, Reason, fail
from services.notification.deliveries.repository import DeliveryRepository
from tests.notification import events
from tests.notification.conftest import Service, Start
from tests.notification.smtp import HANG_UP, receiving, until
from tests.notification.test_message import HEADERS, INJECTION

ANN = ids.new("usr")
SIGN_UP = ids.new("sgn")


async def attempts(service: Service) -> list[tuple[int, int, str]]:
    """Number, code and response of every attempt."""
    rows = await service.rows("SELECT number, code, response FROM attempts ORDER BY delivery_id, number")
    return [tuple(row) for row in rows]


async def waiting(service: Service) -> list[tuple[str, int, str]]:
    """State, attempts and error of every mail's job."""
    return [tuple(row) for row in await service.rows("SELECT state, attempts, error FROM email_jobs ORDER BY id")]


async def test_a_confirmed_order_is_mailed_to_its_customer(service: Service) -> None:
    service.users.add(ANN, "ann@example.com", display_name="Ann Müller", locale="en")
    event = events.confirmed(ANN, "ord_1")
    await service.publish(event)
    await service.settled()
    (mail,) = service.receiver.mails
    assert service.receiver.envelopes == [("no-reply@weft.local", ["ann@example.com"])]
    assert mail["To"] == "Ann Müller <ann@example.com>"
    assert mail["Subject"] == "Your order ord_1 is confirmed"
    assert service.receiver.text() == "Hello Ann Müller,\n\nyour order ord_1 for 42.00 EUR is confirmed. Thank you.\n"
    (delivery,) = await service.rows("SELECT delivery_id, state, reason FROM deliveries")
    assert mail["Message-ID"] == f"<{delivery.delivery_id}@weft.local>"
    assert (delivery.state, delivery.reason) == ("SENT", "")
    assert await attempts(service) == [(1, 250, "accepted")]


async def test_a_mail_speaks_its_recipients_language(service: Service) -> None:
    service.users.add(ANN, locale="de-AT")
    await service.publish(events.confirmed(ANN, "ord_1"))
    await service.settled()
    assert "Ihre Bestellung ord_1 über 42,00 EUR ist bestätigt." in service.receiver.text()


async def test_a_locale_of_240_000_characters_holds_nobody_up(service: Service) -> None:
    bob = service.users.add(ids.new("usr"), locale="DE")
    service.users.add(ANN, locale="en" + "-aa" * 80_000)
    started = time.process_time()
    await service.publish(events.confirmed(ANN), events.confirmed(bob))
    await service.settled()
    assert time.process_time() - started < 2
    assert sorted(mail["Content-Language"] for mail in service.receiver.mails) == ["de", "en"]


async def test_a_name_that_is_an_encoded_word_is_shown_and_brings_no_headers(service: Service) -> None:
    service.users.add(ANN, "ann@example.com", display_name=INJECTION)
    await service.publish(events.confirmed(ANN))
    await service.settled()
    (mail,) = service.receiver.mails
    assert sorted(mail.keys()) == sorted(HEADERS)
    assert [part.get_content_type() for part in mail.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    assert service.receiver.text().startswith(f"Hello {INJECTION},")


async def test_customers_of_partners_get_mails_too(service: Service) -> None:
    service.users.add(ANN, partner_id=ids.new("prt"))
    await service.publish(events.confirmed(ANN, partner_id=ids.new("prt")))
    await service.settled()
    assert await service.states() == [("SENT", "")]


@pytest.mark.parametrize("event", [events.signed_up, events.verification_requested])
async def test_a_verification_mail_has_a_code_issued_for_it_and_no_name(service: Service, event) -> None:
    service.users.sign_up(SIGN_UP, "ann@example.com")
    await service.publish(event(SIGN_UP))
    await service.settled()
    assert service.users.codes == {SIGN_UP: ["10000001"]}
    assert re.findall(r"\b\d{8}\b", service.receiver.text()) == ["10000001"]
    assert "until 2026-11-25 12:00 UTC" in service.receiver.text()
    assert service.receiver.text().startswith("Hello,\n")
    assert service.receiver.mails[0]["To"] == "ann@example.com"
    assert service.users.batches == []


async def test_a_code_that_was_not_issued_at_first_delays_the_mail_and_no_more(service: Service) -> None:
    service.users.sign_up(SIGN_UP)
    service.users.failing_codes = 1  # the call is not repeatable, so the client leaves it to the queue
    await service.publish(events.verification_requested(SIGN_UP))
    await service.settled()
    assert service.users.codes == {SIGN_UP: ["10000001"]}
    assert re.findall(r"\b\d{8}\b", service.receiver.text()) == ["10000001"]


async def test_a_sign_up_whose_code_is_always_late_holds_up_no_other_mail(start: Start, clock) -> None:
    async with start(clock=clock) as service:
        service.users.add(ANN)
        other = service.users.sign_up(ids.new("sgn"))
        service.users.late_codes.add(service.users.sign_up(SIGN_UP))
        (breakers,) = [worker._breakers for worker in service.app._workers if worker.queue.name == "email_jobs"]
        await service.publish(events.signed_up(SIGN_UP))
        for attempt in range(1, 4):  # the client's own breaker counts to five
            await service.settled()
            assert service.users.code_calls == attempt
            assert await waiting(service) == [("ready", attempt, "user service: DEADLINE_EXCEEDED")]
            assert [breaker.wait() for breaker in breakers] == [0, 0]
            clock.advance(events.MAX_BACKOFF)
        await service.publish(events.confirmed(ANN), events.signed_up(other))
        await service.settled()
        assert Counter(await service.states()) == {("QUEUED", ""): 1, ("SENT", ""): 2}
        counted = await service.rows("SELECT attempts - excused AS n FROM email_jobs ORDER BY id")
        assert [row.n for row in counted] == [4, 1, 1]


async def test_codes_are_not_asked_for_while_they_are_issued_to_nobody(start: Start, clock) -> None:
    async with start(clock=clock) as service:
        for _ in range(20):
            service.users.sign_up(sign_up := ids.new("sgn"))
            service.users.late_codes.add(sign_up)
            await service.publish(events.signed_up(sign_up))
            await service.settled()
        assert 3 <= service.users.code_calls < 20
        assert "user service: circuit breaker open" in [error for _, _, error in await waiting(service)]


async def test_a_verification_mail_speaks_the_language_that_was_asked_for(service: Service) -> None:
    service.users.sign_up(SIGN_UP, locale="de-AT")
    await service.publish(events.signed_up(SIGN_UP))
    await service.settled()
    assert service.receiver.mails[0]["Subject"] == "Bestätigen Sie Ihre Adresse"


async def test_a_sign_up_that_has_ended_gets_no_code(service: Service) -> None:
    await service.publish(events.signed_up(SIGN_UP))
    await service.settled()
    assert service.receiver.mails == []
    assert await service.states() == [("SKIPPED", "SIGN_UP_ENDED")]
    assert await waiting(service) == [("done", 1, "")]


async def test_a_verification_mail_that_the_release_before_has_put_is_skipped(start: Start) -> None:
    async with start(work=False) as service:
        service.users.sign_up(SIGN_UP)
        await service.publish(events.signed_up(SIGN_UP))
        workers = {worker.queue.name: worker for worker in service.app._workers}
        await workers["event_jobs"].once()
        await service.rows("UPDATE notifications SET data = '{}' RETURNING 1")
        await workers["email_jobs"].once()
        assert await service.states() == [("SKIPPED", "SIGN_UP_ENDED")]


async def test_a_sign_up_with_an_address_that_has_an_account_mails_its_owner_and_contains_no_code(
    service: Service,
) -> None:
    service.users.sign_up(SIGN_UP, "ann@example.com", has_account=True)
    await service.publish(events.signed_up(SIGN_UP))
    await service.settled()
    (mail,) = service.receiver.mails
    assert (mail["Subject"], mail["To"]) == ("You already have an account", "ann@example.com")
    assert service.receiver.text().startswith("Hello,\n")
    assert service.users.codes == {}


async def test_a_person_whom_an_operator_adds_is_asked_to_sign_up(service: Service) -> None:
    service.users.add(ANN, state="INITIAL", display_name="Ann")
    await service.publish(events.invited(ANN))
    await service.settled()
    assert service.receiver.mails[0]["Subject"] == "An account is ready for you"
    assert service.receiver.text().startswith("Hello,\n")


async def test_a_user_who_is_gone_gets_nothing(service: Service) -> None:
    await service.publish(events.confirmed(ANN), events.invited(ANN))
    await service.settled()
    assert await service.states() == [("SKIPPED", "NO_ADDRESS")] * 2
    assert service.receiver.mails == []


async def test_a_batch_looks_its_recipients_up_in_one_call(service: Service) -> None:
    for user in (people := [ids.new("usr") for _ in range(4)]):
        service.users.add(user)
    await service.publish(*(events.confirmed(user) for user in people))
    await service.settled()
    assert len(service.users.batches) < 4
    assert sorted(id for batch in service.users.batches for id in batch) == sorted(people)


@pytest.mark.parametrize(("response", "code"), [("451 4.3.2 later", 451), ("421 4.3.2 closing", 421)])
async def test_a_mail_that_the_server_defers_is_tried_again_under_one_message_id(
    start: Start, clock, response: str, code: int
) -> None:
    async with start(clock=clock) as service:
        service.users.add(ANN)
        service.receiver.data_responses = [response, response]
        await service.publish(events.confirmed(ANN))
        await service.settled()
        assert await service.states() == [("QUEUED", "")]
        for _ in range(2):
            clock.advance(events.MAX_BACKOFF)
            await service.settled()
        assert await service.states() == [("SENT", "")]
        assert len(set(service.receiver.ids)) == 1
        assert len(service.receiver.ids) == 3
        assert [made[:2] for made in await attempts(service)] == [(1, code), (2, code), (3, 250)]


async def test_after_a_lost_response_the_same_mail_is_sent_again_with_the_same_code(service: Service) -> None:
    service.users.sign_up(SIGN_UP)
    service.receiver.data_responses = [HANG_UP]
    await service.publish(events.signed_up(SIGN_UP))
    await service.settled()
    first, second = service.receiver.mails
    assert first["Message-ID"] == second["Message-ID"]
    assert first.as_bytes() == second.as_bytes()
    assert service.users.codes == {SIGN_UP: ["10000001"]}
    assert await service.states() == [("SENT", "")]
    assert [made[:2] for made in await attempts(service)] == [(1, 0), (2, 250)]


async def test_after_two_lost_responses_the_mail_waits_and_has_a_new_code_under_the_same_message_id(
    start: Start, clock
) -> None:
    async with start(clock=clock) as service:
        service.users.sign_up(SIGN_UP)
        service.receiver.data_responses = [HANG_UP, HANG_UP]
        await service.publish(events.signed_up(SIGN_UP))
        await service.settled()
        assert await service.states() == [("QUEUED", "")]
        clock.advance(events.MAX_BACKOFF)
        await service.settled()
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
    await service.settled()
    assert await service.states() == [("FAILED", "REFUSED")]
    assert await attempts(service) == [(1, 550, "5.1.1 <…> no such user")]
    assert await waiting(service) == [("dead", 1, "550 5.1.1 <…> no such user")]


@pytest.mark.logs_errors("job_dead")
async def test_an_address_that_cannot_be_in_a_mail_fails_its_delivery_alone(service: Service) -> None:
    bob = service.users.add(ids.new("usr"))
    service.users.add(ANN, "not an address")
    await service.publish(events.confirmed(ANN, "ord_1"), events.confirmed(bob, "ord_2"))
    await service.settled()
    assert sorted(await service.states()) == [("FAILED", "ADDRESS_UNUSABLE"), ("SENT", "")]


@pytest.mark.logs_errors("job_dead")
async def test_a_mail_dies_after_its_last_attempt_and_can_be_replayed(start: Start, clock) -> None:
    async with start(clock=clock) as service:
        service.users.add(ANN)
        service.receiver.data_responses = ["451 later"] * MAX_EMAIL_ATTEMPTS
        await service.publish(events.confirmed(ANN))
        for _ in range(MAX_EMAIL_ATTEMPTS):
            await service.settled()
            clock.advance(events.MAX_BACKOFF)
        assert await waiting(service) == [("dead", MAX_EMAIL_ATTEMPTS, "451 later")]
        assert await service.states() == [("FAILED", "TOO_MANY_ATTEMPTS")]
        (queue,) = [queue for queue in service.app._queues if queue.name == "email_jobs"]
        await queue.replay([row.id for row in await service.rows("SELECT id FROM email_jobs")])
        await service.settled()
        assert await service.states() == [("SENT", "")]
        assert len(set(service.receiver.ids)) == 1


@pytest.mark.parametrize("event", [events.confirmed(ANN), events.signed_up(SIGN_UP)])
async def test_mails_wait_while_the_user_service_is_down(start: Start, clock, event) -> None:
    async with start(clock=clock) as service:
        service.users.add(ANN)
        service.users.sign_up(SIGN_UP)
        service.users.down = True
        await service.publish(event)
        await service.settled()
        assert await service.states() == [("QUEUED", "")]
        assert [job[0] for job in await waiting(service)] == ["ready"]
        service.users.down = False

        async def sent() -> bool:  # the client's breaker probes on its own time
            clock.advance(events.MAX_BACKOFF)
            await service.settled()
            return await service.states() == [("SENT", "")]

        await events.until(sent)
        assert [row.n for row in await service.rows("SELECT attempts - excused AS n FROM email_jobs")] == [1]


async def test_mails_wait_while_the_mail_server_is_away_and_are_sent_as_soon_as_it_is_back(start: Start) -> None:
    async with receiving() as gone:
        port = gone.port
    async with start(smtp_url=f"smtp://127.0.0.1:{port}") as service:
        service.users.add(ANN)
        await service.publish(*(events.confirmed(ANN) for _ in range(40)))

        async def left_alone() -> bool:
            return "mail server: circuit breaker open" in [error for _, _, error in await waiting(service)]

        await events.until(left_alone)
        assert {state for state, _ in await service.states()} <= {"QUEUED", "SENDING"}
        async with receiving(port=port) as back:
            await service.settled()
            assert await service.states() == [("SENT", "")] * 40
            assert len(back.mails) == 40
        # The outage used up no attempts, and the breaker spared most mails the connecting.
        assert {row.n for row in await service.rows("SELECT attempts - excused AS n FROM email_jobs")} == {1}
        refused = [code for _, code, _ in await attempts(service)].count(0)
        assert 5 <= refused < 40


async def test_the_response_to_one_mail_does_not_affect_the_others(service: Service) -> None:
    service.users.add(ANN)
    service.receiver.data_responses = [b"250 gr\xfc\xdfe", b"250 \x00\x1b[2J", b"250 " + b"x" * 400, "250 accepted"]
    await service.publish(*(events.confirmed(ANN) for _ in range(8)))
    await service.settled()
    assert await service.states() == [("SENT", "")] * 8
    assert len(service.receiver.ids) == len(set(service.receiver.ids)) == 8
    assert [job[:2] for job in await waiting(service)] == [("done", 1)] * 8
    responses = {response for _, _, response in await attempts(service)}
    assert {"gr\ufffd\ufffde", "[2J", "x" * 200, "accepted"} == responses


@pytest.mark.logs_errors("result_not_stored")
async def test_a_delivery_that_the_database_refuses_is_refused_alone(service: Service) -> None:
    service.users.add(ANN)
    async with service.app.database.transaction() as tx:
        await tx.run(Query("ALTER TABLE attempts ADD CONSTRAINT picky CHECK (response <> 'unstorable')"))
    service.receiver.data_responses = ["250 unstorable"]
    await service.publish(*(events.confirmed(ANN) for _ in range(8)))
    await service.settled()
    assert await service.states() == [("SENT", "")] * 8
    sent = Counter(service.receiver.ids)
    assert sorted(sent.values()) == [1] * 7 + [2]  # only the one whose result could not be kept


async def test_a_late_worker_does_not_overwrite_what_another_has_claimed(start: Start, clock) -> None:
    async with start(clock=clock, work=False) as service:
        await service.publish(events.confirmed(ANN))
        worker = next(w for w in service.app._workers if w.queue.name == "event_jobs")
        await worker.once()
        (row,) = await service.rows("SELECT delivery_id FROM deliveries")
        deliveries = DeliveryRepository(service.app.database, "test")
        (late,) = await deliveries.claim({row.delivery_id: 1}, clock.now())
        (current,) = await deliveries.claim({row.delivery_id: 2}, clock.now())
        await deliveries.update([(late, fail(Reason.REFUSED, "late"))], clock.now())
        assert await service.states() == [("SENDING", "")]
        await deliveries.update([(current, DeliveryResult(DeliveryState.SENT))], clock.now())
        assert await service.states() == [("SENT", "")]


async def test_a_job_that_comes_again_after_its_mail_was_sent_sends_nothing(service: Service) -> None:
    service.users.add(ANN)
    await service.publish(events.confirmed(ANN))
    await service.settled()
    (queue,) = [queue for queue in service.app._queues if queue.name == "email_jobs"]
    assert await queue.replay([row.id for row in await service.rows("SELECT id FROM email_jobs")]) == 1
    await service.settled()
    assert len(service.receiver.mails) == 1
    assert await service.states() == [("SENT", "")]


async def test_a_process_that_died_while_sending_leaves_the_mail_to_another(start: Start, clock) -> None:
    async with start(clock=clock, work=False) as service:
        service.users.add(ANN)
        await service.publish(events.confirmed(ANN))
        prefix = service.app.settings.database_prefix
        worker = next(w for w in service.app._workers if w.queue.name == "event_jobs")
        assert await worker.once() == 1
        (queue,) = [queue for queue in service.app._queues if queue.name == "email_jobs"]
        assert len(await queue.lease(10)) == 1  # and then nothing more is heard of it
        await service.rows("UPDATE deliveries SET state = 'SENDING' RETURNING 1")
        clock.advance(timedelta(seconds=queue.lease_time + 1))
        async with start(clock=clock, prefix=prefix) as heir:
            await heir.settled()
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
    await service.settled()
    assert await service.states() == [("SENT", "")]
    assert len(service.receiver.mails) == 1


@asynccontextmanager
async def away(service: Service) -> AsyncIterator[None]:
    """The service's database takes no connections, and breaks those that there are."""
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
        worker = next(w for w in service.app._workers if w.queue.name == "event_jobs")
        await worker.once()
        await service.rows("UPDATE email_jobs SET state = 'dead' RETURNING 1")
        job = next(job for _, job, name in service.app._jobs if name == "fail dead deliveries")
        assert await job() == 1
        assert await service.states() == [("FAILED", "TOO_MANY_ATTEMPTS")]


@pytest.mark.logs_errors("job_dead")
async def test_nothing_personal_in_a_mail_is_stored_or_logged(service: Service, capfd) -> None:
    service.users.add(ANN, "canary-address@example.com", display_name="Canary Name")
    service.users.sign_up(SIGN_UP, "canary-address@example.com")
    service.receiver.recipient_responses = ["550 <canary-address@example.com> Canary", "450 canary-address@example.com"]
    await service.publish(*(made for _ in range(2) for made in (events.confirmed(ANN), events.signed_up(SIGN_UP))))
    await service.settled()
    kept = ""
    for table in service.app.metadata.tables:
        kept += str(await service.rows(f"SELECT t::text FROM {table} t"))
    said = "".join(capfd.readouterr())
    assert ANN in kept
    for secret in ("canary-address", "Canary Name", *service.users.codes[SIGN_UP]):
        assert secret not in kept
        assert secret not in said
