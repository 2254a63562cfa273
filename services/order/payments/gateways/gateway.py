"""The interface to a payment provider. Each call has an idempotency key: a repeated call takes effect once."""

from collections.abc import AsyncIterator
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol

from services.order.domain.payment import FailureCode, Payment, Refund


class ChargeState(StrEnum):
    """The state of a charge at the provider."""

    UNKNOWN = "UNKNOWN"  # the provider has no such charge
    UNSETTLED = "UNSETTLED"  # received, not decided
    ACTION_REQUIRED = "ACTION_REQUIRED"
    AUTHORIZED = "AUTHORIZED"
    DECLINED = "DECLINED"
    CAPTURED = "CAPTURED"
    VOIDED = "VOIDED"
    REFUNDED = "REFUNDED"  # all that was captured


class Charge(NamedTuple):
    """A charge as the provider returns it; `reason` and `code` say why it was declined.

    `reference` is the provider's name of it, `next_action` the URL where the payer must act. The sums are in the smallest
    unit of the payment's currency.
    """

    state: ChargeState
    reason: str = ""
    code: FailureCode = FailureCode.DECLINED
    reference: str = ""
    next_action: str = ""
    captured_minor: int = 0
    refunded_minor: int = 0
    charged_back_minor: int = 0


class ListedCharge(NamedTuple):
    """A charge in the provider's list, with our names of its payment and attempt."""

    payment_id: str
    attempt: int
    currency: str
    charge: Charge


class ProviderRefund(NamedTuple):
    """A refund as the provider returns it. `reason` says why it was refused."""

    made: bool
    reference: str
    reason: str = ""


class GatewayTimeout(Exception):
    """The provider did not respond: the call may have taken effect, or may yet."""


class GatewayUnavailable(Exception):
    """The provider cannot be reached or does not serve: the call had no effect."""


class Gateway(Protocol):
    """A provider. Every method raises `GatewayTimeout` or `GatewayUnavailable`; all but `refund` return the charge as it is then."""

    async def authorize(self, payment: Payment) -> Charge:
        """Reserve the amount; collect it, too, where it is captured at once and the provider does both in one call."""
        ...

    async def confirm(self, payment: Payment) -> Charge:
        """Go on with a charge for which the payer has acted."""
        ...

    async def find(self, payment: Payment) -> Charge:
        """The current charge; moves no money."""
        ...

    async def capture(self, payment: Payment, amount_minor: int) -> Charge:
        """Collect a part of the authorized amount, or all, and release the rest."""
        ...

    async def refund(self, payment: Payment, refund: Refund) -> ProviderRefund:
        """Give back a part of what was captured."""
        ...

    async def reverse(self, payment: Payment) -> Charge:
        """Void what is authorized, refund all that is captured, and refuse a later `authorize`."""
        ...

    def list_charges(self, since: datetime, until: datetime) -> AsyncIterator[ListedCharge]:
        """The provider's own list of charges that were created in a time."""
        ...
