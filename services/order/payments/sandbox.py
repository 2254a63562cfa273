"""The sandbox provider: what it decides stands in the payment method's name.

| method | outcome |
|---|---|
| `pm_sandbox_ok` | authorised |
| `pm_sandbox_declined` | declined: insufficient funds |
| `pm_sandbox_timeout` | no answer; authorised two seconds later |
| any other | declined: unknown payment method |

Its books are a table, so that it knows a key again after any crash, as a real provider does.
"""

from datetime import datetime, timedelta

from services.chassis.clock import Clock
from services.chassis.database import Database, Query
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
_VALUES = "%(key)s, %(method)s, %(amount_minor)s, %(currency)s, %(state)s, %(reason)s, %(settles_at)s, %(now)s"
# The empty update makes the conflicting row come back.
_AUTHORISE = Query(
    f"INSERT INTO sandbox_charges ({_COLUMNS}) VALUES ({_VALUES}) "  # noqa: S608
    "ON CONFLICT (key) DO UPDATE SET key = excluded.key RETURNING state, reason, settles_at",
    "sandbox authorise",
)
_FIND = Query("SELECT state, reason, settles_at FROM sandbox_charges WHERE key = %(key)s", "sandbox find")
_CAPTURE = Query(
    "UPDATE sandbox_charges SET state = CASE state WHEN 'AUTHORISED' THEN 'CAPTURED' ELSE state END "
    "WHERE key = %(key)s AND settles_at <= %(now)s RETURNING state, reason",
    "sandbox capture",
)
_GIVE_BACK = Query(
    f"INSERT INTO sandbox_charges ({_COLUMNS}) VALUES ({_VALUES}) "  # noqa: S608
    "ON CONFLICT (key) DO UPDATE SET state = CASE sandbox_charges.state "
    "WHEN 'AUTHORISED' THEN 'VOIDED' WHEN 'CAPTURED' THEN 'REFUNDED' ELSE sandbox_charges.state END "
    "RETURNING state, reason",
    "sandbox give back",
)


class Sandbox:
    """A `Gateway` that moves no money."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def authorise(self, payment: Payment) -> Charge:
        """As the method's name says; a charge that has its key already is answered again."""
        outcome, delay = _OUTCOMES.get(payment.method, _OTHER)
        now = self._clock.now()
        row = await self._database.one(_AUTHORISE, **_values(payment, outcome, now + delay, now))
        if row.settles_at > now:
            raise GatewayTimeout
        return Charge(ChargeState(row.state), row.reason)

    async def find(self, payment: Payment) -> Charge:
        """Undecided until it settles."""
        row = await self._database.first(_FIND, key=payment.key)
        if row is None:
            return Charge(ChargeState.UNKNOWN)
        settled = row.settles_at <= self._clock.now() or row.state != ChargeState.AUTHORISED
        return Charge(ChargeState(row.state), row.reason) if settled else Charge(ChargeState.UNSETTLED)

    async def capture(self, payment: Payment) -> Charge:
        """Once, however often it is asked."""
        row = await self._database.first(_CAPTURE, key=payment.key, now=self._clock.now())
        return Charge(ChargeState(row.state), row.reason) if row else Charge(ChargeState.UNKNOWN)

    async def give_back(self, payment: Payment) -> Charge:
        """A charge that it does not know is noted as void, so that one on its way finds the door shut."""
        now = self._clock.now()
        row = await self._database.one(_GIVE_BACK, **_values(payment, Charge(ChargeState.VOIDED), now, now))
        return Charge(ChargeState(row.state), row.reason)


def _values(payment: Payment, charge: Charge, settles_at: datetime, now: datetime) -> dict[str, object]:
    return {
        "key": payment.key,
        "method": payment.method,
        "amount_minor": payment.amount_minor,
        "currency": payment.currency,
        "state": charge.state,
        "reason": charge.reason,
        "settles_at": settles_at,
        "now": now,
    }
