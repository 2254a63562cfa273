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

from services.chassis import literals
from services.chassis.clock import Clock
from services.chassis.coalescing import Coalescer
from services.chassis.database import Database, Query, Row
from services.order.payments.domain import Payment
from services.order.payments.gateway import Charge, ChargeState, GatewayTimeout

SETTLES = timedelta(seconds=2)
"""How long a charge that timed out stays undecided."""

_OUTCOMES = {
    "pm_sandbox_ok": (Charge(ChargeState.AUTHORISED), timedelta()),
    "pm_sandbox_declined": (Charge(ChargeState.DECLINED, "insufficient funds"), timedelta()),
    "pm_sandbox_timeout": (Charge(ChargeState.AUTHORISED), SETTLES),
}
_OTHER = (Charge(ChargeState.DECLINED, "unknown payment method"), timedelta())

_COLUMNS = "key, method, amount_minor, currency, state, reason, settles_at, created_at"
# The empty update makes a conflicting row come back. Sorted, so that two statements never wait for each other.
_AUTHORISE = Query(
    f"INSERT INTO sandbox_charges ({_COLUMNS}) SELECT t.*, %(now)s FROM unnest("  # noqa: S608
    "%(keys)s::text[], %(methods)s::text[], %(amounts)s::bigint[], %(currencies)s::text[], %(states)s::text[], "
    "%(reasons)s::text[], %(settle)s::timestamptz[]) AS t(key, method, amount_minor, currency, state, reason, settles_at) "
    "ORDER BY key ON CONFLICT (key) DO UPDATE SET key = excluded.key RETURNING key, state, reason, settles_at",
    "sandbox authorise",
)
_FIND = Query("SELECT state, reason, settles_at FROM sandbox_charges WHERE key = %(key)s", "sandbox find")
_CAPTURE = Query(
    "UPDATE sandbox_charges c SET state = CASE c.state WHEN 'AUTHORISED' THEN 'CAPTURED' ELSE c.state END FROM ("
    "SELECT key FROM sandbox_charges WHERE key = ANY(%(keys)s::text[]) AND settles_at <= %(now)s ORDER BY key FOR UPDATE"
    ") found WHERE c.key = found.key RETURNING c.key, c.state, c.reason",
    "sandbox capture",
)
_GIVE_BACK = Query(
    f"INSERT INTO sandbox_charges ({_COLUMNS}) "  # noqa: S608
    "VALUES (%(key)s, %(method)s, %(amount_minor)s, %(currency)s, 'VOIDED', '', %(now)s, %(now)s) "
    "ON CONFLICT (key) DO UPDATE SET state = CASE sandbox_charges.state "
    "WHEN 'AUTHORISED' THEN 'VOIDED' WHEN 'CAPTURED' THEN 'REFUNDED' ELSE sandbox_charges.state END "
    "RETURNING state, reason",
    "sandbox give back",
)
_UNKNOWN = Charge(ChargeState.UNKNOWN)


class Sandbox:
    """A `Gateway` that moves no money. Calls that come at once share a statement; each is answered for itself."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._authorising: Coalescer[Payment, Charge] = Coalescer(self._authorise)
        self._capturing: Coalescer[Payment, Charge] = Coalescer(self._capture)

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
            keys=literals.names([p.key for p in payments]),
            methods=literals.names([p.method for p in payments]),
            amounts=literals.numbers([p.amount_minor for p in payments]),
            currencies=literals.names([p.currency for p in payments]),
            states=literals.names([charge.state.value for charge, _ in outcomes]),
            reasons=literals.texts([charge.reason for charge, _ in outcomes]),
            settle=literals.names([(now + delay).isoformat() for _, delay in outcomes]),
        )
        found = {row.key: _charge(row, now) for row in rows}
        return [found[payment.key] for payment in payments]

    async def find(self, payment: Payment) -> Charge:
        """Undecided until it settles."""
        row = await self._database.first(_FIND, key=payment.key)
        return _charge(row, self._clock.now()) if row else _UNKNOWN

    async def capture(self, payment: Payment) -> Charge:
        """Once, however often it is asked."""
        return await self._capturing.put(payment)

    async def _capture(self, payments: Sequence[Payment]) -> list[Charge]:
        keys = literals.names([payment.key for payment in payments])
        rows = await self._database.all(_CAPTURE, keys=keys, now=self._clock.now())
        found = {row.key: Charge(ChargeState(row.state), row.reason) for row in rows}
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
        return Charge(ChargeState(row.state), row.reason)


def _charge(row: Row, now: datetime) -> Charge:
    if row.settles_at > now and row.state == ChargeState.AUTHORISED:
        return Charge(ChargeState.UNSETTLED)
    return Charge(ChargeState(row.state), row.reason)
