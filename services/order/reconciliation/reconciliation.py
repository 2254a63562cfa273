"""The daily comparison with the provider's own list, hour by hour of the last week."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from prometheus_client import Counter

from chassis.clock import Clock
from chassis.faults import catalogue, switches
from chassis.telemetry.logs import logger
from services.order.payments.gateways.gateway import Charge, ChargeState, Gateway, ListedCharge
from services.order.reconciliation.differences import KINDS, Difference, compare
from services.order.reconciliation.repository import ReconciliationRepository, id_at

log = logger("reconciliation")
LOOKBACK = timedelta(days=7)
SLICE = timedelta(hours=1)
"""Of payments that are compared together; the provider's charges of one are in memory."""
LATE_TIME = timedelta(minutes=5)
"""How long after an order should have expired its last attempt may begin."""
SETTLED_TIME = timedelta(minutes=15)
"""How long a payment must be unchanged: a call to the provider may still be under way."""
MAX_PAYMENTS = 1000
DIFFERENCES = Counter(
    "weft_payment_discrepancies", "Differences found between the provider's books and ours.", ["provider", "kind"]
)
_STRANGE = ListedCharge("pay_01k40000000000000000000000", 1, "EUR", Charge(ChargeState.CAPTURED, captured_minor=100))
"""What the failure switch has the provider list."""


class Source(NamedTuple):
    """Whose books are compared with the payments of which modes."""

    gateway: Gateway
    modes: Sequence[str]


class Reconciliation:
    """A scheduled job. A difference is reported, and the charge is fetched as after an event; no sum is set to the provider's."""

    def __init__(
        self,
        repository: ReconciliationRepository,
        sources: Mapping[str, Source],
        clock: Clock,
        max_pending_time: timedelta,
    ) -> None:
        """`max_pending_time`: how long an order waits for a payment."""
        self._attempts_time = max_pending_time + LATE_TIME
        self._repository = repository
        self._sources = sources
        self._clock = clock
        for provider in sources:
            for kind in KINDS:
                DIFFERENCES.labels(
                    provider, kind
                )  # from zero on: the first one is an increase, which an alert asks for

    async def run(self) -> int:
        """Make today's comparisons unless another replica has; returns how many differences there are."""
        total = 0
        for provider, source in self._sources.items():
            now = self._clock.now()
            if await self._repository.claim(provider, now.date(), now):
                total += await self._compare(provider, source, now)
        return total

    async def _compare(self, provider: str, source: Source, now: datetime) -> int:
        charges, reported = 0, set[Difference]()  # what the provider lists twice, in two slices, is one
        start = (now - LOOKBACK).replace(minute=0, second=0, microsecond=0)
        while start < now:
            listed: dict[str, list[ListedCharge]] = {}
            async for one in source.gateway.list_charges(start, start + SLICE + self._attempts_time):
                listed.setdefault(one.payment_id, []).append(one)
            if switches.on(catalogue.BOOKS_DIFFER) and not charges:
                listed[_STRANGE.payment_id] = [_STRANGE]
            charges += sum(map(len, listed.values()))
            found = set(await self._compare_slice(provider, source, start, listed, now)) - reported
            reported |= found
            for one_found in sorted(found):
                DIFFERENCES.labels(provider, one_found.kind).inc()
                log.error("payment_discrepancy", provider=provider, **one_found._asdict())
            start += SLICE
        await self._repository.finish(provider, now.date(), self._clock.now(), charges, len(reported))
        return len(reported)

    async def _compare_slice(
        self, provider: str, source: Source, start: datetime, listed: dict[str, list[ListedCharge]], now: datetime
    ) -> list[Difference]:
        found: list[Difference] = []
        after, more = id_at(start), True
        while more:
            settled = now - SETTLED_TIME
            books = await self._repository.list_books(start + SLICE, source.modes, settled, MAX_PAYMENTS, after)
            differing = [d for ours in books for d in compare(ours, listed.get(ours.payment_id, []))]
            await self._repository.upsert(provider, [ours.payment_id for ours in books], differing, now)
            found += differing
            more = len(books) == MAX_PAYMENTS
            after = f"{books[-1].payment_id}0" if books else after
        foreign = listed.keys() - await self._repository.list_known(sorted(listed))
        unknown = [d for payment_id in sorted(foreign) for d in compare(None, listed[payment_id])]
        await self._repository.upsert(provider, sorted(foreign), unknown, now)
        return found + unknown
