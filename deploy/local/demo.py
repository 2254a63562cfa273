"""`make demo`: the journey against the running mesh, each step printed."""

import json
import time
from pathlib import Path
from typing import Any

from deploy.local.faults import MeshFault
from deploy.local.journey import Journey, JourneyFault
from deploy.local.trace_tree import Trace


def main(mesh_file: Path, loop: bool) -> int:
    """Once, or until Ctrl-C. Raises `MeshFault` where a step fails."""
    count = 0
    while True:
        began = time.monotonic()
        mesh: dict[str, Any] = json.loads(mesh_file.read_text())
        journey = Journey(mesh, lambda line: print(line, flush=True))
        try:
            trace = drive(journey)
        except JourneyFault as fault:
            raise MeshFault(f"The demo failed: {fault}") from None
        finally:
            journey.close()
        count += 1
        print("\nThe trace of the customer's order")
        print("\n".join(trace.lines()))
        print(f"\nround {count} went well ({time.monotonic() - began:.1f} s)", flush=True)
        if not loop:
            return 0


def drive(journey: Journey) -> Trace:
    """The whole journey; the trace of the customer's order."""
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
    return journey.wait_for_trace(placed.trace_id, reaches_mail)


def reaches_mail(trace: Trace) -> bool:
    """Whether a trace has come to its end: the edge's span is there, and a mail was sent."""
    services = {span["service"] for span in trace.spans}
    mailed = any(span["service"] == "notification" and "mail" in span["name"] for span in trace.spans)
    return {"edge", "order", "user", "notification"} <= services and mailed and len(trace.roots) == 1
