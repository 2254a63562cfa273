"""The sandbox provider: the name of the payment method decides the outcome.

| method | outcome |
|---|---|
| `pm_sandbox_ok` | authorized; captured by the same call where the order is captured at once |
| `pm_sandbox_declined` | declined: insufficient funds; likewise `…_expired`, `…_blocked`, `…_fraud` and `…_generic` |
| `pm_sandbox_action_required` | the payer must act; authorized by ConfirmPayment |
| `pm_sandbox_action_fails` | the payer must act; declined by ConfirmPayment |
| `pm_sandbox_timeout` | no response; authorized two seconds later |
| `pm_sandbox_timeout_declined` | no response; declined two seconds later |
| `pm_sandbox_capture_fails_once` | authorized; the first capture has no effect |
| `pm_sandbox_refund_fails` | as `pm_sandbox_ok`; every refund is refused |
| `pm_sandbox_charge_back` | two seconds after the capture the payer's bank takes the money back |
| `pm_sandbox_charge_back_reversed` | the same, and gives it again two seconds later |
| any other | declined: unknown payment method |

Its charges are a table, so that it recognises a key after any crash, as a real provider does.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

from chassis.clock import Clock
from chassis.queues.queue import Queue
from chassis.storage import pg_arrays
from chassis.storage.batching import BatchQueue
from chassis.storage.database import Database, Row
from services.order.domain.payment import FailureCode, Payment, Refund
from services.order.payments.gateways import sandbox_statements as sql
from services.order.payments.gateways.gateway import Charge, ChargeState, GatewayTimeout, ListedCharge, ProviderRefund

SETTLEMENT_DELAY = timedelta(seconds=2)
"""How long a charge that timed out stays undecided."""

_AUTHORIZED = Charge(ChargeState.AUTHORIZED)
_ACTION_REQUIRED = Charge(ChargeState.ACTION_REQUIRED)


def _declined(reason: str, code: FailureCode) -> Charge:
    return Charge(ChargeState.DECLINED, reason, code)


_INSUFFICIENT_FUNDS = _declined("insufficient funds", FailureCode.INSUFFICIENT_FUNDS)
_AT_ONCE = {
    "pm_sandbox_ok": _AUTHORIZED,
    "pm_sandbox_declined": _INSUFFICIENT_FUNDS,
    "pm_sandbox_declined_expired": _declined("the payment method has expired", FailureCode.METHOD_EXPIRED),
    "pm_sandbox_declined_blocked": _declined("the payment method is blocked", FailureCode.METHOD_BLOCKED),
    "pm_sandbox_declined_fraud": _declined("suspected fraud", FailureCode.FRAUD_SUSPECTED),
    "pm_sandbox_declined_generic": _declined("declined by the bank", FailureCode.DECLINED),
    "pm_sandbox_action_required": _ACTION_REQUIRED,
    "pm_sandbox_action_fails": _ACTION_REQUIRED,
    "pm_sandbox_capture_fails_once": _AUTHORIZED,
    "pm_sandbox_refund_fails": _AUTHORIZED,
    "pm_sandbox_charge_back": _AUTHORIZED,
    "pm_sandbox_charge_back_reversed": _AUTHORIZED,
}
_COLLECTED = ("pm_sandbox_ok", "pm_sandbox_refund_fails")
"""Of the others something happens between authorization and capture, or after the capture."""
_LATER = {"pm_sandbox_timeout": _AUTHORIZED, "pm_sandbox_timeout_declined": _INSUFFICIENT_FUNDS}
_OTHER = _declined("unknown payment method", FailureCode.METHOD_UNKNOWN)
_NOT_AUTHENTICATED = _declined("the payer was not authenticated", FailureCode.AUTHENTICATION_FAILED)
MAX_EVENTS = 100
"""Charges that change in one run of `Sandbox.change_later`."""
_UNKNOWN = Charge(ChargeState.UNKNOWN)
_UNSETTLED = Charge(ChargeState.UNSETTLED)


Capture = tuple[Payment, int]


class Sandbox:
    """A `Gateway` that moves no money. Concurrent calls share a statement."""

    def __init__(self, database: Database, clock: Clock, work: Queue | None = None) -> None:
        """`work`: the payment queue, which is told when a charge changes by itself."""
        self._database = database
        self._clock = clock
        self._work = work
        self._authorizations: BatchQueue[Payment, Charge] = BatchQueue(self._authorize)
        self._captures: BatchQueue[Capture, Charge] = BatchQueue(self._capture)

    async def authorize(self, payment: Payment) -> Charge:
        """Decided by the name of the method; an existing charge with the same key is returned."""
        charge = await self._authorizations.put(payment)
        if charge.state is ChargeState.UNSETTLED:
            raise GatewayTimeout
        return charge

    async def _authorize(self, payments: Sequence[Payment]) -> list[Charge]:
        now = self._clock.now()
        outcomes = [_outcome(payment) for payment in payments]
        settles = [now + SETTLEMENT_DELAY if p.method in _LATER else now for p in payments]
        rows = await self._database.all(
            sql.AUTHORIZE,
            now=now,
            keys=pg_arrays.names([p.idempotency_key for p in payments]),
            methods=pg_arrays.names([p.method for p in payments]),
            amounts=pg_arrays.numbers([p.amount_minor for p in payments]),
            currencies=pg_arrays.names([p.currency for p in payments]),
            states=pg_arrays.names([charge.state.value for charge in outcomes]),
            reasons=pg_arrays.texts([charge.reason for charge in outcomes]),
            codes=pg_arrays.texts([charge.code if charge.reason else "" for charge in outcomes]),
            captured=pg_arrays.numbers([charge.captured_minor for charge in outcomes]),
            settle=pg_arrays.names([time.isoformat() for time in settles]),
        )
        found = {row.key: _charge(row, now) for row in rows}
        return [found.get(payment.idempotency_key, _UNSETTLED) for payment in payments]

    async def confirm(self, payment: Payment) -> Charge:
        """The payer has acted: decided by the name of the method."""
        fails = payment.method == "pm_sandbox_action_fails"
        outcome = _NOT_AUTHENTICATED if fails else _AUTHORIZED
        row = await self._database.first(
            sql.CONFIRM,
            key=payment.idempotency_key,
            state=outcome.state.value,
            reason=outcome.reason,
            code=outcome.code if fails else "",
        )
        return _charge(row, self._clock.now()) if row else _UNKNOWN

    async def find(self, payment: Payment) -> Charge:
        """UNSETTLED until `settles_at`."""
        row = await self._database.first(sql.FIND, key=payment.idempotency_key)
        return _charge(row, self._clock.now()) if row else _UNKNOWN

    async def capture(self, payment: Payment, amount_minor: int) -> Charge:
        """Captures once, even with repeated calls."""
        return await self._captures.put((payment, amount_minor))

    async def _capture(self, captures: Sequence[Capture]) -> list[Charge]:
        now = self._clock.now()
        amounts = {payment.idempotency_key: amount for payment, amount in captures}
        rows = await self._database.all(
            sql.CAPTURE,
            keys=pg_arrays.names(amounts),
            amounts=pg_arrays.numbers(amounts.values()),
            now=now,
            later=now + SETTLEMENT_DELAY,
        )
        found = {row.key: _decided(row) for row in rows}
        return [found.get(payment.idempotency_key, _UNKNOWN) for payment, _ in captures]

    async def refund(self, payment: Payment, refund: Refund) -> ProviderRefund:
        """Made once, even with repeated calls; refused where less is left."""
        row = await self._database.first(
            sql.REFUND,
            key=payment.idempotency_key,
            refund_id=refund.refund_id,
            amount_minor=refund.amount_minor,
            now=self._clock.now(),
        )
        if row is None:
            raise GatewayTimeout  # a concurrent call with the same id has just made it
        return ProviderRefund(row.state == "SUCCEEDED", refund.refund_id, "the refund was refused")

    async def reverse(self, payment: Payment) -> Charge:
        """An unknown charge is stored as VOIDED, so that an `authorize` that arrives later is refused."""
        row = await self._database.one(
            sql.REVERSE,
            key=payment.idempotency_key,
            method=payment.method,
            amount_minor=payment.amount_minor,
            currency=payment.currency,
            now=self._clock.now(),
        )
        return _decided(row)

    async def list_charges(self, since: datetime, until: datetime) -> AsyncIterator[ListedCharge]:
        """By time of creation."""
        for row in await self._database.all(sql.LIST, since=since, until=until):
            payment_id, _, attempt = row.key.partition("/")
            yield ListedCharge(payment_id, int(attempt), row.currency, _decided(row))

    async def change_later(self) -> int:
        """Charge back what is due, and reverse what is due; the payment worker is told. Returns how many."""
        now = self._clock.now()
        changed = await self._database.run(sql.CHANGE_LATER, now=now, later=now + SETTLEMENT_DELAY, limit=MAX_EVENTS)
        if changed and self._work is not None:
            self._work.notify()
        return changed


def _outcome(payment: Payment) -> Charge:
    if payment.method in _COLLECTED and payment.to_capture_minor:
        return Charge(ChargeState.CAPTURED, captured_minor=payment.to_capture_minor)
    return _LATER.get(payment.method) or _AT_ONCE.get(payment.method, _OTHER)


def _charge(row: Row, now: datetime) -> Charge:
    return _UNSETTLED if row.settles_at > now and row.state in ("AUTHORIZED", "DECLINED") else _decided(row)


def _decided(row: Row) -> Charge:
    state = ChargeState(row.state)
    return Charge(
        state,
        row.reason,
        FailureCode(row.code or FailureCode.DECLINED),
        row.key,
        f"https://sandbox.weft.local/act/{row.key}" if state is ChargeState.ACTION_REQUIRED else "",
        row.captured_minor,
        row.refunded_minor,
        row.charged_back_minor,
    )
