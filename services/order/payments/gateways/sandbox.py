"""The sandbox provider: what it decides stands in the payment method's name.

| method | outcome |
|---|---|
| `pm_sandbox_ok` | authorised |
| `pm_sandbox_declined` | declined: insufficient funds |
| `pm_sandbox_timeout` | no answer; authorised two seconds later |
| any other | declined: unknown payment method |

Its books are a table, so that it knows a key again after any crash, as a real provider does.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from chassis.clock import Clock
from chassis.storage import pg_arrays
from chassis.storage.batching import BatchQueue
from chassis.storage.database import Database, Query, Row
from services.order.domain.payment import FailureCode, Payment
from services.order.payments.gateways.gateway import Charge, ChargeState, GatewayTimeout

SETTLES = timedelta(seconds=2)
"""How long a charge that timed out stays undecided."""

_OUTCOMES = {
    "pm_sandbox_ok": (Charge(ChargeState.AUTHORISED), timedelta()),
    "pm_sandbox_declined": (
        Charge(ChargeState.DECLINED, "insufficient funds", FailureCode.INSUFFICIENT_FUNDS),
        timedelta(),
    ),
    "pm_sandbox_timeout": (Charge(ChargeState.AUTHORISED), SETTLES),
}
_OTHER = (Charge(ChargeState.DECLINED, "unknown payment method", FailureCode.METHOD_UNKNOWN), timedelta())

_COLUMNS = "key, method, amount_minor, currency, state, reason, code, settles_at, created_at"
# A charge that is there already is read, not touched. One that another call makes just now is not seen yet: no answer.
_AUTHORISE = Query(
    f"""
WITH asked AS MATERIALIZED (
  SELECT key, method, amount_minor, currency, state, reason, code, settles_at FROM unnest(
    %(keys)s::text[], %(methods)s::text[], %(amounts)s::bigint[], %(currencies)s::text[], %(states)s::text[],
    %(reasons)s::text[], %(codes)s::text[], %(settle)s::timestamptz[]
  ) AS t(key, method, amount_minor, currency, state, reason, code, settles_at)),
made AS (
  INSERT INTO sandbox_charges ({_COLUMNS})
  SELECT key, method, amount_minor, currency, state, reason, code, settles_at, %(now)s FROM asked ORDER BY key
  ON CONFLICT (key) DO NOTHING RETURNING key, state, reason, code, settles_at)
SELECT key, state, reason, code, settles_at FROM made
UNION ALL
SELECT key, state, reason, code, settles_at FROM sandbox_charges WHERE key = ANY(%(keys)s::text[])
""",  # noqa: S608
    "sandbox authorise",
)
_FIND = Query("SELECT state, reason, code, settles_at FROM sandbox_charges WHERE key = %(key)s", "sandbox find")
_CAPTURE = Query(
    "UPDATE sandbox_charges c SET state = CASE c.state WHEN 'AUTHORISED' THEN 'CAPTURED' ELSE c.state END FROM ("
    "SELECT key FROM sandbox_charges WHERE key = ANY(%(keys)s::text[]) AND settles_at <= %(now)s ORDER BY key FOR UPDATE SKIP LOCKED"
    ") found WHERE c.key = found.key RETURNING c.key, c.state, c.reason, c.code",
    "sandbox capture",
)
_GIVE_BACK = Query(
    f"INSERT INTO sandbox_charges ({_COLUMNS}) "  # noqa: S608
    "VALUES (%(key)s, %(method)s, %(amount_minor)s, %(currency)s, 'VOIDED', '', '', %(now)s, %(now)s) "
    "ON CONFLICT (key) DO UPDATE SET state = CASE sandbox_charges.state "
    "WHEN 'AUTHORISED' THEN 'VOIDED' WHEN 'CAPTURED' THEN 'REFUNDED' ELSE sandbox_charges.state END "
    "RETURNING state, reason, code",
    "sandbox give back",
)
_UNKNOWN = Charge(ChargeState.UNKNOWN)
_UNSETTLED = Charge(ChargeState.UNSETTLED)


class Sandbox:
    """A `Gateway` that moves no money. Calls that come at once share a statement; each is answered for itself."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._authorising: BatchQueue[Payment, Charge] = BatchQueue(self._authorise)
        self._capturing: BatchQueue[Payment, Charge] = BatchQueue(self._capture)

    async def authorise(self, payment: Payment) -> Charge:
        """As the method's name says; a charge that has its key already is answered again."""
        charge = await self._authorising.put(payment)
        if charge.state is ChargeState.UNSETTLED:
            raise GatewayTimeout
        return charge

    async def _authorise(self, payments: Sequence[Payment]) -> list[Charge]:
        now = self._clock.now()
        outcomes = [_OUTCOMES.get(payment.method, _OTHER) for payment in payments]
        rows = await self._database.all(
            _AUTHORISE,
            now=now,
            keys=pg_arrays.names([p.key for p in payments]),
            methods=pg_arrays.names([p.method for p in payments]),
            amounts=pg_arrays.numbers([p.amount_minor for p in payments]),
            currencies=pg_arrays.names([p.currency for p in payments]),
            states=pg_arrays.names([charge.state.value for charge, _ in outcomes]),
            reasons=pg_arrays.texts([charge.reason for charge, _ in outcomes]),
            codes=pg_arrays.texts([charge.code for charge, _ in outcomes]),
            settle=pg_arrays.names([(now + delay).isoformat() for _, delay in outcomes]),
        )
        found = {row.key: _charge(row, now) for row in rows}
        return [found.get(payment.key, _UNSETTLED) for payment in payments]

    async def find(self, payment: Payment) -> Charge:
        """Undecided until it settles."""
        row = await self._database.first(_FIND, key=payment.key)
        return _charge(row, self._clock.now()) if row else _UNKNOWN

    async def capture(self, payment: Payment) -> Charge:
        """Once, however often it is asked."""
        return await self._capturing.put(payment)

    async def _capture(self, payments: Sequence[Payment]) -> list[Charge]:
        keys = pg_arrays.names([payment.key for payment in payments])
        rows = await self._database.all(_CAPTURE, keys=keys, now=self._clock.now())
        found = {row.key: _made(row) for row in rows}
        return [found.get(payment.key, _UNKNOWN) for payment in payments]

    async def give_back(self, payment: Payment) -> Charge:
        """A charge that it does not know is noted as void, so that one on its way finds the door shut."""
        row = await self._database.one(
            _GIVE_BACK,
            key=payment.key,
            method=payment.method,
            amount_minor=payment.amount_minor,
            currency=payment.currency,
            now=self._clock.now(),
        )
        return _made(row)


def _charge(row: Row, now: datetime) -> Charge:
    if row.settles_at > now and row.state == ChargeState.AUTHORISED:
        return _UNSETTLED
    return _made(row)


def _made(row: Row) -> Charge:
    return Charge(ChargeState(row.state), row.reason, FailureCode(row.code or FailureCode.DECLINED))
