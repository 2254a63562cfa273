"""Ten thousand events through a hostile receiver, while the service is killed fifty times.

`SOAK_SHARE=0.1` makes a tenth of it.
"""

import asyncio
import json
import os
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import grpc
import psycopg
import pytest
from aiohttp import web
from google.protobuf.timestamp_pb2 import Timestamp
from weft.api.v1 import mode_pb2
from weft.api.v1.event_pb2 import Event
from weft.notification.v1.webhook_endpoint_pb2 import WebhookEndpoint
from weft_client import webhooks

from tests.harness import Harness
from tests.notification import sample_events as samples
from tests.notification.processes import process, publish
from tests.notification.webhooks.receiver import Partner, Receiver, drop, endless, garbage, later, receiving, redirect
from tests.servers import until

pytestmark = pytest.mark.soak
SHARE = float(os.environ.get("SOAK_SHARE", "1"))
EVENTS, KILLS = round(10_000 * SHARE), round(50 * SHARE)
OWNERS = (("acme", "TEST"), ("acme", "LIVE"), ("zenith", "TEST"), ("initech", "LIVE"))
UNSTORED = 64
"""Of one endpoint, at a kill: a batch that was sent and not stored."""
SETTINGS = {
    "WEFT_ENVIRONMENT": "development", "WEFT_WEBHOOK_TIME_SCALE": "0.0001", "WEFT_WEBHOOK_TIMEOUT": "0.5",
    "WEFT_SMTP_URL": "smtp://127.0.0.1:1",
}  # fmt: skip


@dataclass
class Hostile:
    """Answers at random, checks every request, and keeps what it has accepted."""

    hooks: Receiver
    secrets: dict[str, str] = field(default_factory=dict)
    requests: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    accepted: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    count: int = 0

    async def take(self, request: web.Request) -> web.StreamResponse:
        event = webhooks.verify(await request.read(), request.headers, self.secrets[request.path], tolerance=30)
        self.count += 1
        assert event["eventId"] == request.headers["webhook-id"]
        self.requests[request.path][event["eventId"]] += 1
        answers = (
            None,
            500,
            404,
            later(0, 429),
            later("soon"),
            drop,
            redirect("/trap"),
            garbage,
            self.hooks.hang,
            endless,
        )
        (answer,) = random.choices(answers, (60, 8, 4, 2, 2, 6, 6, 6, 2, 4))
        if answer in (None, endless):
            self.accepted[request.path][event["eventId"]] += 1
        if answer is None or isinstance(answer, int):
            return web.Response(status=answer or 204)
        return await answer(request)


async def test_every_owed_webhook_is_delivered_whatever_the_receiver_does_and_however_often_we_are_killed(
    harness: Harness,
) -> None:
    prefix = harness.service_database("notification")
    async with (
        receiving() as hooks,
        harness.running("notification", prefix=prefix, work=False, webhook_allowed=hooks.allowed) as api,
    ):
        receiver = Hostile(hooks)
        partners = {owner: Partner(harness, api, mode=owner[1]) for owner in OWNERS}
        partners["acme", "LIVE"].partner_id = partners["acme", "TEST"].partner_id
        endpoints = await register(receiver, partners)
        events, owed = made(partners)
        environment = {**SETTINGS, "WEFT_WEBHOOK_ALLOWED": json.dumps(hooks.allowed)}
        await kill_again_and_again(harness, prefix, environment, receiver, events)
        async with process(harness, prefix, environment) as (_, address):
            assert await publish_at_last(harness, address, events) == 0
            await recover(partners, endpoints)
        check(harness, prefix, receiver, owed)


async def register(
    receiver: Hostile, partners: dict[tuple[str, str], Partner]
) -> list[tuple[tuple[str, str], WebhookEndpoint]]:
    """Two endpoints of each owner: for everything, and thin ones for placed orders."""
    made = []
    for owner, partner in partners.items():
        for path, fields in (
            ("all", {}),
            ("placed", {"event_types": ["order.placed"], "payload": "WEBHOOK_PAYLOAD_THIN"}),
        ):
            place = f"/{'/'.join(owner)}/{path}"
            endpoint = await partner.create(receiver.hooks.url(place), **fields)
            receiver.secrets[place] = endpoint.secret
            receiver.hooks.answer(place, receiver.take)
            made.append((owner, endpoint))
    return made


def made(partners: dict[tuple[str, str], Partner]) -> tuple[list[Event], dict[str, set[str]]]:
    """Events of every owner and of nobody, and the ids that each path is owed."""
    events: list[Event] = []
    owed: dict[str, set[str]] = defaultdict(set)
    for number in range(EVENTS):
        make = samples.placed if number % 2 else samples.confirmed
        owner = (*OWNERS, None)[number // 2 % 5]
        if owner is None:
            events.append(make("usr_1"))
            continue
        mode = mode_pb2.Mode.Value(f"MODE_{owner[1]}")
        events.append(make("usr_1", partner_id=partners[owner].partner_id, mode=mode))
        for path in ("all", "placed") if make is samples.placed else ("all",):
            owed[f"/{'/'.join(owner)}/{path}"].add(events[-1].event_id)
    return events, owed


async def kill_again_and_again(
    harness: Harness, prefix: str, environment: dict[str, str], receiver: Hostile, events: Sequence[Event]
) -> None:
    """Each process gets a share of the events, and is killed at some request: in a publication, a request, or a commit."""
    share = -(-EVENTS // KILLS)
    for number in range(KILLS):
        async with process(harness, prefix, environment) as (_, address):
            batch = list(events[number * share : (number + 1) * share])
            publishing = asyncio.create_task(publish_at_last(harness, address, batch))
            wanted = receiver.count + random.randint(1, share)

            async def enough(wanted: int = wanted) -> bool:
                return receiver.count >= wanted

            await until(enough, f"request {wanted}", seconds=120)
        publishing.cancel()
        with suppress(asyncio.CancelledError):
            await publishing
    async with process(harness, prefix, environment) as (_, address):
        await publish_at_last(harness, address, list(events))  # what a killed process had not taken


async def publish_at_last(harness: Harness, address: str, batch: Sequence[Event]) -> int:
    """Until the process has taken them: on a busy machine it takes its time to start, and to answer. How many were new then."""
    new = 0
    for start in range(0, len(batch), 100):
        while True:
            with suppress(grpc.aio.AioRpcError):
                new += await publish(harness, address, list(batch[start : start + 100]))
                break
    return new


async def recover(
    partners: dict[tuple[str, str], Partner], endpoints: list[tuple[tuple[str, str], WebhookEndpoint]]
) -> None:
    """As a partner does: enable what was disabled, and send what failed once more, until nothing is left."""
    for owner, endpoint in endpoints:
        partner = partners[owner]

        async def settled(partner: Partner = partner, endpoint_id: str = endpoint.endpoint_id) -> bool:
            if not (await partner.get(endpoint_id)).enabled:
                await partner.update(endpoint_id, enabled=True)
            recovered = await partner.recover(endpoint_id, Timestamp(seconds=1))
            waiting = await partner.deliveries(endpoint_id, state="WEBHOOK_DELIVERY_STATE_PENDING", page_size=1)
            return not recovered.recovered_count and not waiting

        await until(settled, f"{endpoint.url} to have everything", seconds=300)


def check(harness: Harness, prefix: str, receiver: Hostile, owed: dict[str, set[str]]) -> None:
    assert {path: set(ids) for path, ids in receiver.accepted.items()} == owed
    assert {path: set(ids) for path, ids in receiver.requests.items()} == owed
    assert receiver.hooks.at("/trap") == []
    with psycopg.connect(harness.postgres_url, dbname=f"{prefix}_notification") as connection:
        rows = connection.execute(
            "SELECT w.url, d.event_id, d.state, d.attempts, count(a), count(*) FILTER (WHERE a.failure IN ('TIMEOUT', 'CONNECTION')) "
            "FROM webhook_deliveries d JOIN webhook_endpoints w USING (endpoint_id) LEFT JOIN webhook_attempts a USING (delivery_id) "
            "GROUP BY w.url, d.event_id, d.state, d.attempts"
        ).fetchall()
    assert len(rows) == sum(map(len, owed.values()))
    assert {state for _, _, state, _, _, _ in rows} == {"SUCCEEDED"}
    lost = doubled = unsure = 0
    for url, event_id, _, attempts, stored, without_answer in rows:
        path = url.removeprefix(receiver.hooks.url(""))
        assert attempts == stored
        assert receiver.requests[path][event_id] >= attempts - without_answer
        lost += receiver.requests[path][event_id] - attempts
        doubled += receiver.accepted[path][event_id] - 1
        unsure += without_answer
    summary: dict[str, Any] = {
        "events": EVENTS, "kills": KILLS, "owed": len(rows), "requests": receiver.count, "lost with a kill": lost,
        "accepted twice": doubled, "without an answer": unsure,
    }  # fmt: skip
    print(f"\n{summary}")
    assert lost <= KILLS * len(owed) * UNSTORED
    assert doubled <= max(lost, 0) + unsure
