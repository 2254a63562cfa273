"""Sends webhooks: claims endpoints, posts what is due to each, and stores what came of it."""

import asyncio
import contextlib
import time
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any, NamedTuple

from opentelemetry.trace import SpanKind
from prometheus_client import Counter
from weft_client.webhooks import sign

from chassis import tasks
from chassis.clock import Clock
from chassis.queues.announcer import Announcer
from chassis.telemetry import logs
from chassis.telemetry.tracing import Tracer
from services.notification.channels.webhook.sender import Sender
from services.notification.endpoints.domain import FAILING, GONE, THIN, Endpoint
from services.notification.endpoints.repository import EndpointRepository
from services.notification.event_log.domain import body
from services.notification.webhooks import notices
from services.notification.webhooks.domain import Health, after
from services.notification.webhooks.lane_repository import (
    LEASE_S,
    Attempt,
    Disabling,
    Lane,
    LaneRepository,
    Owed,
    Stored,
)

log = logs.logger("webhooks")
ATTEMPTS = Counter("weft_webhook_attempts", "Webhooks that were sent, by what came of it.", ["outcome"])
LANES = {False: 100, True: 50}
"""Endpoints that a process sends to at the same time: those that answer, and in a line of their own those that do not, or slowly."""
BATCH = 64
"""Deliveries of one claim, stored together; after that the endpoint is last in its line."""
CONCURRENCY = 8
FAILING_CONCURRENCY = 2
BUDGET_S = 5.0
"""A batch begins no more requests after this time, so that its results are stored soon."""
SLOW_S = 2.0
"""Of a batch: an endpoint that takes longer waits with those that fail."""
STOP_S = 3.0
"""For requests that are on their way when the process stops; what is not answered is sent again with the same id."""
_POLL_S = 5.0
_RENEW_S = LEASE_S / 3


class Pace(NamedTuple):
    """How many deliveries a claim may take, how many at once, and seconds that the lane rests for each."""

    limit: int
    concurrency: int
    rest_s: float


def pace_of(endpoint: Endpoint, health: Health) -> Pace:
    """A receiver that failed again and again is probed with one delivery; a rate is kept second by second."""
    rate = endpoint.max_requests_per_second
    limit = min(BATCH, rate) if rate else BATCH
    concurrency = FAILING_CONCURRENCY if health.failures else CONCURRENCY
    return Pace(1 if health.is_open else limit, concurrency, 1.0 / rate if rate else 0.0)


class WebhookWorker:
    """Serves lanes until it is stopped."""

    def __init__(
        self,
        lanes: LaneRepository,
        endpoints: EndpointRepository,
        sender: Sender,
        announcer: Announcer,
        *,
        clock: Clock,
        tracer: Tracer,
        scale: float,
    ) -> None:
        """`announcer` tells that there may be something to send; `scale` multiplies the schedule of retries and pauses."""
        self._lanes = lanes
        self._endpoints = endpoints
        self._sender = sender
        self._announcer = announcer
        self._clock = clock
        self._tracer = tracer
        self._scale = scale
        self._held: dict[bool, dict[asyncio.Task[bool], Lane]] = {False: {}, True: {}}
        self._stopping = asyncio.Event()
        self._grace: asyncio.Future[None]

    async def run(self) -> None:
        """Work until `stop`; survives outages of the database."""
        self._grace = asyncio.ensure_future(self._wait_for_grace())
        renewing = asyncio.create_task(self._renew())
        try:
            async with asyncio.TaskGroup() as group:
                await self._dispatch(group)
        finally:
            await tasks.end([renewing, self._grace])

    def stop(self) -> None:
        """Claim no more lanes; requests that are on their way have `STOP_S`."""
        self._stopping.set()
        self._announcer.hear()

    async def _dispatch(self, group: asyncio.TaskGroup) -> None:
        pause_s = 0.1
        while not self._stopping.is_set():
            try:
                await self._claim(group)
                await self._announcer.wait(await self._idle_s())
                pause_s = 0.1
            except Exception as error:
                log.warning("webhooks_paused", cause=repr(error), seconds=pause_s)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await self._stopping.wait()
                pause_s = min(pause_s * 2, 5.0)

    async def _claim(self, group: asyncio.TaskGroup) -> None:
        free = [LANES[suspect] - len(held) for suspect, held in self._held.items()]
        for lane in await self._lanes.claim(*free) if any(free) else ():
            task = group.create_task(self._serve(lane))
            self._held[lane.suspect][task] = lane
            task.add_done_callback(self._served)

    def _served(self, task: asyncio.Task[bool]) -> None:
        full = any(len(held) >= LANES[suspect] for suspect, held in self._held.items())
        for held in self._held.values():
            held.pop(task, None)
        if full or task.cancelled() or task.result():
            self._announcer.hear()  # there is a place, or more in this lane

    async def _idle_s(self) -> float:
        if any(len(held) >= LANES[suspect] for suspect, held in self._held.items()):
            return _POLL_S  # a place that becomes free is heard
        wait_s = await self._lanes.wait_s()
        return _POLL_S if wait_s is None else min(_POLL_S, wait_s + 0.005)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(_RENEW_S)
            if lanes := [lane for held in self._held.values() for lane in held.values()]:
                with contextlib.suppress(Exception):  # what is lost is sent again
                    await self._lanes.renew(lanes)

    async def _wait_for_grace(self) -> None:
        await self._stopping.wait()
        await asyncio.sleep(STOP_S)

    async def _serve(self, lane: Lane) -> bool:
        """One batch of one endpoint; whether there may be more. A failure of ours lets the lease expire, and touches no other lane."""
        try:
            endpoint = self._endpoints.read(lane.endpoint)
            if lane.suspended:
                await self._lanes.rest(lane)
            elif not endpoint.enabled:
                await self._lanes.fail_owed(lane)
            else:
                return await self._send_batch(lane, endpoint)
        except Exception as error:
            log.warning("webhook_lane_failed", endpoint_id=lane.endpoint_id, cause=repr(error))
        return True

    async def _send_batch(self, lane: Lane, endpoint: Endpoint) -> bool:
        health = Health(lane.failures, lane.failing_since)
        pace, probing = pace_of(endpoint, health), health.is_open
        owed = await self._lanes.list_owed(lane, pace.limit)
        started, attempts = time.monotonic(), list[Attempt]()
        waiting = iter(owed)

        def more() -> Iterator[Owed]:
            for each in waiting:
                yield each
                late = time.monotonic() - started > BUDGET_S
                if late or self._stopping.is_set() or health.gone or (health.is_open and not probing):
                    return

        async def send() -> None:
            for each in more():
                attempt = await self._attempt(endpoint, each)
                health.saw(attempt.answer, self._clock.now(), self._scale)
                attempts.append(attempt)

        await self._finish_or_cancel([send() for _ in range(min(pace.concurrency, len(owed)))])
        took_s = time.monotonic() - started
        stored = await self._lanes.finish(
            lane,
            attempts,
            health,
            wait_s=max(health.paused_s, pace.rest_s * len(attempts)),
            suspect=health.failures > 0 or took_s > SLOW_S,
            disabling=self._disabling(endpoint, health),
        )
        self._count(endpoint, attempts, stored)
        return stored is not Stored.NOTHING_OWED

    async def _finish_or_cancel(self, coroutines: Sequence[Coroutine[Any, Any, None]]) -> None:
        """Run to the end, or to that of the time that is left when the process stops."""
        running: set[asyncio.Future[None]] = {asyncio.ensure_future(each) for each in coroutines}
        while running and not self._grace.done():
            _, running = await asyncio.wait({*running, self._grace}, return_when=asyncio.FIRST_COMPLETED)
            running.discard(self._grace)
        await tasks.end(running)

    async def _attempt(self, endpoint: Endpoint, owed: Owed) -> Attempt:
        """One request, in a span of the change's trace. Never raises for what the receiver does."""
        now, event = self._clock.now(), owed.event
        content = body(event, thin=endpoint.payload == THIN)
        signed = sign(content, event.event_id, int(now.timestamp()), *endpoint.secrets.at(now))
        attributes = {
            "weft.delivery.id": owed.delivery_id,
            "weft.event.id": event.event_id,
            "weft.event.type": event.type,
        }
        with self._tracer.span("send webhook", owed.traceparent, SpanKind.CLIENT, attributes) as span:
            answer = await self._sender.post(endpoint.url, {"Content-Type": "application/json", **signed}, content)
            span.set_attributes(
                {"http.response.status_code": answer.status, "weft.webhook.failure": answer.failure or "NONE"}
            )
        return Attempt(owed, endpoint.url, now, answer, after(answer, owed.scheduled_attempts + 1, self._scale))

    def _disabling(self, endpoint: Endpoint, health: Health) -> Disabling | None:
        now = self._clock.now()
        reason = GONE if health.gone else FAILING if health.is_given_up(now, self._scale) else ""
        return Disabling(reason, notices.event(endpoint, reason, now).SerializeToString()) if reason else None

    def _count(self, endpoint: Endpoint, attempts: Sequence[Attempt], stored: Stored) -> None:
        for attempt in attempts:
            ATTEMPTS.labels(attempt.answer.failure or "SUCCEEDED").inc()
        if stored is Stored.LEASE_LOST:
            log.warning("webhook_lease_lost", endpoint_id=endpoint.endpoint_id, attempts=len(attempts))
