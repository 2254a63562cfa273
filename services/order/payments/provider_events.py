"""HandleProviderEvent: what payment providers tell us.

An event says only which payment to look at: the payment worker fetches the charge as it is now (`outcomes`).
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from prometheus_client import Counter
from weft.order.v1 import payment_service_pb2 as pb

from chassis.clock import Clock
from chassis.queues.queue import Queue
from chassis.rpc.call import Call
from chassis.storage.database import Database
from services.order.domain.refusals import EventMalformed, EventSignatureInvalid, ProviderNotFound
from services.order.payments.provider_event_repository import ProviderEventRepository

TOLERANCE_S = 300
"""How old a signature may be."""
MAX_ID = 255
EVENTS = Counter("weft_provider_events", "Events of payment providers by outcome.", ["provider", "outcome"])


class ProviderEvent(NamedTuple):
    """What counts of an event: its id, and our id of the payment or the provider's reference of the charge."""

    event_id: str
    type: str
    payment_id: str = ""
    reference: str = ""


class ProviderEventHandlers:
    """The part of weft.order.v1.PaymentService that providers call."""

    def __init__(self, database: Database, work: Queue, clock: Clock, secrets: Mapping[str, bytes]) -> None:
        """`secrets`: of each provider whose events are received."""
        self._database = database
        self._events = ProviderEventRepository()
        self._work = work
        self._clock = clock
        self._secrets = secrets
        for provider in secrets:
            EVENTS.labels(
                provider, "badly signed"
            )  # from zero on: the first ones are an increase, which an alert asks for

    async def HandleProviderEvent(
        self, request: pb.HandleProviderEventRequest, call: Call
    ) -> pb.HandleProviderEventResponse:
        provider, body = request.provider, request.body.data
        secret = self._secrets.get(provider)
        if secret is None:
            raise ProviderNotFound(provider=provider)
        if not is_signed(body, call.header(f"{provider}-signature"), secret, self._clock.now().timestamp()):
            EVENTS.labels(provider, "badly signed").inc()
            raise EventSignatureInvalid
        event = read(body)
        EVENTS.labels(provider, await self._store(provider, event)).inc()
        return pb.HandleProviderEventResponse()

    async def _store(self, provider: str, event: ProviderEvent) -> str:
        """Store the event with the job that it calls for; returns what came of it."""
        async with self._database.transaction() as tx:
            payment_id = await self._events.find_payment(tx, event.payment_id, event.reference)
            if not await self._events.insert(tx, provider, event.event_id, event.type, payment_id, self._clock.now()):
                return "repeated"
            if not payment_id:
                return "not ours"
            await self._work.put(tx, kind="find", payload=payment_id.encode())
            return "stored"


def sign(body: bytes, secret: bytes, seconds: int) -> str:
    """The signature header of a body (https://docs.stripe.com/webhooks#verify-manually)."""
    return f"t={seconds},v1={hmac.new(secret, b'%d.' % seconds + body, hashlib.sha256).hexdigest()}"


def is_signed(body: bytes, header: str, secret: bytes, now: float) -> bool:
    """Whether one of the header's signatures is the body's, and not too old. `now`: seconds since 1970."""
    parts = [part.split("=", 1) for part in header[:2000].split(",") if "=" in part]
    times = [value for name, value in parts if name.strip() == "t" and value.isdecimal() and value.isascii()]
    if len(times) != 1 or len(times[0]) > 12 or abs(now - int(times[0])) > TOLERANCE_S:
        return False
    expected = hmac.new(secret, times[0].encode() + b"." + body, hashlib.sha256).hexdigest().encode()
    given = [value.encode() for name, value in parts if name.strip() == "v1"]
    return any(hmac.compare_digest(expected, value) for value in given)


def read(body: bytes) -> ProviderEvent:
    """A Stripe event (https://docs.stripe.com/api/events/object), or the sandbox's, which has the same form.

    The object is a PaymentIntent, or names one (charges, refunds, disputes). Raises `EventMalformed`.
    """
    try:
        event = json.loads(body)
        event_id, kind, subject = event["id"], event["type"], event["data"]["object"]
        metadata = subject.get("metadata") or {}
        intent = subject["id"] if subject.get("object") == "payment_intent" else subject.get("payment_intent")
        found = ProviderEvent(event_id, kind, _text(metadata.get("payment_id")), _text(intent))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise EventMalformed from None
    if not (_text(event_id) and _text(kind)):
        raise EventMalformed
    return found


def _text(value: Any) -> str:
    """A text that can be stored; empty for anything else."""
    fits = isinstance(value, str) and len(value) <= MAX_ID and value.isascii() and value.isprintable()
    return value if fits else ""
