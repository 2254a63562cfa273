"""Callers of a mesh that is made to fail: they go on whatever is answered, or is not."""

import contextlib
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import httpx

from deploy.local.demo.scenario import PAYMENT_METHOD, Account, Scenario

ACCOUNTS = 12
ENDPOINTS = 6


class Load:
    """Customers, and a partner with webhooks, made while all is well."""

    def __init__(self, mesh: dict[str, Any]) -> None:
        self._edge = mesh["edge"]
        steps = Scenario(mesh)
        self.customers = [steps.sign_up() for _ in range(ACCOUNTS)]
        self.partner = steps.partner_token()
        self._own = steps.partner_customer(self.partner)
        self._products = [product["productId"] for product in steps.products()]
        for number in range(ENDPOINTS):
            body = {
                "url": f"https://127.0.0.1:9/{number}"
            }  # where nobody listens; what is listed is allowed to the mesh
            steps.call("POST", "/v1/webhooks", body, self.partner, expect=201)
        steps.close()
        self._stop = threading.Event()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Readers of the catalogue, a customer and a partner who order, and a crowd that looks at its orders."""
        work: list[tuple[Callable[[httpx.Client], object], float]] = [
            (lambda http: http.get("/v1/products?pageSize=5"), 0.2),
            (lambda http: self._order(http, self.customers[0]), 1.0),
            (lambda http: self._order(http, self.partner, self._own.user_id), 2.0),
            *((partial(self._list, account=account), 0.3) for account in self.customers * 2),
        ]
        threads = [threading.Thread(target=self._repeat, args=one, daemon=True) for one in work]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(20)

    def ask_for_texts(self) -> None:
        """Each customer has a text message sent."""
        with httpx.Client(base_url=self._edge, timeout=10, trust_env=False) as http:
            for customer in self.customers:
                phone = f"+4366{uuid.uuid4().int % 10**8:08}"
                http.post("/v1/auth:requestPhoneVerification", json={"phone": phone}, headers=_bearer(customer))

    def _list(self, http: httpx.Client, account: Account) -> httpx.Response:
        return http.get("/v1/orders?pageSize=5", headers=_bearer(account))

    def _order(self, http: httpx.Client, account: Account, customer_id: str = "") -> httpx.Response:
        body = {
            "lines": [{"productId": self._products[int(time.time()) % len(self._products)], "quantity": 1}],
            "paymentMethod": PAYMENT_METHOD,
            **({"customerId": customer_id} if customer_id else {}),
        }
        return http.post("/v1/orders", json=body, headers={**_bearer(account), "idempotency-key": str(uuid.uuid4())})

    def _repeat(self, call: Callable[[httpx.Client], object], pause_s: float) -> None:
        with httpx.Client(base_url=self._edge, timeout=8, trust_env=False) as http:
            while not self._stop.wait(pause_s):
                with contextlib.suppress(httpx.HTTPError):
                    call(http)


def _bearer(account: Account) -> dict[str, str]:
    return {"authorization": f"Bearer {account.token}"}
