"""What must be true when every saga has ended: of money, of goods, and of what was written down. The counts are printed first."""

from collections import Counter
from typing import Any

from tests.order.payments.stripe_fake import StripeFake
from tests.soak.sagas.shoppers import Shoppers

STOCK = 1_000_000
BOOKS = """
SELECT o.order_id, o.state, o.payment_state, o.fulfilment_state, o.fulfilment, o.returns, o.version, o.total_minor, o.charges,
       p.payment_id, p.captured_minor, p.refunded_minor, p.charged_back_minor, p.refunding_minor, p.authorized_minor,
       p.provider_reference LIKE 'bank:%%' AS by_hand, m.*, l.*, r.*,
       (SELECT count(*) FROM order_changes c WHERE c.order_id = o.order_id) AS changes
  FROM orders o JOIN payments p USING (payment_id)
 CROSS JOIN LATERAL (
   SELECT COALESCE(sum(amount_minor) FILTER (WHERE kind = 'CAPTURED'), 0)::bigint AS captured,
          COALESCE(sum(amount_minor) FILTER (WHERE kind = 'REFUNDED'), 0)::bigint AS refunded,
          COALESCE(sum(CASE kind WHEN 'CHARGED_BACK' THEN amount_minor WHEN 'CHARGE_BACK_REVERSED' THEN -amount_minor END), 0)::bigint
            AS charged_back,
          COALESCE(sum(CASE kind WHEN 'AUTHORIZED' THEN amount_minor WHEN 'VOIDED' THEN -amount_minor END), 0)::bigint AS authorized,
          count(*) AS movements
     FROM payment_movements m WHERE m.payment_id = p.payment_id) m
 CROSS JOIN LATERAL (
   SELECT jsonb_object_agg(product_id, quantity) AS ordered, sum(quantity * unit_price_minor)::bigint AS priced
     FROM order_lines l WHERE l.order_id = o.order_id) l
 CROSS JOIN LATERAL (
   SELECT jsonb_object_agg(return_id, amount) FILTER (WHERE return_id <> '') AS returned_money,
          COALESCE(sum(amount) FILTER (WHERE return_id = ''), 0)::bigint AS other_money
     FROM (SELECT return_id, sum(amount_minor) AS amount FROM payment_refunds r WHERE r.payment_id = p.payment_id GROUP BY 1) r) r
"""
_PAID = {"CAPTURED", "PARTIALLY_REFUNDED", "REFUNDED"}
_ENDED = {"VOIDED", "REFUNDED", "FAILED", "CHARGED_BACK"}
EXPLAINED = {
    "PENDING": {"FAILED", "ACTION_REQUIRED"},
    "CONFIRMED": _PAID | {"AUTHORIZED", "CHARGED_BACK"},
    "COMPLETED": _PAID | {"CHARGED_BACK"},
    "CANCELLED": _ENDED,
    "EXPIRED": _ENDED,
}
"""The states of a payment that may stay, by those of its order: others still wait for somebody."""


def theirs(fake: StripeFake) -> dict[str, Counter[str]]:
    """Stripe's sums by payment."""
    sums: dict[str, Counter[str]] = {}
    for intent in fake.intents.values():
        found = sums.setdefault(intent["metadata"]["payment_id"], Counter())
        found["captured"] += intent["amount_received"]
        found["refunded"] += sum(r["amount"] for r in fake.refunds if r["payment_intent"] == intent["id"])
        disputes = [d for d in fake.disputes if d["payment_intent"] == intent["id"] and d["status"] != "won"]
        found["charged_back"] += sum(d["amount"] for d in disputes)
        found["held"] += intent["status"] == "requires_capture"
    return sums


def report(found: list[Any], shoppers: Shoppers, fake: StripeFake, deaths: Counter[str]) -> str:
    """The counts."""
    states = Counter(f"{r.state}/{r.payment_state}" for r in found)
    goods = Counter(r.fulfilment_state for r in found)
    returns = Counter(made["state"] for r in found for made in r.returns or ())
    won = sum(d["status"] == "won" for d in fake.disputes)
    return "\n".join(
        [
            f"{len(found)} orders, {len(shoppers.placed)} acknowledged; {sum(deaths.values())} deaths: {dict(sorted(deaths.items()))}",
            f"answered: {dict(shoppers.calls.done)}",
            f"refused: {dict(shoppers.calls.refused)}",
            f"{len(fake.calls)} calls to Stripe, {fake.faulty} faults; {len(fake.events)} events; "
            f"{len(fake.disputes)} disputes, {won} of them won",
            f"orders: {dict(states)}",
            f"goods: {dict(goods)}; returns: {dict(returns)}; {sum(r.by_hand for r in found)} paid by hand",
            f"cents: captured {sum(r.captured for r in found)}, refunded {sum(r.refunded for r in found)}, "
            f"charged back {sum(r.charged_back for r in found)}; {sum(r.movements for r in found)} movements",
        ]
    )


def check(found: list[Any], shoppers: Shoppers, fake: StripeFake, stock: dict[str, int]) -> None:
    """Of each order, and of the stock of all. `found`: rows of `BOOKS`."""
    assert {r.order_id for r in found} == set(shoppers.placed), "none lost, none made twice"
    there = theirs(fake)
    kept = dict.fromkeys(stock, 0)
    for r in found:
        _check_money(r, there.get(r.payment_id, Counter()))
        for product, units in _check_goods(r).items():
            kept[product] += units
        assert r.changes == r.version, ("each change is in the timeline once", r)
    assert stock == {product: STOCK - units for product, units in kept.items()}, "no stock leaked"


def _check_money(r: Any, there: Counter[str]) -> None:
    assert r.payment_state in EXPLAINED[r.state], r
    assert r.total_minor == r.priced + sum(amount for _, _, amount, _ in r.charges or ()), r
    sums = r.captured_minor, r.refunded_minor, r.charged_back_minor, r.authorized_minor
    assert sums == (r.captured, r.refunded, r.charged_back, r.authorized), ("the sums are the ledger's", r)
    at_stripe = there["captured"], there["refunded"], there["charged_back"]
    assert at_stripe == ((0, 0, 0) if r.by_hand else sums[:3]), ("the books are Stripe's", r, there)
    assert there["held"] == (r.payment_state == "AUTHORIZED"), r
    assert 0 <= r.refunded + r.refunding_minor <= r.captured <= r.total_minor, r
    assert r.by_hand or not r.refunding_minor, ("only people are still to give something back", r)
    if r.state in ("CANCELLED", "EXPIRED"):
        assert r.captured == r.refunded + r.charged_back, ("nothing is kept of what was cancelled", r)


def _check_goods(r: Any) -> dict[str, int]:
    """The units of an order that are not in stock, by product."""
    shipped, delivered, received = Counter[str](), Counter[str](), Counter[str]()
    for shipment in (r.fulfilment or {}).get("shipments", ()):
        for product, units, arrived in shipment["lines"]:
            shipped[product] += units
            delivered[product] += arrived
    for made in r.returns or ():
        for product, units, back in made["lines"]:
            assert back <= units, r
            received[product] += back
        assert made["refund"] == (r.returned_money or {}).get(made["id"], 0), ("each return is refunded once", r)
    for product, units in r.ordered.items():
        assert 0 <= received[product] <= delivered[product] <= shipped[product] <= units, r
    arrived = delivered == Counter(r.ordered)
    assert (r.state == "COMPLETED") <= arrived, r
    assert not (r.state == "CONFIRMED" and arrived and r.payment_state in _PAID), ("it is completed at once", r)
    assert r.state in ("CONFIRMED", "COMPLETED") or not shipped, ("nothing leaves of what is not paid", r)
    if r.state in ("CANCELLED", "EXPIRED"):
        return {}
    return {product: units - received[product] for product, units in r.ordered.items()}
