"""Customers who order again and again, and what must hold of their orders however the mesh was treated meanwhile."""

import threading
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

from deploy.local.demo import mailbox
from deploy.local.demo.scenario import Account, Scenario, ScenarioError
from tests.servers import wait_until

PAUSE_S = 0.1
"""Of a shopper between two orders: without one, three of them leave nothing of the machine to what restarts."""
SETTLE_TIMEOUT_S = 60
"""For everything that was acknowledged to come to its end."""


class Shopper:
    """A customer in a thread, who orders one piece again and again, each time until it is acknowledged."""

    def __init__(self, mesh: dict[str, Any], product: dict[str, Any]) -> None:
        self.scenario = Scenario(mesh)
        self.account: Account = self.scenario.sign_up()
        self.acknowledged: dict[str, str] = {}
        self.fault: Exception | None = None
        self._product = product
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._shop)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the order at hand."""
        self._stopping.set()
        self._thread.join(60)

    def _shop(self) -> None:
        try:
            while not self._stopping.wait(PAUSE_S):
                key = str(uuid.uuid4())
                self.acknowledged[key] = self.scenario.place_order(self.account, self._product, key=key).order[
                    "orderId"
                ]
        except Exception as error:
            self.fault = error

    def orders(self) -> list[dict[str, Any]]:
        """Every order that the mesh knows of this customer."""
        found, token = [], ""
        while True:
            path = f"/v1/orders?pageSize=200&pageToken={token}"
            page = self.scenario.call("GET", path, account=self.account).json()
            found += page["orders"]
            token = page["nextPageToken"]
            if not token:
                return found

    def notifications(self) -> Counter[tuple[str, str]]:
        """How often each kind of notification about each order is in the inbox."""
        found, token = Counter(), ""
        while True:
            path = f"/v1/inbox?pageSize=200&pageToken={token}"
            page = self.scenario.call("GET", path, account=self.account).json()
            found.update((item["subjectId"], item["type"]) for item in page["items"])
            token = page["nextPageToken"]
            if not token:
                return found

    def message_ids(self) -> dict[str, set[str]]:
        """The Message-IDs of the confirmation mails, by order."""
        found: dict[str, set[str]] = {}
        for mail in mailbox.mails(Path(self.scenario.mesh["mail"]), self.account.email):
            for order_id in self.acknowledged.values():
                if order_id in str(mail["Subject"]):
                    found.setdefault(order_id, set()).add(str(mail["Message-ID"]))
        return found


class Traffic:
    """Several shoppers, and a product of which there is enough."""

    STOCK = 100_000

    def __init__(self, mesh: dict[str, Any], shoppers: int = 3) -> None:
        self.scenario = Scenario(mesh)
        partner = self.scenario.partner_token()
        body = {"title": "In demand", "price": {"amountMinor": "250", "currency": "EUR"}, "stock": str(self.STOCK)}
        made = self.scenario.call("POST", "/v1/products", body, partner, key=str(uuid.uuid4()), expect=201)
        self.product = made.json()
        self.shoppers = [Shopper(mesh, self.product) for _ in range(shoppers)]

    def __enter__(self) -> "Traffic":
        for shopper in self.shoppers:
            shopper.start()
        return self

    def __exit__(self, *_: object) -> None:
        for shopper in self.shoppers:
            shopper.stop()

    @property
    def count(self) -> int:
        """Orders that were acknowledged."""
        return sum(len(shopper.acknowledged) for shopper in self.shoppers)

    def flow(self, more: int, seconds: float = 60) -> None:
        """Wait until `more` orders are acknowledged."""
        goal = self.count + more

        def reached() -> bool:
            for shopper in self.shoppers:
                if shopper.fault is not None:
                    raise shopper.fault
            return self.count >= goal

        wait_until(reached, f"{more} more orders", seconds)

    def close(self) -> None:
        """Close the connections."""
        for scenario in (self.scenario, *(shopper.scenario for shopper in self.shoppers)):
            scenario.close()

    def check(self) -> None:
        """What must hold after all: each acknowledged order once, paid once, each event once in effect, one mail each."""
        for shopper in self.shoppers:
            assert shopper.fault is None, shopper.fault
            wanted = set(shopper.acknowledged.values())
            wait_until(lambda s=shopper: _all_paid(s), "every order to be confirmed and captured", SETTLE_TIMEOUT_S)
            listed = shopper.orders()
            assert len(listed) == len({order["orderId"] for order in listed})
            assert {order["orderId"] for order in listed} == wanted
            assert {order["total"]["amountMinor"] for order in listed} == {"250"}
            kinds = ("order.placed", "order.confirmed")
            expected = Counter({(order_id, kind): 1 for order_id in wanted for kind in kinds})
            wait_until(lambda s=shopper, e=expected: s.notifications() >= e, "every notification", SETTLE_TIMEOUT_S)
            assert {key: count for key, count in shopper.notifications().items() if key[1] in kinds} == dict(expected)
            wait_until(lambda s=shopper, w=wanted: set(s.message_ids()) == w, "every mail", SETTLE_TIMEOUT_S)
            doubled = {order_id: ids for order_id, ids in shopper.message_ids().items() if len(ids) > 1}
            assert doubled == {}, "a mail that is there twice has one Message-ID"
        sold = int(self.scenario.call("GET", f"/v1/products/{self.product['productId']}").json()["stock"])
        assert sold == self.STOCK - self.count


def _all_paid(shopper: Shopper) -> bool:
    states = {(order["state"], order["paymentState"]) for order in shopper.orders()}
    if "ORDER_STATE_CANCELLED" in {state for state, _ in states}:
        raise ScenarioError("an order was cancelled")
    return states == {("ORDER_STATE_CONFIRMED", "PAYMENT_STATE_CAPTURED")}
