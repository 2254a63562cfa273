"""A second provider, for what the first has surely not sent; the next channel; and messages that take long beside others."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from weft.notification.v1.category_pb2 import CHANNEL_EMAIL, CHANNEL_INBOX, CHANNEL_SMS
from weft.notification.v1.notification_pb2 import Recipient

from chassis.clock import FixedClock
from chassis.settings import Settings, SettingsError
from services.notification.channels.email.smtp import Mailer, parse_smtp_url
from services.notification.deliveries.domain import Reason, skip
from services.notification.deliveries.providers import Providers
from services.notification.deliveries.repository import DeliveryRepository
from services.notification.deliveries.throttle import batch_at
from services.notification.delivery_events.wiring import sms_accounts
from tests.notification import sample_events as events
from tests.notification import texts
from tests.notification.conftest import Service, Start
from tests.notification.requests.calls import Caller, customer
from tests.notification.smtp import HANG_UP, Receiver, receiving, until
from tests.notification.texts import PHONE, Provider

FIRST, SECOND = "smtp:127.0.0.1", "smtp:localhost"
BUSY = (503, b'{"code": 20503, "message": "Service unavailable"}')
SENT, QUEUED = ("SENT", ""), ("QUEUED", "")


@pytest.fixture
async def second() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def second_provider(tmp_path: Path) -> AsyncIterator[Provider]:
    (tmp_path / "second").mkdir()
    async with texts.serving(tmp_path / "second") as provider:
        provider.url = provider.url.replace("127.0.0.1", "localhost")
        yield provider


class Sender:
    """Sends one message, and looks what became of it."""

    def __init__(self, service: Service) -> None:
        self.service, self.acme = service, Caller(service)

    async def send(self, to: str = "ann@example.com") -> str:
        channel, whom = (CHANNEL_EMAIL, Recipient(email=to)) if "@" in to else (CHANNEL_SMS, Recipient(phone=to))
        sent = await self.acme.send(whom, channels=[channel])
        return str(sent.notifications[0].notification_id)

    async def after(self, notification_id: str) -> tuple[tuple[str, str], list[tuple[str, int]]]:
        """State and reason, and provider and code of each attempt."""
        await self.service.wait_until_idle()
        (delivery,) = await self.acme.deliveries(notification_id)
        tried = [(attempt.provider, attempt.response_status) for attempt in delivery.attempts]
        return (await self.acme.parts(notification_id))[0], tried


@pytest.mark.logs_errors("job_dead")
async def test_the_second_mail_server_has_what_the_first_has_surely_not_sent(
    start: Start, clock: FixedClock, receiver: Receiver, second: Receiver
) -> None:
    async with start(clock=clock, smtp_fallback_url=f"smtp://localhost:{second.port}") as service:
        sender = Sender(service)
        receiver.recipient_responses = ["451 4.7.1 later"]
        assert await sender.after(await sender.send()) == (SENT, [(FIRST, 451), (SECOND, 250)])
        receiver.data_responses = ["452 4.2.2 full"]  # after the content, and yet an answer
        assert await sender.after(await sender.send()) == (SENT, [(FIRST, 452), (SECOND, 250)])
        receiver.recipient_responses = ["550 5.7.1 not you"]
        assert await sender.after(await sender.send()) == (("FAILED", "REFUSED"), [(FIRST, 550)])
        assert len(second.mails) == 2

        # No answer after the content: it may have been sent, so the first has it, whatever it says afterwards.
        receiver.data_responses = [HANG_UP, HANG_UP]
        lost = await sender.send()
        tried = [(FIRST, 0), (FIRST, 0)]
        assert await sender.after(lost) == (QUEUED, tried)
        receiver.recipient_responses = ["451 4.7.1 later"]
        clock.advance(events.MAX_BACKOFF)
        tried.append((FIRST, 451))
        assert await sender.after(lost) == (QUEUED, tried)
        clock.advance(events.MAX_BACKOFF)
        assert await sender.after(lost) == (SENT, [*tried, (FIRST, 250)])
        assert len(second.mails) == 2

        # The second refuses what the first only puts off: its settings may be wrong.
        receiver.recipient_responses, second.recipient_responses = ["451 later"], ["550 5.7.1 relaying denied"]
        put_off = await sender.send()
        assert await sender.after(put_off) == (QUEUED, [(FIRST, 451), (SECOND, 550)])
        clock.advance(events.MAX_BACKOFF)
        assert (await sender.after(put_off))[0] == SENT


async def test_a_mail_server_that_is_away_holds_nothing_up_where_there_is_a_second(
    start: Start, receiver: Receiver, second: Receiver
) -> None:
    away = f"smtp://127.0.0.1:{_closed_port()}"
    async with start(smtp_url=away, smtp_fallback_url=f"smtp://localhost:{second.port}") as service:
        sender = Sender(service)
        found = []
        for batch in range(2):  # the mails of one batch are tried at the same time
            sent = [await sender.send(f"ann{batch}{number}@example.com") for number in range(12)]
            found += [await sender.after(each) for each in sent]
        assert {state for state, _ in found} == {SENT}
        assert [tried[-1] for _, tried in found] == [(SECOND, 250)] * 24
        asked = sum((FIRST, 0) in tried for _, tried in found)
        assert 0 < asked < 24, "its breaker opens"
        assert len(second.mails) == 24


def _closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.mark.logs_errors("job_dead", "sms_account_refused")
async def test_the_second_provider_of_texts_has_what_the_first_has_surely_not_sent(
    start: Start, clock: FixedClock, provider: Provider, second_provider: Provider
) -> None:
    second = {"sms_fallback_url": second_provider.url, "sms_fallback_from": "+15005550006"}
    async with start(clock=clock, **provider.settings, **second) as service:
        sender = Sender(service)
        first, other = "twilio:127.0.0.1", "twilio:localhost"
        for reply, code in ((BUSY, 20503), ((429, b"{}"), 429), ((401, b"{}"), 401)):
            provider.replies = [reply]
            assert await sender.after(await sender.send(PHONE)) == (SENT, [(first, code), (other, 201)])
        assert len(second_provider.bodies()) == 3
        for reply, code in (((502, b"<html>"), 502), ((500, b'{"code": 20500, "message": "x"}'), 20500), ((0, b""), 0)):
            provider.replies = [reply, (429, b"{}")]
            message = await sender.send(PHONE)
            assert await sender.after(message) == (QUEUED, [(first, code)])
            clock.advance(events.MAX_BACKOFF)
            assert await sender.after(message) == (QUEUED, [(first, code), (first, 429)])
            clock.advance(events.MAX_BACKOFF)
            assert await sender.after(message) == (SENT, [(first, code), (first, 429), (first, 201)])
        assert await sender.after(await sender.send("+15005550009")) == (
            ("FAILED", "ADDRESS_UNUSABLE"),
            [(first, 21614)],
        )
        assert len(second_provider.bodies()) == 3


async def test_a_second_provider_is_another_one(provider: Provider) -> None:
    mailer = Mailer(parse_smtp_url("smtp://127.0.0.1:1"))
    with pytest.raises(SettingsError, match="WEFT_SMTP_FALLBACK_URL: name another server than WEFT_SMTP_URL"):
        Providers.of("smtp", [mailer, mailer])
    settings = Settings(database_url="postgresql://a:b@c:1", data_keys={"k": "x"}, sms_fallback_url=provider.url)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="WEFT_SMS_FALLBACK_URL: name the first"):
        sms_accounts(settings)
    wrong = settings.model_copy(update={"sms_url": SecretStr(provider.url), "sms_fallback_url": SecretStr("https://x")})
    with pytest.raises(SettingsError, match="WEFT_SMS_FALLBACK_URL: write"):
        sms_accounts(wrong)


async def test_a_setting_of_the_second_is_named_where_it_is_wrong(start: Start, provider: Provider) -> None:
    second = {"sms_fallback_url": "https://account:token@second.test"}
    for more, sentence in (
        ({"smtp_url": "", "smtp_fallback_url": "smtp://h"}, "WEFT_SMTP_FALLBACK_URL: name the first"),
        ({"smtp_fallback_url": "http://h"}, "WEFT_SMTP_FALLBACK_URL: write smtp://"),
        ({**provider.settings, **second, "sms_fallback_from": ""}, "WEFT_SMS_FALLBACK_FROM: write the number"),
        ({**provider.settings, "sms_from": ""}, "WEFT_SMS_FROM: write the number"),
    ):
        with pytest.raises(SettingsError, match=sentence):
            async with start(**more):
                pass


@pytest.mark.parametrize(("rate", "batch"), [(0, 32), (100, 32), (2, 5), (0.1, 1)])
def test_no_more_is_leased_together_than_may_go_in_time(rate: float, batch: int) -> None:
    assert batch_at(rate, 32, 2) == batch


async def test_a_message_that_hangs_holds_up_none_of_its_batch(
    start: Start, receiver: Receiver, provider: Provider
) -> None:
    async with start(work=False, **provider.settings) as service:
        sender = Sender(service)
        receiver.stalled = provider.stalled = asyncio.Event()
        receiver.stalled_for, provider.stalled_for = "slow@example.com", "+43660999999"
        for queue, slow, others in (
            ("email_jobs", "slow@example.com", "fast{}@example.com"),
            ("sms_jobs", "+43660999999", "+4366000000{}"),
        ):
            sent = [await sender.send(to) for to in (slow, *(others.format(number) for number in range(5)))]
            await service.worker("dispatch_jobs").once()
            worker = service.worker(queue)
            assert await worker.once() == 6
            assert await _states(sender, sent) == [("SENDING", ""), *[SENT] * 5]
            jobs = await service.rows(f"SELECT state FROM {queue} ORDER BY id")
            assert [row.state for row in jobs] == ["ready"], "nothing sends the others again"
        assert (receiver.waiting, provider.waiting) == (1, 1)
        receiver.stalled.set()
        late = [service.worker(queue) for queue in ("email_jobs", "sms_jobs")]
        await until(lambda: not any(worker._late for worker in late))
        assert len(await service.rows("SELECT 1 FROM deliveries WHERE state = 'SENT'")) == 12
        assert len(receiver.mails) == 6


@pytest.mark.parametrize("is_claimed", [True, False], ids=["it is sent again", "its job dies before"])
async def test_the_next_channel_has_what_is_tried_again_and_ends_again(start: Start, *, is_claimed: bool) -> None:
    async with start(work=False) as service:
        acme, user = Caller(service), customer(service)
        service.users.by_id[user.user_id].email = ""
        channels = [CHANNEL_EMAIL, CHANNEL_SMS, CHANNEL_INBOX]
        (sent,) = (await acme.send(user, channels=channels)).notifications
        ended, waiting, none = ("SKIPPED", "NO_ADDRESS"), ("ACCEPTED", ""), ("SKIPPED", "NOT_CONFIGURED")
        for queue in ("dispatch_jobs", "email_jobs", "dispatch_jobs"):
            await service.worker(queue).once()
        assert await acme.parts(sent.notification_id) == [ended, QUEUED, waiting]
        # Tried again, whose job is gone, while the next channel is under way, which ends first.
        await acme.retry((await acme.deliveries(sent.notification_id))[0])
        (job,) = await service.rows("SELECT kind, attempts - excused AS counted FROM email_jobs")
        assert (job.kind, job.counted) == ("message", 0)
        for queue in ("sms_jobs", "dispatch_jobs"):
            await service.worker(queue).once()
        assert await acme.parts(sent.notification_id) == [QUEUED, none, waiting]
        if is_claimed:
            await service.worker("email_jobs").once()
        else:
            await service.rows("UPDATE email_jobs SET state = 'dead' RETURNING 1")
            await next(job for _, job, name in service.app._jobs if name == "fail dead deliveries")()
            ended = ("FAILED", "TOO_MANY_ATTEMPTS")
        await service.worker("dispatch_jobs").once()
        assert await acme.parts(sent.notification_id) == [ended, none, SENT]


async def test_the_next_channel_waits_for_who_sends_now_not_for_a_late_worker(start: Start, clock: FixedClock) -> None:
    async with start(work=False, clock=clock) as service:
        acme = Caller(service)
        (sent,) = (await acme.send(customer(service), channels=[CHANNEL_EMAIL, CHANNEL_INBOX])).notifications
        await service.worker("dispatch_jobs").once()
        (delivery, _) = await acme.deliveries(sent.notification_id)
        queue = service.worker("dispatch_jobs").queue
        deliveries = DeliveryRepository(service.app.database, "test", queue)
        (late,) = await deliveries.claim({delivery.delivery_id: 1}, clock.now())
        (current,) = await deliveries.claim({delivery.delivery_id: 2}, clock.now())
        await deliveries.update([(late, skip(Reason.PREFERENCE))], clock.now())
        assert await queue.lease(10) == []
        await deliveries.update([(current, skip(Reason.PREFERENCE))], clock.now())
        assert len(await queue.lease(10)) == 1


async def _states(sender: Sender, notifications: list[str]) -> list[tuple[str, str]]:
    return [(await sender.acme.parts(each))[0] for each in notifications]
