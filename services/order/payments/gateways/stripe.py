"""Stripe, through its SDK (https://docs.stripe.com/api/payment_intents).

A charge of ours is a PaymentIntent: created unconfirmed, which moves nothing, then confirmed with manual capture. So a
charge whose reference was lost is found by creating it again with the same idempotency key. Keys follow from the attempt,
the call and its arguments: a network fault repeats a key, another attempt or amount is another one.
"""

from collections.abc import AsyncIterator, Awaitable
from datetime import datetime
from typing import Any, TypeVar

import aiohttp
import stripe

from services.order.domain.payment import FailureCode, Payment, Refund
from services.order.payments.gateways.gateway import (
    Charge,
    ChargeState,
    GatewayTimeout,
    GatewayUnavailable,
    ListedCharge,
    ProviderRefund,
)

TIMEOUT_S = 10.0
"""Of one call; there are at most three to a step, within the lease of a job."""
_SCALES = {"ISK": 100, "UGX": 100}
"""Stripe has two decimals for them, ISO 4217 none (https://docs.stripe.com/currencies#special-cases)."""
_REFUSED = {"MGA"}
"""Stripe has none, ISO 4217 two: cents would be lost."""
_CODES = {
    "insufficient_funds": FailureCode.INSUFFICIENT_FUNDS,
    "expired_card": FailureCode.METHOD_EXPIRED,
    "lost_card": FailureCode.METHOD_BLOCKED,
    "stolen_card": FailureCode.METHOD_BLOCKED,
    "pickup_card": FailureCode.METHOD_BLOCKED,
    "restricted_card": FailureCode.METHOD_BLOCKED,
    "fraudulent": FailureCode.FRAUD_SUSPECTED,
    "merchant_blacklist": FailureCode.FRAUD_SUSPECTED,
    "authentication_required": FailureCode.AUTHENTICATION_FAILED,
    "payment_intent_authentication_failure": FailureCode.AUTHENTICATION_FAILED,
    "resource_missing": FailureCode.METHOD_UNKNOWN,
}
_TAKEN = ("needs_response", "under_review", "lost")
"""Disputes for which the bank has taken the money; inquiries (`warning_…`) take none."""
_VOIDABLE = ("requires_payment_method", "requires_confirmation", "requires_action", "requires_capture")
Answer = TypeVar("Answer")


class Stripe:
    """A `Gateway`. Its HTTP session opens with the first call."""

    def __init__(self, key: str, url: str, return_url: str, timeout: float = TIMEOUT_S) -> None:
        """`return_url`: where payers come back to after an action. `timeout`: seconds of one call."""
        self._http = stripe.AIOHTTPClient(timeout=aiohttp.ClientTimeout(total=timeout))
        # The payment worker repeats calls: the SDK does not.
        self._client = stripe.StripeClient(
            key, http_client=self._http, base_addresses={"api": url}, max_network_retries=0
        ).v1
        self._return_url = return_url

    async def close(self) -> None:
        """Close the HTTP session."""
        await self._http.close_async()  # type: ignore[no-untyped-call]  # the SDK's has no types

    async def authorize(self, payment: Payment) -> Charge:
        """Created, then confirmed. What cannot be created is declined."""
        try:
            intent = await self._intent(payment)
        except stripe.InvalidRequestError as error:
            return _declined(error)
        if intent.status != "requires_confirmation":
            return await self._charge(intent, payment)
        try:
            intent = await _ask(
                self._client.payment_intents.confirm_async(
                    intent.id,
                    {"return_url": self._return_url, "expand": ["latest_charge"]},
                    {"idempotency_key": f"{payment.idempotency_key}/confirm"},
                )
            )
        except (stripe.CardError, stripe.InvalidRequestError):
            return await self.find(payment)  # declined, or changed at this moment
        return await self._charge(intent, payment)

    async def confirm(self, payment: Payment) -> Charge:
        """Stripe goes on by itself when the payer has acted."""
        return await self.find(payment)

    async def find(self, payment: Payment) -> Charge:
        """UNKNOWN where it was not confirmed."""
        try:
            return await self._charge(await self._intent(payment), payment)
        except stripe.InvalidRequestError as error:
            return _declined(error)

    async def capture(self, payment: Payment, amount_minor: int) -> Charge:
        """What is captured already is only read."""
        try:
            intent = await _ask(
                self._client.payment_intents.capture_async(
                    payment.reference,
                    {"amount_to_capture": amount_minor * _scale(payment), "expand": ["latest_charge"]},
                    {"idempotency_key": f"{payment.idempotency_key}/capture/{amount_minor}"},
                )
            )
        except (stripe.CardError, stripe.InvalidRequestError):
            return await self.find(payment)  # captured or ended already
        return await self._charge(intent, payment)

    async def refund(self, payment: Payment, refund: Refund) -> ProviderRefund:
        """A refund that is pending at Stripe counts as made."""
        try:
            made = await self._refund(payment, refund.amount_minor, refund.refund_id)
        except (stripe.CardError, stripe.InvalidRequestError) as error:
            return ProviderRefund(False, "", _reason(error))
        failed = made.status in ("failed", "canceled")
        return ProviderRefund(not failed, made.id, str(made.failure_reason or "") if failed else "")

    async def reverse(self, payment: Payment) -> Charge:
        """Cancels what is not captured, refunds the rest of what is, unless the bank has taken it."""
        try:
            intent = await self._intent(payment)
            if intent.status in _VOIDABLE:
                await _ask(
                    self._client.payment_intents.cancel_async(
                        intent.id, {}, {"idempotency_key": f"{payment.idempotency_key}/cancel"}
                    )
                )
            elif intent.status == "succeeded":
                charge = await self._charge(intent, payment)
                rest = charge.captured_minor - charge.refunded_minor
                if rest and not charge.charged_back_minor:
                    payment.reference = intent.id
                    await self._refund(payment, rest, f"{payment.idempotency_key}/reverse/{rest}")
        except stripe.InvalidRequestError as error:
            if not payment.reference and error.http_status == 400:
                return Charge(ChargeState.VOIDED)  # it could never be created
            raise GatewayTimeout from error  # it has changed at this moment
        return await self.find(payment)

    async def list_charges(self, since: datetime, until: datetime) -> AsyncIterator[ListedCharge]:
        """The PaymentIntents of ours, by time of creation."""
        created: Any = {"gte": int(since.timestamp()), "lt": int(until.timestamp())}
        params: Any = {"created": created, "limit": 100, "expand": ["data.latest_charge"]}
        while True:
            page = await _ask(self._client.payment_intents.list_async(params))
            for intent in page.data:
                metadata: Any = intent.metadata or {}
                if "payment_id" in metadata and metadata["attempt"].isdecimal():
                    payment = Payment(
                        metadata["payment_id"], "", 0, intent.currency.upper(), attempt=int(metadata["attempt"])
                    )
                    charge = await self._charge(intent, payment)
                    yield ListedCharge(payment.payment_id, payment.attempt, payment.currency, charge)
            if not page.has_more:
                return
            params["starting_after"] = page.data[-1].id

    async def _refund(self, payment: Payment, amount_minor: int, key: str) -> Any:
        params: Any = {
            "payment_intent": payment.reference,
            "amount": amount_minor * _scale(payment),
            "metadata": {"payment_id": payment.payment_id, "refund_id": key},
        }
        return await _ask(self._client.refunds.create_async(params, {"idempotency_key": f"{key}/{amount_minor}"}))

    async def _intent(self, payment: Payment) -> Any:
        if not payment.reference:
            if payment.currency in _REFUSED:
                reason = f"{payment.currency} is not accepted"
                raise stripe.InvalidRequestError(reason, "currency", http_status=400)  # type: ignore[no-untyped-call]  # the SDK's has no types
            params: Any = {
                "amount": payment.amount_minor * _scale(payment),
                "currency": payment.currency.lower(),
                "payment_method": payment.method,
                "payment_method_types": ["card"],
                "capture_method": "manual",
                "metadata": {"payment_id": payment.payment_id, "attempt": str(payment.attempt)},
            }
            key = f"{payment.idempotency_key}/create"
            created = await _ask(self._client.payment_intents.create_async(params, {"idempotency_key": key}))
            payment.reference = created.id  # a repeated creation answers with the state of the first
        return await _ask(self._client.payment_intents.retrieve_async(payment.reference, {"expand": ["latest_charge"]}))

    async def _charge(self, intent: Any, payment: Payment) -> Charge:
        scale = _scale(payment)
        collected = intent.latest_charge if intent.status == "succeeded" else None
        captured = int(intent.amount_received or 0) // scale
        refunded = int(collected.amount_refunded or 0) // scale if collected else 0
        taken = 0
        if collected is not None and collected.disputed:
            found = await _ask(self._client.disputes.list_async({"payment_intent": intent.id, "limit": 100}))
            taken = sum(int(d.amount) for d in found.data if d.status in _TAKEN) // scale
        state, error = _state(intent), getattr(intent, "last_payment_error", None)
        if state is ChargeState.CAPTURED and captured and refunded >= captured:
            state = ChargeState.REFUNDED
        action = getattr(intent, "next_action", None)
        redirect = getattr(action, "redirect_to_url", None) if action else None
        return Charge(
            state,
            str(error.message or "declined") if state is ChargeState.DECLINED and error else "",
            _code(error.decline_code if "decline_code" in error else "", error.code) if error else FailureCode.DECLINED,
            intent.id,
            str(redirect.url) if redirect else "",
            captured,
            refunded,
            taken,
        )


def _state(intent: Any) -> ChargeState:
    if intent.status == "requires_payment_method":
        return ChargeState.DECLINED if getattr(intent, "last_payment_error", None) else ChargeState.UNKNOWN
    return {
        "requires_confirmation": ChargeState.UNKNOWN,
        "requires_action": ChargeState.ACTION_REQUIRED,
        "processing": ChargeState.UNSETTLED,
        "requires_capture": ChargeState.AUTHORIZED,
        "succeeded": ChargeState.CAPTURED,
        "canceled": ChargeState.VOIDED,
    }.get(intent.status, ChargeState.UNSETTLED)


async def _ask(call: Awaitable[Answer]) -> Answer:
    """Raises as `Gateway` says for what says nothing about the payment."""
    try:
        return await call
    except (stripe.RateLimitError, stripe.AuthenticationError, stripe.PermissionError) as error:
        raise GatewayUnavailable from error  # refused before it had an effect
    except (stripe.CardError, stripe.InvalidRequestError) as error:
        if error.http_status == 409:
            raise GatewayTimeout from error  # the same call is under way
        raise
    except stripe.StripeError as error:
        raise GatewayTimeout from error


def _scale(payment: Payment) -> int:
    return _SCALES.get(payment.currency, 1)


def _reason(error: stripe.StripeError) -> str:
    return str(error.user_message or error)[:300]


def _declined(error: Any) -> Charge:
    details = getattr(error, "error", None)
    decline = getattr(details, "decline_code", "") if details else ""
    return Charge(ChargeState.DECLINED, _reason(error), _code(decline or "", error.code or ""))


def _code(*found: str | None) -> FailureCode:
    return next((_CODES[code] for code in found if code in _CODES), FailureCode.DECLINED)
