"""Text messages: from an event to a number, over Twilio's API, against the local mesh's sink and a server that misbehaves."""

import base64
import json

import pytest
from aiohttp import ClientSession

from chassis import ids
from chassis.settings import SettingsError
from deploy.local.components import sms_sink
from services.notification.channels.outcome import Outcome
from services.notification.channels.sms import segments
from services.notification.channels.sms.twilio import Text, TextTooLong, Twilio, classify, parse_sms_url, redact
from tests.notification import sample_events as events
from tests.notification.conftest import Start
from tests.notification.texts import PASSWORD, PHONE, Provider

REQUEST = ids.new("cod")


async def test_a_code_reaches_its_number_in_the_readers_language_and_is_not_stored(
    start: Start, provider: Provider
) -> None:
    async with start(**provider.settings) as service:
        service.users.code_request(REQUEST, locale="de-AT", phone=PHONE)
        await service.publish(events.phone_verification_requested(REQUEST))
        await service.wait_until_idle()
        assert provider.bodies() == [
            "10000001 ist Ihr Code für Weft. Er gilt einmal, zehn Minuten lang. Geben Sie ihn niemandem, auch nicht uns."
        ]
        assert segments.count(provider.bodies()[0]) == 1
        assert await service.rows("SELECT channel, state, reason FROM deliveries") == [("SMS", "SENT", "")]
        assert service.receiver.mails == []
        everything = str([await service.rows(f"SELECT t::text FROM {t} t") for t in service.app.metadata.tables])
        assert "10000001" not in everything
        assert PHONE not in everything


@pytest.mark.parametrize(
    ("number", "reason", "code"),
    [
        ("+15005550001", "ADDRESS_UNUSABLE", 21211),
        ("+15005550009", "ADDRESS_UNUSABLE", 21614),
        ("+15005550004", "OPTED_OUT", 21610),
    ],
)
@pytest.mark.logs_errors("job_dead")
async def test_what_is_about_the_recipient_is_final(
    start: Start, provider: Provider, number: str, reason: str, code: int
) -> None:
    async with start(**provider.settings) as service:
        service.users.code_request(REQUEST, phone=number)
        await service.publish(events.phone_verification_requested(REQUEST))
        await service.wait_until_idle()
        assert (await service.states(), provider.calls) == ([("FAILED", reason)], 1)
        ((_, stored, text),) = await service.attempts()
        assert stored == code
        assert number not in text


@pytest.mark.parametrize(
    "reply", [(429, b'{"code": 20429, "message": "Too many requests"}'), (500, b"<html>"), (0, b"")]
)
async def test_what_passes_is_retried_with_a_new_code(start: Start, provider: Provider, clock, reply) -> None:
    async with start(clock=clock, **provider.settings) as service:
        service.users.code_request(REQUEST, phone=PHONE)
        provider.replies = [reply]
        await service.publish(events.phone_verification_requested(REQUEST))
        await service.wait_until_idle()
        assert await service.states() == [("QUEUED", "")]
        clock.advance(events.MAX_BACKOFF)
        await service.wait_until_idle()
        assert await service.states() == [("SENT", "")]
        assert provider.bodies()[-1].startswith("10000002 ")


@pytest.mark.logs_errors("sms_account_refused")
async def test_a_wrong_token_is_a_fault_of_the_settings_and_uses_up_no_attempt(
    start: Start, provider: Provider
) -> None:
    wrong = {**provider.settings, "sms_url": provider.url.replace(PASSWORD, "another")}
    async with start(**wrong) as service:
        service.users.code_request(REQUEST, phone=PHONE)
        await service.publish(events.phone_verification_requested(REQUEST))

        async def deferred() -> bool:
            rows = await service.rows("SELECT attempts - excused AS counted, excused, error FROM sms_jobs")
            return bool(rows) and rows[0].excused > 0 and rows[0].counted == 0 and "20003" in rows[0].error

        await events.until(deferred)
        assert await service.states() == [("QUEUED", "")]


async def test_without_settings_text_messages_are_skipped(start: Start) -> None:
    async with start() as service:
        service.users.code_request(REQUEST, phone=PHONE)
        await service.publish(events.phone_verification_requested(REQUEST))
        await service.wait_until_idle()
        assert await service.states() == [("SKIPPED", "NOT_CONFIGURED")]
        assert service.users.codes == {}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("a" * 152 + "€" + "a" * 152, 3),  # the escape is not split
        ("й" * 70, 1),
        ("й" * 71, 2),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
        ("й" * 66 + "😀" * 34, 3),
        ("ç", 1),  # not in the alphabet, though Ç is
    ],
)
def test_segments_are_counted_as_they_are_charged(text: str, number: int) -> None:
    assert segments.count(text) == number


def test_a_text_of_more_than_three_segments_is_refused() -> None:
    Text(PHONE, "a" * 459)
    with pytest.raises(TextTooLong, match="4 segments"):
        Text(PHONE, "a" * 460)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"code": "x"}', b'{"message": "no code"}', b"\xff"])
def test_a_reply_that_is_not_twilios_is_an_outcome_too(content: bytes) -> None:
    assert classify(400, content)[:2] == (Outcome.REFUSED, 400)
    assert classify(502, content)[:2] == (Outcome.LOST, 502)


@pytest.mark.parametrize(
    "url", ["", "twilio", "https://api.twilio.com", "ftp://a:b@c", "https://a:b@c:x", "https://a@c"]
)
def test_a_wrong_url_is_named_without_its_secrets(url: str) -> None:
    with pytest.raises(SettingsError, match="WEFT_SMS_URL: write"):
        parse_sms_url(url)


def test_a_wrong_sender_is_named() -> None:
    with pytest.raises(SettingsError, match="WEFT_SMS_FROM"):
        Twilio(parse_sms_url("https://AC1:token@api.twilio.com"), "Weft")


def test_numbers_are_taken_out_of_what_the_provider_says() -> None:
    assert redact("The number +43 660 123456 is\nnot valid (21211)") == "The number <…> is not valid (21211)"


async def test_the_sink_shows_what_came_to_who_knows_the_password_and_escapes_it(provider: Provider) -> None:
    base = provider.url.replace(f"{sms_sink.ACCOUNT}:{PASSWORD}@", "")
    messages = f"{base}/2010-04-01/Accounts/{sms_sink.ACCOUNT}/Messages.json"
    form = {"To": PHONE, "From": sms_sink.NUMBER, "Body": "<script>1 & 2</script>"}
    known = base64.b64encode(f"{sms_sink.ACCOUNT}:{PASSWORD}".encode()).decode()
    async with ClientSession(headers={"authorization": f"Basic {known}"}) as session:
        async with session.post(messages, data=form) as reply:
            assert (reply.status, (await reply.json())["status"]) == (201, "queued")
        async with session.get(f"{base}/messages.json") as reply:
            assert [found["body"] for found in (await reply.json())["messages"]] == [form["Body"]]
        async with session.get(base) as reply:
            assert "&lt;script&gt;1 &amp; 2&lt;/script&gt;" in await reply.text()
        for wrong in ({"To": "12"}, {"Body": ""}, {"Body": "a" * 1601}, {"From": ""}):
            async with session.post(messages, data={**form, **wrong}) as reply:
                assert reply.status == 400
                assert set(json.loads(await reply.text())) == {"code", "message", "more_info", "status"}
    async with ClientSession() as session, session.get(f"{base}/messages.json") as reply:
        assert (reply.status, (await reply.json())["code"]) == (401, 20003)
