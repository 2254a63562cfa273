"""The sandbox provider: the name of the payment method decides the outcome.

| method | outcome |
|---|---|
| `pm_sandbox_ok` | authorized |
| `pm_sandbox_declined` | declined: insufficient funds |
| `pm_sandbox_timeout` | no response; authorized two seconds later |
| any other | declined: unknown payment method |

Its charges are a table, so that it recognises a key after any crash, as a real provider does.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from chassis.clock import Clock
from chassis.storage import pg_arrays
from chassis.storage.batching import BatchQueue
from chassis.storage.database import Database, Query, Row
from services.order.domain.payment import FailureCode, Payment
from services.order.payments.gateways.gateway import Charge, ChargeState, GatewayTimeout

SETTLEMENT_DELAY = timedelta(seconds=2)
"""How long a charge that timed out stays undecided."""

_OUTCOMES = {
    "pm_sandbox_ok": (Charge(ChargeState.AUTHORIZED), timedelta()),
    "pm_sandbox_declined": (
        Charge(ChargeState.DECLINED, "insufficient funds", FailureCode.INSUFFICIENT_FUNDS),
        timedelta(),
    ),
    "pm_sandbox_timeout": (Charge(ChargeState.AUTHORIZED), SETTLEMENT_DELAY),
}
_OTHER = (Charge(ChargeState.DECLINED, "unknown payment method", FailureCode.METHOD_UNKNOWN), timedelta())

_COLUMNS = "key, method, amount_minor, currency, state, reason, code, settles_at, created_at"
# An existing charge is read, not changed. One that a concurrent call inserts is not visible yet: no response.
_AUTHORIZE = Query(
    f"""
WITH requested AS MATERIALIZED (
  SELECT key, method, amount_minor, currency, state, reason, code, settles_at FROM unnest(
    %(keys)s::text[], %(methods)s::text[], %(amounts)s::bigint[], %(currencies)s::text[], %(states)s::text[],
    %(reasons)s::text[], %(codes)s::text[], %(settle)s::timestamptz[]
  ) AS t(key, method, amount_minor, currency, state, reason, code, settles_at)),
inserted AS (
  INSERT INTO sandbox_charges ({_COLUMNS})
  SELECT key, method, amount_minor, currency, state, reason, code, settles_at, %(now)s FROM requested ORDER BY key
  ON CONFLICT (key) DO NOTHING RETURNING key, state, reason, code, settles_at)
SELECT key, state, reason, code, settles_at FROM inserted
UNION ALL
SELECT key, state, reason, code, settles_at FROM sandbox_charges WHERE key = ANY(%(keys)s::text[])
""",  # noqa: S608
    "sandbox authorize",
)
_FIND = Query("SELECT state, reason, code, settles_at FROM sandbox_charges WHERE key = %(key)s", "sandbox find")
_CAPTURE = Query(
    "UPDATE sandbox_charges c SET state = CASE c.state WHEN 'AUTHORIZED' THEN 'CAPTURED' ELSE c.state END FROM ("
    "SELECT key FROM sandbox_charges WHERE key = ANY(%(keys)s::text[]) AND settles_at <= %(now)s ORDER BY key FOR UPDATE SKIP LOCKED"
    ") found WHERE c.key = found.key RETURNING c.key, c.state, c.reason, c.code",
    "sandbox capture",
)
_REVERSE = Query(
    f"INSERT INTO sandbox_charges ({_COLUMNS}) "  # noqa: S608
    "VALUES (%(key)s, %(method)s, %(amount_minor)s, %(currency)s, 'VOIDED', '', '', %(now)s, %(now)s) "
    "ON CONFLICT (key) DO UPDATE SET state = CASE sandbox_charges.state "
    "WHEN 'AUTHORIZED' THEN 'VOIDED' WHEN 'CAPTURED' THEN 'REFUNDED' ELSE sandbox_charges.state END "
    "RETURNING state, reason, code",
    "sandbox reverse",
)
_UNKNOWN = Charge(ChargeState.UNKNOWN)
_UNSETTLED = Charge(ChargeState.UNSETTLED)


class Sandbox:
    """A `Gateway` that moves no money. Concurrent calls share a statement."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._authorizations: BatchQueue[Payment, Charge] = BatchQueue(self._authorize)
        self._captures: BatchQueue[Payment, Charge] = BatchQueue(self._capture)

    async def authorize(self, payment: Payment) -> Charge:
        """Decided by the name of the method; an existing charge with the same key is returned."""
        charge = await self._authorizations.put(payment)
        if charge.state is ChargeState.UNSETTLED:
            raise GatewayTimeout
        return charge

    async def _authorize(self, payments: Sequence[Payment]) -> list[Charge]:
        now = self._clock.now()
        outcomes = [_OUTCOMES.get(payment.method, _OTHER) for payment in payments]
        rows = await self._database.all(
            _AUTHORIZE,
            now=now,
            keys=pg_arrays.names([p.idempotency_key for p in payments]),
            methods=pg_arrays.names([p.method for p in payments]),
            amounts=pg_arrays.numbers([p.amount_minor for p in payments]),
            currencies=pg_arrays.names([p.currency for p in payments]),
            states=pg_arrays.names([charge.state.value for charge, _ in outcomes]),
            reasons=pg_arrays.texts([charge.reason for charge, _ in outcomes]),
            codes=pg_arrays.texts([charge.code for charge, _ in outcomes]),
            settle=pg_arrays.names([(now + delay).isoformat() for _, delay in outcomes]),
        )
        found = {row.key: _charge(row, now) for row in rows}
        return [found.get(payment.idempotency_key, _UNSETTLED) for payment in payments]

    async def find(self, payment: Payment) -> Charge:
        """UNSETTLED until `settles_at`."""
        row = await self._database.first(_FIND, key=payment.idempotency_key)
        return _charge(row, self._clock.now()) if row else _UNKNOWN

    async def capture(self, payment: Payment) -> Charge:
        """Captures once, even with repeated calls."""
        return await self._captures.put(payment)

    async def _capture(self, payments: Sequence[Payment]) -> list[Charge]:
        keys = pg_arrays.names([payment.idempotency_key for payment in payments])
        rows = await self._database.all(_CAPTURE, keys=keys, now=self._clock.now())
        found = {row.key: _decided(row) for row in rows}
        return [found.get(payment.idempotency_key, _UNKNOWN) for payment in payments]

    async def reverse(self, payment: Payment) -> Charge:
        """An unknown charge is stored as VOIDED, so that an `authorize` that arrives later is refused."""
        row = await self._database.one(
            _REVERSE,
            key=payment.idempotency_key,
            method=payment.method,
            amount_minor=payment.amount_minor,
            currency=payment.currency,
            now=self._clock.now(),
        )
        return _decided(row)


def _charge(row: Row, now: datetime) -> Charge:
    if row.settles_at > now and row.state == ChargeState.AUTHORIZED:
        return _UNSETTLED
    return _decided(row)


def _decided(row: Row) -> Charge:
    return Charge(ChargeState(row.state), row.reason, FailureCode(row.code or FailureCode.DECLINED))
