"""One order's trace is one tree, from the edge to the mail."""

import pytest

from deploy.local.demo.demo import reaches_mail

pytestmark = pytest.mark.e2e


def ancestry(trace, span):
    """Names with services from the root down to a span."""
    by_id = {found["span_id"]: found for found in trace.spans}
    line = []
    while span:
        line.append(f"{span['service']}: {span['name']}")
        span = by_id.get(span["parent_span_id"])
    return line[::-1]


def test_the_trace_of_an_order_is_one_tree_from_the_edge_to_the_mail(scenario):
    partner = scenario.partner_token()
    own = scenario.partner_customer(partner)
    placed = scenario.place_order(partner, scenario.products()[-1], customer_id=own.user_id)
    scenario.wait_for_confirmation(own.email, placed.order["orderId"])

    trace = scenario.wait_for_trace(placed.trace_id, reaches_mail)

    assert [span["service"] for span in trace.roots] == ["edge"]
    assert len(list(trace.walk())) == len(trace.spans)
    mails = [span for span in trace.spans if span["name"] == "send mail"]
    assert [ancestry(trace, mail) for mail in mails] == [
        [
            "edge: order.v1.OrderService.CreateOrder",
            "order: weft.order.v1.OrderService/CreateOrder",
            "order: settle payment",
            "order: publish order.confirmed",
            "notification: process event",
            "notification: observe notify_order_confirmed",
            "notification: send mail",
        ]
    ]
    found = {f"{span['service']}: {span['name']}" for span in trace.spans}
    assert found >= {
        "order: place order",  # the database
        "order: weft.user.v1.UserService/BatchGetUsers",  # whose customer is it: a call to the user service
        "user: weft.user.v1.UserService/BatchGetUsers",
        "user: get users",  # its database
        "order: publish order.placed",  # the relay
    }
    assert all(span["status"] != "error" for span in trace.spans)
