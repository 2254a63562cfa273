"""Callers of a mesh that is made to fail: they go on whatever is answered, or is not."""

import asyncio
import contextlib
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import httpx

from deploy.local.demo.scenario import PAYMENT_METHOD, Account, Scenario

ACCOUNTS = 14
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

    def forge_events(self, count: int) -> None:
        """Somebody claims to be a provider, once a second: payments that were captured, mails that were not wanted."""
        headers = {"content-type": "application/json"}
        with httpx.Client(base_url=self._edge, timeout=10, trust_env=False) as http:
            for _ in range(count):
                for path in ("/v1/payments/events/sandbox", "/v1/providers/sendgrid/events"):
                    assert http.post(path, content=b"[]", headers=headers).status_code == 400
                time.sleep(1)


class Crowd:
    """Streams of orders and callers who ask for themselves, as many as one replica can bear, from addresses of their own."""

    def __init__(self, edge: str, accounts: Sequence[Account]) -> None:
        self._edge = edge.replace("localhost", "127.0.0.1")
        self._accounts = accounts

    @contextlib.contextmanager
    def there(self, streams: int, callers: int) -> Iterator[None]:
        """So many streams of each account, and so many callers in all, by a thread of their own."""
        over = threading.Event()
        thread = threading.Thread(target=lambda: asyncio.run(self._run(streams, callers, over)), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(30)

    async def _run(self, streams: int, callers: int, over: threading.Event) -> None:
        async with contextlib.AsyncExitStack() as stack:
            # An edge bounds what one address may hold.
            clients = [await stack.enter_async_context(self._client(f"127.0.0.{n}")) for n in (2, 3, 4, 5)]
            watching = [
                asyncio.create_task(self._watch(clients[number % 2], account, 100 + number * 13 % 190))
                for number, account in enumerate(self._accounts * streams)
            ]
            asking = [
                asyncio.create_task(
                    self._ask(clients[2 + number % 2], self._accounts[number % len(self._accounts)], over)
                )
                for number in range(callers)
            ]
            await asyncio.to_thread(over.wait)
            await asyncio.gather(*asking)
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)

    def _client(self, address: str) -> httpx.AsyncClient:
        limits = httpx.Limits(max_connections=200)
        transport = httpx.AsyncHTTPTransport(local_address=address, limits=limits)
        return httpx.AsyncClient(base_url=self._edge, transport=transport, timeout=30)

    async def _watch(self, http: httpx.AsyncClient, account: Account, seconds: int) -> None:
        headers = {**_bearer(account), "grpc-timeout": f"{seconds}S"}
        while True:
            with contextlib.suppress(httpx.HTTPError):
                async with http.stream("GET", "/v1/orders:watch", headers=headers) as answer:
                    async for _ in answer.aiter_raw():
                        pass
            await asyncio.sleep(0.1)

    async def _ask(self, http: httpx.AsyncClient, account: Account, over: threading.Event) -> None:
        while not over.is_set():  # to be cancelled while it connects would leave a socket
            with contextlib.suppress(httpx.HTTPError):
                await http.get(f"/v1/users/{account.user_id}", headers=_bearer(account))
            await asyncio.sleep(0.1)


def _bearer(account: Account) -> dict[str, str]:
    return {"authorization": f"Bearer {account.token}"}
