"""What differs between a payment of ours and the provider's charges; no database, no network."""

from collections.abc import Sequence
from typing import NamedTuple

from services.order.payments.gateways.gateway import Charge, ChargeState, ListedCharge


class Books(NamedTuple):
    """The sums of a payment of ours, and those of its movements; None where it is older than the ledger."""

    payment_id: str
    attempt: int
    currency: str
    captured_minor: int
    refunded_minor: int
    charged_back_minor: int
    ledger_minor: int | None


KINDS = ("CAPTURED", "REFUNDED", "CHARGED_BACK", "UNEXPECTED_CHARGE", "LEDGER")
"""Of differences: the contract's names without their prefix."""


class Difference(NamedTuple):
    """A difference; `kind` is one of `KINDS`."""

    payment_id: str
    kind: str
    ours_minor: int
    theirs_minor: int
    currency: str
    reference: str = ""


def compare(ours: Books | None, theirs: Sequence[ListedCharge]) -> list[Difference]:
    """All differences of one payment. `theirs`: its charges, one for each attempt."""
    found = []
    current = Charge(ChargeState.UNKNOWN)
    for listed in theirs:
        if ours is not None and listed.attempt == ours.attempt:
            current = listed.charge
        elif kept := listed.charge.captured_minor - listed.charge.refunded_minor:
            reference = listed.charge.reference
            found.append(Difference(listed.payment_id, "UNEXPECTED_CHARGE", 0, kept, listed.currency, reference))
    if ours is None:
        return found
    for kind in ("captured", "refunded", "charged_back"):
        booked, charged = getattr(ours, f"{kind}_minor"), getattr(current, f"{kind}_minor")
        if booked != charged:
            found.append(Difference(ours.payment_id, kind.upper(), booked, charged, ours.currency, current.reference))
    net = ours.captured_minor - ours.refunded_minor
    if ours.ledger_minor is not None and ours.ledger_minor != net:
        found.append(Difference(ours.payment_id, "LEDGER", net, ours.ledger_minor, ours.currency, current.reference))
    return found
