"""What a payment provider does for us, whoever it is. Each call bears a key: the provider honours a repeated one once."""

from enum import StrEnum
from typing import NamedTuple, Protocol

from services.order.domain.payment import FailureCode, Payment


class ChargeState(StrEnum):
    """Where a charge stands at the provider."""

    UNKNOWN = "UNKNOWN"  # never heard of it
    UNSETTLED = "UNSETTLED"  # heard of it, not decided
    AUTHORISED = "AUTHORISED"
    DECLINED = "DECLINED"
    CAPTURED = "CAPTURED"
    VOIDED = "VOIDED"
    REFUNDED = "REFUNDED"


class Charge(NamedTuple):
    """The provider's answer; `reason` and `code` say why a charge was declined."""

    state: ChargeState
    reason: str = ""
    code: FailureCode = FailureCode.DECLINED


class GatewayTimeout(Exception):
    """The provider did not answer: the call may have taken effect, or may yet."""


class Gateway(Protocol):
    """A provider. Every method may raise `GatewayTimeout`, and answers with the charge as it is afterwards."""

    async def authorise(self, payment: Payment) -> Charge:
        """Ask for the promise of the money."""
        ...

    async def find(self, payment: Payment) -> Charge:
        """Ask how it stands; changes nothing."""
        ...

    async def capture(self, payment: Payment) -> Charge:
        """Take the money that was promised."""
        ...

    async def give_back(self, payment: Payment) -> Charge:
        """Let go of what was promised, give back what was taken, and refuse what arrives late."""
        ...
