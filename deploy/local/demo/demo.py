"""`make demo`: the scenario against the running mesh, each step printed."""

import time

from deploy.local.demo.scenario import Placed, Scenario, ScenarioError
from deploy.local.demo.trace_tree import Trace
from deploy.local.failures import MeshError
from deploy.local.running import Running


def main(running: Running, loop: bool) -> int:
    """Once, or until Ctrl-C. Raises `MeshError` where a step fails."""
    count = 0
    while True:
        began = time.monotonic()
        mesh = running.content
        scenario = Scenario(mesh, lambda line: print(line, flush=True))
        try:
            placed = drive(scenario)
            shown = _trace(scenario, placed)
        except ScenarioError as fault:
            raise MeshError(f"The demo failed: {fault}") from None
        finally:
            scenario.close()
        count += 1
        print(f"\n{shown}")
        print(f"\nround {count} went well ({time.monotonic() - began:.1f} s)", flush=True)
        if not loop:
            return 0


def _trace(scenario: Scenario, placed: Placed) -> str:
    """The trace of an order as text, or why there is none to show."""
    if not scenario.mesh["traces"]:
        return f"Spans go to WEFT_OTLP_ENDPOINT: look there for trace {placed.trace_id}, the customer's order."
    if not placed.sampled:
        ratio = scenario.mesh["trace_ratio"]
        return f"The customer's order was not traced: WEFT_TRACE_RATIO is {ratio}."
    print("Waiting for the spans of the customer's order …", flush=True)
    lines = scenario.wait_for_trace(placed.trace_id, reaches_mail).lines()
    return "\n".join(["The trace of the customer's order", *lines])


def drive(scenario: Scenario) -> Placed:
    """The whole scenario; the customer's order."""
    customer = scenario.sign_up()
    product = max(scenario.products(), key=lambda found: int(found["stock"]))
    print("The customer orders", flush=True)
    placed = scenario.place_order(customer, product)
    order_id = placed.order["orderId"]
    print("The order becomes CONFIRMED and its payment CAPTURED by themselves", flush=True)
    scenario.wait_until_paid(customer, order_id)
    print("The confirmation mail arrives, and the inbox holds the notification", flush=True)
    scenario.wait_for_confirmation(customer.email, order_id)
    scenario.wait_for_notification(customer, order_id)
    partner = scenario.partner_token()
    print("The partner creates a customer of its own, and orders for it", flush=True)
    own = scenario.partner_customer(partner)
    theirs = scenario.place_order(partner, product, customer_id=own.user_id).order["orderId"]
    scenario.wait_until_paid(partner, theirs)
    scenario.wait_for_confirmation(own.email, theirs)
    return placed


def reaches_mail(trace: Trace) -> bool:
    """Whether a trace has come to its end: the edge's span is there, and a mail was sent."""
    services = {span["service"] for span in trace.spans}
    mailed = any(span["service"] == "notification" and "mail" in span["name"] for span in trace.spans)
    return {"edge", "order", "user", "notification"} <= services and mailed and len(trace.roots) == 1
