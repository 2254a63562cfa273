"""Sends what a channel delivers. The recipient is looked up and the message composed when it is sent, and neither is stored."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from opentelemetry.trace import SpanKind
from prometheus_client import Counter
from weft.user.v1.user_pb2 import User

from chassis.clock import Clock
from chassis.errors import Unavailable
from chassis.queues.queue import Job
from chassis.security.modes import TEST
from chassis.telemetry import logs
from chassis.telemetry.tracing import Tracer
from services.notification.channels.channel import Channel, Message
from services.notification.channels.email.message import AddressUnusable
from services.notification.channels.sms.twilio import TextTooLong
from services.notification.deliveries.codes import NothingToSend
from services.notification.deliveries.composer import recipient_of
from services.notification.deliveries.domain import (
    Delivery,
    DeliveryResult,
    DeliveryState,
    Reason,
    collect,
    defer,
    expire,
    fail,
    result_of,
    retry,
    skip,
)
from services.notification.deliveries.gate import Gate, Suppressions
from services.notification.deliveries.providers import Providers
from services.notification.preferences.domain import Preferences
from services.notification.recipients import CodeNotIssued, Recipients, UserServiceUnavailable

log = logs.logger("deliveries")
DELIVERIES = Counter(
    "weft_deliveries",
    "Delivery attempts, by channel and by the state and reason that they led to.",
    ["channel", "state", "reason"],
)

SLOW_S = 1.0
"""For which a batch waits for all of its messages."""
_STORE_RETRY_DELAYS_S = (0.2, 0.5, 1.0, 2.0, 3.0)
M = TypeVar("M", bound=Message)
Compose = Callable[[Delivery, Mapping[str, User]], Awaitable[M]]


class Claims(Protocol):
    """What a worker sends, and where its results go: deliveries by the ids of their jobs."""

    ends_jobs: bool
    """Whether `update` deletes the jobs of what is done."""

    async def claim(self, leases: Mapping[str, int], now: datetime) -> Sequence[Delivery]: ...

    async def update(self, results: Sequence[tuple[Delivery, DeliveryResult]], now: datetime) -> None: ...


@dataclass(frozen=True)
class Medium(Generic[M]):
    """How a channel delivers. Without a provider nothing is sent."""

    channel: Channel
    noun: str
    """In spans and logs."""
    compose: Compose[M]
    providers: Providers[M]
    gate: Gate


@dataclass(frozen=True)
class _Batch:
    """What the deliveries of a batch ask for, looked up once for all of them."""

    users: Mapping[str, User]
    chosen: Mapping[str, Preferences]
    suppressions: Suppressions


class DeliveryWorker(Generic[M]):
    """The handler of the queue of a channel."""

    def __init__(
        self,
        deliveries: Claims,
        recipients: Recipients,
        medium: Medium[M],
        *,
        clock: Clock,
        tracer: Tracer,
        max_attempts: int,
    ) -> None:
        """`max_attempts` is the queue's: after the last one the delivery has failed."""
        self._deliveries = deliveries
        self._recipients = recipients
        self._medium = medium
        self.breakers = (medium.providers, recipients.breaker)
        self._clock = clock
        self._tracer = tracer
        self._max_attempts = max_attempts
        for reason in Reason:  # from zero on: the first failures are an increase, which an alert asks for
            DELIVERIES.labels(medium.channel.value, DeliveryState.FAILED.value, reason.value)

    async def __call__(self, jobs: Sequence[Job]) -> None:
        """Send a batch, each message within its own trace. A job whose delivery is not claimed is done.

        What takes longer than `SLOW_S` leaves the batch: it holds up neither the results nor the successors of the others.
        """
        by_key = {str(job.key): job for job in jobs}
        leases = {key: job.lease for key, job in by_key.items()}
        claimed = await self._deliveries.claim(leases, self._clock.now())
        if not claimed:
            return
        users = await self._get_users(claimed, jobs)
        batch = await self._batch(claimed, users)
        sending = {asyncio.create_task(self._deliver(d, by_key[d.job_key], batch)): d for d in claimed}
        try:
            done, slow = await asyncio.wait(sending, timeout=SLOW_S)
        except BaseException:
            for task in sending:
                task.cancel()
            raise
        for task in slow:
            job = by_key[sending[task].job_key]
            job.goes_on(asyncio.create_task(self._finish_late(task, sending[task], job)))
        await self._finish([(delivery, task.result()) for task, delivery in sending.items() if task in done], by_key)

    async def _finish_late(self, sending: asyncio.Task[DeliveryResult], delivery: Delivery, job: Job) -> None:
        await self._finish([(delivery, await sending)], {delivery.job_key: job})

    async def _finish(self, results: Sequence[tuple[Delivery, DeliveryResult]], jobs: Mapping[str, Job]) -> None:
        """Store the results, and decide their jobs."""
        stored = await self._store(results) if results else frozenset()
        for delivery, result in results:
            job = jobs[delivery.job_key]
            if delivery.delivery_id not in stored:
                job.retry("the result could not be stored")
                continue
            DELIVERIES.labels(self._medium.channel.value, result.state.value, result.reason.value).inc()
            if result.deferred:
                job.defer(result.error)
            elif result.state is DeliveryState.QUEUED:
                job.retry(result.error)
            elif result.state is DeliveryState.FAILED:
                job.dead(result.error)
            elif self._deliveries.ends_jobs and result.ends_job:
                job.gone()

    async def _get_users(
        self, claimed: Sequence[Delivery], jobs: Sequence[Job]
    ) -> Mapping[str, User] | UserServiceUnavailable:
        """One call for the batch; it belongs to a trace where the batch has only one."""
        user_ids = {delivery.user_id for delivery in claimed if delivery.user_id}
        if not user_ids:
            return {}
        traces = {job.traceparent for job in jobs}
        with self._tracer.span("look up recipients", parent=traces.pop() if len(traces) == 1 else ""):
            try:
                return await self._recipients.get(user_ids)
            except UserServiceUnavailable as error:
                return error

    async def _batch(
        self, claimed: Sequence[Delivery], users: Mapping[str, User] | UserServiceUnavailable
    ) -> "_Batch | UserServiceUnavailable":
        if isinstance(users, UserServiceUnavailable):
            return users
        gate = self._medium.gate
        chosen = await gate.preferences({d.user_id for d in claimed if d.user_id})
        return _Batch(users, chosen, await gate.suppressions(users.values()))

    async def _deliver(self, delivery: Delivery, job: Job, batch: "_Batch | UserServiceUnavailable") -> DeliveryResult:
        """One attempt, in a span of its own. Never raises."""
        attributes = {"weft.delivery.id": delivery.delivery_id, "weft.notification.type": delivery.type}
        with self._tracer.span(f"send {self._medium.noun}", job.traceparent, SpanKind.CLIENT, attributes) as span:
            result = await self._attempt(delivery, job.attempts, batch)
            span.set_attributes(
                {"weft.delivery.state": result.state.value, "weft.delivery.reason": result.reason.value}
            )
        if result.error:
            self._log(
                log.warning, "not_sent", delivery_id=delivery.delivery_id, state=result.state.value, cause=result.error
            )
        return result

    async def _attempt(
        self, delivery: Delivery, attempts: int, batch: "_Batch | UserServiceUnavailable"
    ) -> DeliveryResult:
        try:
            if isinstance(batch, UserServiceUnavailable):
                return defer(str(batch))
            if delivery.expire_at is not None and delivery.expire_at <= self._clock.now():
                return expire()
            if not self._medium.providers:
                return skip(Reason.NOT_CONFIGURED)
            gate = self._medium.gate
            chosen, user = batch.chosen.get(delivery.user_id), batch.users.get(delivery.user_id)
            due = gate.digest_due(delivery, chosen, user)
            if due is not None and recipient_of(delivery, batch.users) is not None:
                return collect(due)
            unwanted = gate.unwanted(delivery, chosen, user)
            if unwanted is not Reason.NONE:
                return skip(unwanted)
            message = await self._medium.compose(delivery, batch.users)
            if await gate.is_suppressed(delivery, message.recipient, batch.suppressions):
                return skip(Reason.SUPPRESSED)
            if delivery.mode == TEST:  # one that is retried; others do not get this far
                return skip(Reason.TEST_MODE)
            responses = await self._medium.providers.send(message, delivery.maybe_sent_by)
            if responses:
                await gate.learn(delivery, message.recipient, responses[-1].outcome)
        except NothingToSend as error:
            return skip(error.reason)
        except AddressUnusable as error:
            return fail(Reason.ADDRESS_UNUSABLE, str(error))
        except TextTooLong as error:
            return fail(Reason.TOO_LONG, str(error))
        except UserServiceUnavailable as error:
            return defer(str(error))
        except CodeNotIssued as error:
            return retry(str(error), attempts, self._max_attempts)
        except Exception as error:  # such as a broken template: the others of the batch go on
            at = traceback.extract_tb(error.__traceback__)[-1]  # never the message: it may name the recipient
            where = f"{at.name}:{at.lineno}"
            self._log(log.error, "not_composed", type=delivery.type, cause=type(error).__name__, at=where)
            return retry(type(error).__name__, attempts, self._max_attempts)
        if not responses:
            return defer(f"{self._medium.noun} server: circuit breaker open, or its rate is used up")
        return result_of(responses, attempts, self._max_attempts)

    def _log(self, write: Callable[..., Any], what: str, **facts: str) -> None:
        write(f"{self._medium.noun.replace(' ', '_')}_{what}", **facts)

    async def _store(self, results: Sequence[tuple[Delivery, DeliveryResult]]) -> frozenset[str]:
        """Store the results; returns the ids of the deliveries whose results were stored: the others are sent again.

        A result that the database rejects does not hold up the others.
        """
        try:
            await self._update(results)
        except Unavailable:
            raise
        except Exception as error:
            if len(results) == 1:
                ((delivery, _),) = results
                log.error("result_not_stored", delivery_id=delivery.delivery_id, cause=type(error).__name__)
                return frozenset()
            parts = [await self._store([result]) for result in results]
            return frozenset().union(*parts)
        return frozenset(delivery.delivery_id for delivery, _ in results)

    async def _update(self, results: Sequence[tuple[Delivery, DeliveryResult]]) -> None:
        """Waits for a database that restarts, because what is not stored is sent again."""
        for delay_s in _STORE_RETRY_DELAYS_S:
            try:
                return await self._deliveries.update(results, self._clock.now())
            except Unavailable as error:
                log.warning("store_retried", seconds=delay_s, cause=repr(error))
                await asyncio.sleep(delay_s)
        return await self._deliveries.update(results, self._clock.now())
