"""The channel by itself: addresses, hosts that fail, answers, and the size of a message."""

import asyncio
import json
from typing import Any

import pytest

from chassis import ids
from chassis.settings import SettingsError
from services.notification.channels.outcome import Outcome
from services.notification.channels.push.subscriptions import Device, Subscription
from services.notification.channels.push.web_push import Push, WebPush, classify
from services.notification.channels.webhook.addresses import Guard
from services.notification.channels.webhook.answer import Answer
from services.notification.channels.webhook.names import Names
from services.notification.channels.webhook.sender import Sender
from services.notification.deliveries.pushes import to_payload
from tests.notification.devices.push_service import KEY, PushService


async def test_an_address_that_is_not_public_is_not_connected_to(clock: Any, pushes: PushService) -> None:
    """Whatever was registered: the check is made at the connection."""
    forgotten: list[Device] = []

    async def forget(device: Device) -> None:
        forgotten.append(device)

    names = Names()
    sender = Sender(Guard(()), names, 1.0)
    carrier = WebPush(sender, KEY, "a@weft.local", forget, clock)
    device = Device("dev_1", Subscription(**await pushes.subscription()), clock.now(), clock.now())
    response = await carrier.send(Push("usr_1", "dlv_1", b"{}", 60, [device]))
    assert (response.outcome, response.text, pushes.calls) == (Outcome.REFUSED, "ADDRESS_REFUSED", [])
    running = asyncio.create_task(sender.run())
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_host_that_fails_holds_up_no_other(clock: Any, pushes: PushService) -> None:
    async def forget(_: Device) -> None: ...

    sender = Sender(Guard(["127.0.0.1"]), Names(), 1.0)
    running = asyncio.create_task(sender.run())
    carrier = WebPush(sender, KEY, "a@weft.local", forget, clock)
    keys = await pushes.subscription()
    dead = Device("dev_1", Subscription(**{**keys, "endpoint": "http://127.0.0.1:9/push"}), clock.now(), clock.now())
    alive = Device("dev_2", Subscription(**keys), clock.now(), clock.now())
    texts = [(await carrier.send(Push("usr_1", "dlv_1", b"{}", 60, [dead, alive]))).text for _ in range(6)]
    assert texts == ["CONNECTION, 201"] * 5 + ["circuit breaker open, 201"]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer(201, "", 1), Outcome.ACCEPTED),
        (Answer(404, "STATUS", 1), Outcome.UNREACHABLE),
        (Answer(410, "STATUS", 1), Outcome.UNREACHABLE),
        (Answer(301, "REDIRECT", 1), Outcome.REFUSED),
        (Answer(403, "STATUS", 1), Outcome.REFUSED),
        (Answer(429, "STATUS", 1), Outcome.DEFERRED),
        (Answer(500, "STATUS", 1), Outcome.DEFERRED),
        (Answer(0, "NAME", 1), Outcome.DEFERRED),
        (Answer(0, "CONNECTION", 1), Outcome.DEFERRED),
        (Answer(0, "TIMEOUT", 1), Outcome.LOST),
        (Answer(0, "ADDRESS_REFUSED", 1), Outcome.REFUSED),
    ],
)
def test_what_an_answer_means(answer: Answer, outcome: Outcome) -> None:
    assert classify(answer).outcome is outcome


@pytest.mark.parametrize("title", ["😀" * 200, "x" * 60_000, "\0" * 5000])
@pytest.mark.parametrize("body", ["x", "é" * 4000, "\0" * 4000, '"' * 4000, "😀" * 4000])
def test_a_long_message_is_cut_to_what_push_services_take(title: str, body: str) -> None:
    payload = to_payload({"deliveryId": ids.new("dlv")}, title, body)
    assert len(payload) <= 3_993
    said = json.loads(payload)["body"]
    assert body.startswith(said.removesuffix("…"))
    assert said == body or len(payload) > 3_900


def test_a_wrong_key_is_named(clock: Any) -> None:
    for key in ("word", "A" * 43, "-----BEGIN"):
        with pytest.raises(SettingsError, match="WEFT_VAPID_KEY"):
            WebPush(Sender(Guard(()), Names(), 1.0), key, "a@weft.local", lambda _: asyncio.sleep(0), clock)
