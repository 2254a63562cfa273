"""Sends mails: the recipient is looked up and the words are found at the moment of sending, and forgotten after it."""

import asyncio
import traceback
from collections.abc import Iterable, Mapping, Sequence

from opentelemetry.trace import SpanKind
from prometheus_client import Counter
from weft.user.v1.user_pb2 import User
from weft_client.breaker import Breaker

from chassis.clock import Clock
from chassis.errors import Unavailable
from chassis.queues.queue import Job
from chassis.telemetry import logs
from chassis.telemetry.tracing import Tracer
from services.notification.channels.email.message import AddressUnusable, Mail
from services.notification.channels.email.smtp import Mailer
from services.notification.channels.email.writer import Writer
from services.notification.deliveries.domain import (
    Answer,
    Delivery,
    DeliveryState,
    Outcome,
    Reason,
    Verdict,
    deferred,
    failed,
    judge,
    skipped,
    unsent,
)
from services.notification.deliveries.repository import DeliveryRepository, Settled
from services.notification.observers.users import VERIFICATION
from services.notification.recipients import Away, NothingToSend, Recipients, Unreachable

log = logs.logger("deliveries")
DELIVERIES = Counter(
    "weft_deliveries",
    "Deliveries that were worked on, by channel, the state they came to, and why.",
    ["channel", "state", "reason"],
)

_PATIENCE = (0.2, 0.5, 1.0, 2.0, 3.0)
"""Seconds between tries to write down what was sent."""


class DeliveryWorker:
    """The handler of the mails queue."""

    def __init__(
        self,
        deliveries: DeliveryRepository,
        recipients: Recipients,
        writer: Writer,
        mailer: Mailer,
        *,
        clock: Clock,
        tracer: Tracer,
        max_attempts: int,
    ) -> None:
        """`max_attempts` is the queue's: the last one settles the delivery."""
        self._deliveries = deliveries
        self._recipients = recipients
        self._writer = writer
        self._mailer = mailer
        self._server = Breaker("smtp", failures=5, first=1.0, most=15.0)
        self._look_ups = Breaker("recipients", failures=1, first=0.5, most=5.0)
        self.breakers = (self._server, self._look_ups)
        self._clock = clock
        self._tracer = tracer
        self._max_attempts = max_attempts

    async def __call__(self, jobs: Sequence[Job]) -> None:
        """Send a batch, each mail within its own trace; a job whose delivery is settled is done."""
        by_delivery = {str(job.key): job for job in jobs}
        leases = {delivery_id: job.lease for delivery_id, job in by_delivery.items()}
        claimed = await self._deliveries.claim(leases, self._clock.now())
        if not claimed:
            return
        users = await self._look_up(claimed.values(), jobs)
        settled = await asyncio.gather(*(self._deliver(d, by_delivery[d.delivery_id], users) for d in claimed.values()))
        written = await self._settle(settled)
        for one in settled:
            if one.delivery.delivery_id not in written:
                by_delivery[one.delivery.delivery_id].retry("could not be written down")
                continue
            job, verdict = by_delivery[one.delivery.delivery_id], one.verdict
            DELIVERIES.labels("EMAIL", verdict.state.value, verdict.reason.value).inc()
            if verdict.deferred:
                job.defer(verdict.error)
            elif verdict.state is DeliveryState.QUEUED:
                job.retry(verdict.error)
            elif verdict.state is DeliveryState.FAILED:
                job.dead(verdict.error)

    async def _settle(self, settled: Sequence[Settled]) -> frozenset[str]:
        """Write down what happened, waiting for a database that restarts: what is not written is sent again.

        What the database refuses, it refuses alone: the ids of those that were written.
        """
        try:
            await self._settle_together(settled)
        except Unavailable:
            raise
        except Exception as error:
            if len(settled) == 1:
                log.error("delivery_unsettled", delivery_id=settled[0].delivery.delivery_id, cause=type(error).__name__)
                return frozenset()
            parts = [await self._settle([one]) for one in settled]
            return frozenset().union(*parts)
        return frozenset(one.delivery.delivery_id for one in settled)

    async def _settle_together(self, settled: Sequence[Settled]) -> None:
        for pause in _PATIENCE:
            try:
                return await self._deliveries.settle(settled, self._clock.now())
            except Unavailable as error:
                log.warning("settling_waits", seconds=pause, cause=repr(error))
                await asyncio.sleep(pause)
        return await self._deliveries.settle(settled, self._clock.now())

    async def _look_up(self, claimed: Iterable[Delivery], jobs: Sequence[Job]) -> Mapping[str, User] | Unreachable:
        """One call for the batch; it belongs to a trace where the batch has only one."""
        wanted = {delivery.user_id for delivery in claimed if delivery.user_id}
        if not wanted:
            return {}
        traces = {job.traceparent for job in jobs}
        with self._tracer.span("look up recipients", parent=traces.pop() if len(traces) == 1 else ""):
            if self._look_ups.enter():
                return Unreachable("user service: left alone")
            try:
                users = await self._recipients.look_up(wanted)
            except Unreachable as error:
                self._look_ups.failed()
                return error
            except BaseException:
                self._look_ups.left()
                raise
            self._look_ups.succeeded()
            return users

    async def _deliver(self, delivery: Delivery, job: Job, users: Mapping[str, User] | Unreachable) -> Settled:
        """One mail, from its recipient to the server's answer. Never raises."""
        attributes = {"weft.delivery.id": delivery.delivery_id, "weft.notification.type": delivery.type}
        with self._tracer.span("send mail", job.traceparent, SpanKind.CLIENT, attributes) as span:
            answers: list[Answer] = []
            try:
                if isinstance(users, Unreachable):
                    verdict = deferred(str(users))
                else:
                    answers = await self._send(await self._write(delivery, users))
                    verdict = self._judge(answers, job)
            except NothingToSend as error:
                verdict = skipped(error.reason)
            except AddressUnusable as error:
                verdict = failed(Reason.ADDRESS_UNUSABLE, str(error))
            except Away as error:
                verdict = deferred(str(error))
            except Unreachable as error:
                verdict = unsent(str(error), job.attempts, self._max_attempts)
            except Exception as error:  # a template that is wrong, say: the others of the batch go on
                where = traceback.extract_tb(error.__traceback__)[-1]  # never the words: they may name the recipient
                log.error(
                    "mail_unwritten",
                    type=delivery.type,
                    cause=type(error).__name__,
                    where=f"{where.name}:{where.lineno}",
                )
                verdict = unsent(type(error).__name__, job.attempts, self._max_attempts)
            span.set_attributes(
                {"weft.delivery.state": verdict.state.value, "weft.delivery.reason": verdict.reason.value}
            )
        if verdict.error:
            log.warning("mail_unsent", delivery_id=delivery.delivery_id, state=verdict.state.value, cause=verdict.error)
        return Settled(delivery, job.lease, verdict, tuple(answers))

    async def _write(self, delivery: Delivery, users: Mapping[str, User]) -> Mail:
        if delivery.type == VERIFICATION:
            return await self._write_to_sign_up(delivery)
        user = users.get(delivery.user_id)
        if user is None or not user.email:
            raise NothingToSend(Reason.NO_ADDRESS)
        return self._writer.write(delivery, user)

    async def _write_to_sign_up(self, delivery: Delivery) -> Mail:
        if self._look_ups.enter():
            raise Away("user service: left alone")
        try:
            mail = await self._writer.write_to_sign_up(delivery)
        except Away:
            self._look_ups.failed()
            raise
        except NothingToSend:
            self._look_ups.succeeded()
            raise
        except BaseException:
            self._look_ups.left()
            raise
        self._look_ups.succeeded()
        return mail

    async def _send(self, mail: Mail) -> list[Answer]:
        """Once, and at once again where the answer was lost: a later try would void the code that is on its way."""
        answers: list[Answer] = []
        while len(answers) < 2 and not self._server.enter():
            try:
                answer = await self._mailer.send(mail)
            except BaseException:
                self._server.left()
                raise
            (self._server.succeeded if answer.serving else self._server.failed)()
            answers.append(answer)
            if answer.outcome is not Outcome.LOST:
                break
        return answers

    def _judge(self, answers: Sequence[Answer], job: Job) -> Verdict:
        if not answers:
            return deferred("the mail server fails and is left alone")
        return judge(answers[-1], job.attempts, self._max_attempts)
