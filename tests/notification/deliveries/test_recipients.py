"""Recipients are looked up when their mail is sent, from a user service that may be slow or away."""

import re
from collections import Counter

import pytest

from chassis import ids
from tests.notification import sample_events as events
from tests.notification.conftest import Service, Start

ANN = ids.new("usr")
SIGN_UP = ids.new("sgn")


async def test_a_batch_looks_its_recipients_up_in_one_call(service: Service) -> None:
    for user in (people := [ids.new("usr") for _ in range(4)]):
        service.users.add(user)
    await service.publish(*(events.confirmed(user) for user in people))
    await service.wait_until_idle()
    assert len(service.users.batches) < 4
    assert sorted(id for batch in service.users.batches for id in batch) == sorted(people)


@pytest.mark.parametrize("event", [events.confirmed(ANN), events.signed_up(SIGN_UP)])
async def test_mails_wait_while_the_user_service_is_down(start: Start, clock, event) -> None:
    async with start(clock=clock) as service:
        await service.keep_jobs()
        service.users.add(ANN)
        service.users.sign_up(SIGN_UP)
        service.users.down = True
        await service.publish(event)
        await service.wait_until_idle()
        assert await service.states() == [("QUEUED", "")]
        assert [job[0] for job in await service.jobs()] == ["ready"]
        service.users.down = False

        async def sent() -> bool:  # the client's breaker probes on its own time
            clock.advance(events.MAX_BACKOFF)
            await service.wait_until_idle()
            return await service.states() == [("SENT", "")]

        await events.until(sent)
        assert await service.counted_attempts() == [1]


async def test_a_code_that_was_not_issued_at_first_delays_the_mail_and_no_more(service: Service) -> None:
    service.users.sign_up(SIGN_UP)
    service.users.failing_codes = 1  # the call is not repeatable, so the client leaves it to the queue
    await service.publish(events.verification_requested(SIGN_UP))
    await service.wait_until_idle()
    assert service.users.codes == {SIGN_UP: ["10000001"]}
    assert re.findall(r"\b\d{8}\b", service.receiver.text()) == ["10000001"]


async def test_a_sign_up_whose_code_is_always_late_holds_up_no_other_mail(start: Start, clock) -> None:
    async with start(clock=clock) as service:
        await service.keep_jobs()
        service.users.add(ANN)
        other = service.users.sign_up(ids.new("sgn"))
        service.users.late_codes.add(service.users.sign_up(SIGN_UP))
        breakers = service.worker("email_jobs")._breakers
        await service.publish(events.signed_up(SIGN_UP))
        for attempt in range(1, 4):  # the client's own breaker counts to five
            await service.wait_until_idle()
            assert service.users.code_calls == attempt
            assert await service.jobs() == [("ready", attempt, "user service: DEADLINE_EXCEEDED")]
            assert [breaker.wait() for breaker in breakers] == [0, 0]
            clock.advance(events.MAX_BACKOFF)
        await service.publish(events.confirmed(ANN), events.signed_up(other))
        await service.wait_until_idle()
        assert Counter(await service.states()) == {("QUEUED", ""): 1, ("SENT", ""): 2}
        assert await service.counted_attempts() == [4, 1, 1]


async def test_codes_are_not_requested_while_none_are_issued(start: Start, clock) -> None:
    async with start(clock=clock) as service:
        for _ in range(20):
            service.users.sign_up(sign_up := ids.new("sgn"))
            service.users.late_codes.add(sign_up)
            await service.publish(events.signed_up(sign_up))
            await service.wait_until_idle()
        assert 3 <= service.users.code_calls < 20
        assert "user service: circuit breaker open" in [error for _, _, error in await service.jobs()]
