"""`make demo`: the journey against the running mesh, each step printed."""

import time

from deploy.local.demo.scenario import Journey, JourneyFault, Placed
from deploy.local.demo.trace_tree import Trace
from deploy.local.failures import MeshFault
from deploy.local.running import Running


def main(running: Running, loop: bool) -> int:
    """Once, or until Ctrl-C. Raises `MeshFault` where a step fails."""
    count = 0
    while True:
        began = time.monotonic()
        mesh = running.content
        journey = Journey(mesh, lambda line: print(line, flush=True))
        try:
            placed = drive(journey)
            shown = _trace(journey, placed)
        except JourneyFault as fault:
            raise MeshFault(f"The demo failed: {fault}") from None
        finally:
            journey.close()
        count += 1
        print(f"\n{shown}")
        print(f"\nround {count} went well ({time.monotonic() - began:.1f} s)", flush=True)
        if not loop:
            return 0


def _trace(journey: Journey, placed: Placed) -> str:
    """The trace of an order as text, or why there is none to show."""
    if not journey.mesh["traces"]:
        return f"Spans go to WEFT_OTLP_ENDPOINT: look there for trace {placed.trace_id}, the customer's order."
    if not placed.sampled:
        ratio = journey.mesh["trace_ratio"]
        return f"The customer's order was not traced: WEFT_TRACE_RATIO is {ratio}."
    print("Waiting for the spans of the customer's order …", flush=True)
    lines = journey.wait_for_trace(placed.trace_id, reaches_mail).lines()
    return "\n".join(["The trace of the customer's order", *lines])


def drive(journey: Journey) -> Placed:
    """The whole journey; the customer's order."""
    customer = journey.sign_up()
    product = max(journey.products(), key=lambda found: int(found["stock"]))
    print("The customer orders", flush=True)
    placed = journey.place_order(customer, product)
    order_id = placed.order["orderId"]
    print("The order becomes CONFIRMED and its payment CAPTURED by themselves", flush=True)
    journey.wait_until_paid(customer, order_id)
    print("The confirmation mail arrives, and the inbox holds the notice", flush=True)
    journey.wait_for_confirmation(customer.email, order_id)
    journey.wait_for_notice(customer, order_id)
    partner = journey.partner_token()
    print("The partner creates a customer of its own, and orders for it", flush=True)
    own = journey.partner_customer(partner)
    theirs = journey.place_order(partner, product, customer_id=own.user_id).order["orderId"]
    journey.wait_until_paid(partner, theirs)
    journey.wait_for_confirmation(own.email, theirs)
    return placed


def reaches_mail(trace: Trace) -> bool:
    """Whether a trace has come to its end: the edge's span is there, and a mail was sent."""
    services = {span["service"] for span in trace.spans}
    mailed = any(span["service"] == "notification" and "mail" in span["name"] for span in trace.spans)
    return {"edge", "order", "user", "notification"} <= services and mailed and len(trace.roots) == 1
