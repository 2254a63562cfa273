"""The interface to a payment provider. Each call has an idempotency key: a repeated call takes effect once."""

from enum import StrEnum
from typing import NamedTuple, Protocol

from services.order.domain.payment import FailureCode, Payment


class ChargeState(StrEnum):
    """The state of a charge at the provider."""

    UNKNOWN = "UNKNOWN"  # the provider has no such charge
    UNSETTLED = "UNSETTLED"  # received, not decided
    AUTHORIZED = "AUTHORIZED"
    DECLINED = "DECLINED"
    CAPTURED = "CAPTURED"
    VOIDED = "VOIDED"
    REFUNDED = "REFUNDED"


class Charge(NamedTuple):
    """A charge as the provider returns it; `reason` and `code` say why it was declined."""

    state: ChargeState
    reason: str = ""
    code: FailureCode = FailureCode.DECLINED


class GatewayTimeout(Exception):
    """The provider did not respond: the call may have taken effect, or may yet."""


class GatewayUnavailable(Exception):
    """The provider cannot be reached or does not serve: the call had no effect."""


class Gateway(Protocol):
    """A provider. Every method returns the charge as it is afterwards, or raises `GatewayTimeout` or `GatewayUnavailable`."""

    async def authorize(self, payment: Payment) -> Charge:
        """Reserve the amount."""
        ...

    async def find(self, payment: Payment) -> Charge:
        """The current charge; changes nothing."""
        ...

    async def capture(self, payment: Payment) -> Charge:
        """Collect the authorized amount."""
        ...

    async def reverse(self, payment: Payment) -> Charge:
        """Void what is authorized, refund what is captured, and refuse a later `authorize`."""
        ...
