"""Every query of deliveries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from chassis.storage.database import Database, Query, arrays
from services.notification.deliveries.domain import Answer, Delivery, Verdict

# A mail that was sent and whose job came back, because its worker died or was late, is not claimed again.
_CLAIM = Query(
    "UPDATE deliveries d SET state = 'SENDING', lease = c.lease, update_time = %(now)s FROM notifications n, "
    "unnest(%(ids)s::text[], %(leases)s::int[]) AS c(delivery_id, lease) "
    "WHERE d.delivery_id = c.delivery_id AND n.notification_id = d.notification_id "
    "AND d.state NOT IN ('SENT', 'SKIPPED') RETURNING d.delivery_id, n.user_id, n.type, n.facts, d.create_time",
    name="claim deliveries",
)

# State and lease: a late worker neither undoes what another has settled nor settles what another has claimed.
_SETTLE = Query(
    "UPDATE deliveries d SET state = r.state, reason = r.reason, update_time = %(now)s "
    "FROM unnest(%(ids)s::text[], %(leases)s::int[], %(states)s::text[], %(reasons)s::text[]) "
    "AS r(delivery_id, lease, state, reason) "
    "WHERE d.delivery_id = r.delivery_id AND d.lease = r.lease AND d.state = 'SENDING'",
    name="settle deliveries",
)
_KEEP_ATTEMPTS = Query(
    "INSERT INTO attempts (delivery_id, number, provider, code, latency_ms, answer, create_time) "
    "SELECT r.delivery_id, r.number + (SELECT count(*) FROM attempts a WHERE a.delivery_id = r.delivery_id), "
    "%(provider)s, r.code, r.latency_ms, r.answer, %(now)s FROM unnest("
    "%(ids)s::text[], %(numbers)s::int[], %(codes)s::int[], %(latencies)s::int[], %(answers)s::text[]"
    ") AS r(delivery_id, number, code, latency_ms, answer) ON CONFLICT DO NOTHING",
    name="keep attempts",
)

_FAIL_DEAD = Query(
    "UPDATE deliveries d SET state = 'FAILED', reason = 'TRIED_TOO_OFTEN', update_time = %(now)s FROM mails m "
    "WHERE m.state = 'dead' AND m.key = d.delivery_id AND d.state IN ('QUEUED', 'SENDING')",
    name="fail dead deliveries",
)


@dataclass(frozen=True)
class Settled:
    """What became of a delivery that was claimed with a lease, and the answers that it got on the way."""

    delivery: Delivery
    lease: int
    verdict: Verdict
    answers: tuple[Answer, ...] = ()


class DeliveryRepository:
    """Deliveries in the database."""

    def __init__(self, database: Database, provider: str) -> None:
        """`provider` stands in the attempts."""
        self._database = database
        self._provider = provider

    async def claim(self, leases: Mapping[str, int], now: datetime) -> dict[str, Delivery]:
        """Begin an attempt for those that are neither sent nor skipped; both by id."""
        rows = await self._database.all(_CLAIM, ids=list(leases), leases=list(leases.values()), now=now)
        return {row.delivery_id: Delivery(*row) for row in rows}

    async def settle(self, settled: Sequence[Settled], now: datetime) -> None:
        """Write down what became of an attempt of each."""
        ids, leases, states, reasons = arrays(
            [(s.delivery.delivery_id, s.lease, s.verdict.state.value, s.verdict.reason.value) for s in settled]
        )
        answers = [
            (s.delivery.delivery_id, number, answer.code, answer.latency_ms, answer.text)
            for s in settled
            for number, answer in enumerate(s.answers, start=1)
        ]
        async with self._database.transaction() as tx:
            await tx.run(_SETTLE, ids=ids, leases=leases, states=states, reasons=reasons, now=now)
            if answers:
                ids, numbers, codes, latencies, texts = arrays(answers)
                values = {"ids": ids, "numbers": numbers, "codes": codes, "latencies": latencies, "answers": texts}
                await tx.run(_KEEP_ATTEMPTS, provider=self._provider, now=now, **values)

    async def fail_dead(self, now: datetime) -> int:
        """Mark deliveries as failed whose jobs died without a worker that could tell; how many."""
        return await self._database.run(_FAIL_DEAD, now=now)
