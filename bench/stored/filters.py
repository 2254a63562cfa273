"""What lists of orders are asked for: each filter by itself and some together, for orders that `seed` has made."""

import urllib.parse
from datetime import UTC, datetime, timedelta

import psycopg

from bench.stored.seed import Stored

_STATES = {
    "states": ("ORDER_STATE", ("CONFIRMED", "COMPLETED", "CANCELLED", "EXPIRED")),
    "paymentStates": ("PAYMENT_STATE", ("CAPTURED", "VOIDED", "FAILED", "REFUNDED")),
    "fulfilmentStates": ("FULFILMENT_STATE", ("UNFULFILLED", "SHIPPED", "DELIVERED", "RETURNED")),
}


def queries(database: str, made: Stored) -> dict[str, str]:
    """The query of a page of 50, by what it asks for."""
    with psycopg.connect(database) as connection:
        known = "SELECT order_number, external_reference FROM orders WHERE order_id = %s"
        number = made.orders // 12 * 12 + 4 if made.orders % 12 >= 4 else made.orders // 12 * 12 - 8
        found = connection.execute(known, [made.order(number)]).fetchone()
    assert found and found[1], "an order of the partner with a reference"
    now = datetime.fromtimestamp(made.now_ms / 1000, UTC)
    ago = {
        days: (now - timedelta(days=days)).isoformat(timespec="seconds").replace("+00:00", "Z")
        for days in (30, 60, 365)
    }
    regular = {"customerId": made.regular}
    asked: dict[str, dict[str, str]] = {"all": {}}
    for axis, (prefix, states) in _STATES.items():
        asked |= {f"{axis}={state}": {axis: f"{prefix}_{state}"} for state in states}
    paid, unsent = {"paymentStates": "PAYMENT_STATE_CAPTURED"}, {"fulfilmentStates": "FULFILMENT_STATE_UNFULFILLED"}
    asked |= {
        "paid, not sent": {**paid, **unsent},
        "never: expired, delivered": {
            "states": "ORDER_STATE_EXPIRED",
            "fulfilmentStates": "FULFILMENT_STATE_DELIVERED",
        },
        "of a month": {"createTimeFrom": ago[60], "createTimeTo": ago[30]},
        "before a year": {"createTimeTo": ago[365]},
        "cancelled before a year": {"createTimeTo": ago[365], "states": "ORDER_STATE_CANCELLED"},
        "a customer's": regular,
        "a customer's cancelled": {**regular, "states": "ORDER_STATE_CANCELLED"},
        "a reference": {"externalReference": found[1]},
        "a number": {"orderNumber": found[0]},
    }
    return {name: urllib.parse.urlencode({"pageSize": 50, **values}) for name, values in asked.items()}
