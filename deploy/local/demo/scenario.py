"""The demo scenario: from signing up to a delivered notification, through the edge only."""

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any, TypeVar

import httpx

from deploy.local.demo import mailbox, trace_tree
from deploy.local.demo.trace_tree import Trace

PAYMENT_METHOD = "pm_sandbox_ok"
PASSWORD = "correct horse battery staple"  # noqa: S105 - of accounts that the scenario makes
STEP_TIMEOUT_S = 30.0
"""For something to happen; an idle mesh takes well below one second."""
T = TypeVar("T")
_TRANSIENT = (429, 502, 503, 504)


class ScenarioError(Exception):
    """A step did not go as it should. The message says which and what came instead."""


@dataclass(frozen=True)
class Account:
    """A signed-in customer, or a partner's client: `token` is its bearer token."""

    token: str
    user_id: str = ""
    email: str = ""


@dataclass(frozen=True)
class Placed:
    """An order as it was acknowledged, and the trace of that call."""

    order: dict[str, Any]
    trace_id: str
    sampled: bool = True
    """Whether the call was traced."""


class Scenario:
    """Steps against the edge of a mesh, given its mesh file's content. `report` is called with each step, request and reply."""

    def __init__(self, mesh: dict[str, Any], report: Callable[[str], None] = lambda _: None, edge: str = "") -> None:
        self.mesh = mesh
        self._report = report
        self._began = time.time()
        self._http = httpx.Client(base_url=edge or mesh["edge"], timeout=15, trust_env=False)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # Steps of a customer

    def sign_up(self) -> Account:
        """A new customer: signs up, reads the mail, verifies, signs in."""
        address = f"ada.{uuid.uuid4().hex[:12]}@customer.example"
        self._report("A customer signs up")
        self.call("POST", "/v1/auth:signUp", {"email": address, "password": PASSWORD, "displayName": "Ada"}, expect=202)
        self._report("The verification mail arrives")
        code = self.wait_for("the verification mail", lambda: self.code_for(address))
        self._report("The customer verifies the address")
        self._verify(address, code)
        self._report("The customer signs in")
        pair = self.call("POST", "/v1/auth:signIn", {"email": address, "password": PASSWORD}).json()
        return Account(pair["accessToken"], pair["userId"], address)

    def _verify(self, address: str, code: str) -> None:
        reply = self.call(
            "POST", "/v1/auth:verifyEmail", {"email": address, "password": PASSWORD, "code": code}, expect=None
        )
        if reply.status_code not in (204, 400):  # 400: a call before this one, whose answer was lost, has used the code
            raise ScenarioError(f"POST /v1/auth:verifyEmail answered {reply.status_code}: {reply.text}")

    def products(self) -> list[dict[str, Any]]:
        """What can be bought."""
        self._report("The catalogue")
        found: list[dict[str, Any]] = self.call("GET", "/v1/products?pageSize=50").json()["products"]
        found = [product for product in found if product["active"] and int(product["stock"])]
        if not found:
            raise ScenarioError("The catalogue is empty: `make run` should have filled it.")
        return found

    def place_order(
        self, account: Account, product: dict[str, Any], customer_id: str = "", key: str = "", quantity: int = 1
    ) -> Placed:
        """An order for a product; the answer is PENDING."""
        body = {
            "lines": [{"productId": product["productId"], "quantity": quantity}],
            "paymentMethod": PAYMENT_METHOD,
            **({"customerId": customer_id} if customer_id else {}),
        }
        reply = self.call("POST", "/v1/orders", body, account, key=key or str(uuid.uuid4()), expect=201)
        order = reply.json()
        if order["state"] != "ORDER_STATE_PENDING":
            raise ScenarioError(f"The new order is {order['state']}, not ORDER_STATE_PENDING.")
        _, trace_id, _, flags = (reply.headers.get("traceresponse") or "---00").split("-")
        return Placed(order, trace_id, flags == "01")

    def wait_until_paid(self, account: Account, order_id: str) -> dict[str, Any]:
        """The order once it is CONFIRMED and its payment CAPTURED."""

        def paid() -> dict[str, Any] | None:
            order: dict[str, Any] = self.call("GET", f"/v1/orders/{order_id}", account=account, quiet=True).json()
            if order["state"] in ("ORDER_STATE_CANCELLED", "ORDER_STATE_EXPIRED"):
                raise ScenarioError(f"Order {order_id} is {order['state']}: {order.get('reason')}.")
            done = (order["state"], order["paymentState"]) == ("ORDER_STATE_CONFIRMED", "PAYMENT_STATE_CAPTURED")
            return order if done else None

        order = self.wait_for(f"order {order_id} to be confirmed and captured", paid)
        self.call("GET", f"/v1/orders/{order_id}", account=account)
        self.call("GET", f"/v1/payments/{order['paymentId']}", account=account)
        return order

    def wait_for_confirmation(self, address: str, order_id: str) -> str:
        """The subject of the mail that confirms the order."""

        def subject() -> str | None:
            for mail in self.mails(address):
                if order_id in mailbox.text(mail):
                    return str(mail["Subject"])
            return None

        found = self.wait_for(f"the confirmation mail of {order_id}", subject)
        self._report(f"  mail: {found!r}")
        return found

    def wait_for_notification(self, account: Account, order_id: str, kind: str = "order.confirmed") -> dict[str, Any]:
        """The notification about an order in the inbox, once it is there."""

        def notification() -> dict[str, Any] | None:
            items = self.call("GET", "/v1/inbox", account=account, quiet=True).json()["items"]
            return next((item for item in items if (item["subjectId"], item["type"]) == (order_id, kind)), None)

        found = self.wait_for(f"the notification {kind} about {order_id} in the inbox", notification)
        self.call("GET", "/v1/inbox", account=account)
        return found

    # Steps of a partner

    def partner_token(self) -> Account:
        """A partner's client gets a token, as OAuth2 says (RFC 6749, 4.4)."""
        secrets = self.mesh["partner"]
        self._report("A partner's client asks for a token")

        def ask() -> httpx.Response:
            return self._http.post(
                "/oauth2/token",
                data={"grant_type": "client_credentials"},
                auth=(secrets["client_id"], secrets["client_secret"]),
            )

        self._report("  POST /oauth2/token grant_type=client_credentials")
        return Account(self._answer("POST /oauth2/token", ask, 200, quiet=False).json()["access_token"])

    def partner_customer(self, partner: Account) -> Account:
        """A customer of the partner's own."""
        name = uuid.uuid4().hex[:12]
        body = {"email": f"grace.{name}@partner.example", "displayName": "Grace", "externalReference": name}
        user = self.call("POST", "/v1/users", body, partner, key=str(uuid.uuid4()), expect=201).json()
        return Account(partner.token, user["userId"], body["email"])

    # What steps are made of

    def call(
        self,
        verb: str,
        path: str,
        body: dict[str, Any] | None = None,
        account: Account | None = None,
        *,
        key: str = "",
        expect: int | None = 200,
        quiet: bool = False,
    ) -> httpx.Response:
        """One call, repeated while the mesh heals; any answer will do where `expect` is None."""
        headers = {"authorization": f"Bearer {account.token}"} if account else {}
        if key:
            headers["idempotency-key"] = key
        if not quiet:
            shown = f" {json.dumps(mask(body), ensure_ascii=False)}" if body is not None else ""
            self._report(f"  {verb} {path}{f'  idempotency-key: {key}' if key else ''}{shown}")
        return self._answer(
            f"{verb} {path}", lambda: self._http.request(verb, path, json=body, headers=headers), expect, quiet
        )

    def _answer(self, name: str, ask: Callable[[], httpx.Response], expect: int | None, quiet: bool) -> httpx.Response:
        ends = time.monotonic() + STEP_TIMEOUT_S
        while True:
            try:
                reply = ask()
                transient = reply.status_code in _TRANSIENT
                what = f"{reply.status_code} {reply.text}"
            except httpx.TransportError as error:
                transient, what = True, repr(error)
            if not transient:
                break
            if time.monotonic() > ends:
                raise ScenarioError(f"{name} has failed for {STEP_TIMEOUT_S:.0f} s: {what}")
            time.sleep(0.2)
        if not quiet:
            shown = json.dumps(mask(reply.json()), ensure_ascii=False) if reply.content else ""
            self._report(f"  → {reply.status_code} {shown}")
        if expect is not None and reply.status_code != expect:
            raise ScenarioError(f"{name} answered {reply.status_code}, not {expect}: {reply.text}")
        return reply

    def code_for(self, address: str) -> str | None:
        """The newest verification code that was mailed to an address."""
        codes = [mailbox.code(mail) for mail in self.mails(address)]
        return next((code for code in reversed(codes) if code), None)

    def mails(self, address: str) -> list[EmailMessage]:
        """What an address got since the scenario began."""
        return mailbox.mails(Path(self.mesh["mail"]), address, self._began)

    def wait_for_trace(self, trace_id: str, complete: Callable[[Trace], bool]) -> Trace:
        """The trace once it is complete."""

        def whole() -> Trace | None:
            trace = trace_tree.read(Path(self.mesh["traces"]), trace_id)
            return trace if complete(trace) else None

        return self.wait_for(f"the spans of trace {trace_id}", whole)

    def wait_for(self, what: str, look: Callable[[], T | None]) -> T:
        """What `look` finds, as soon as it finds something. Raises `ScenarioError` after `STEP_TIMEOUT_S`."""
        ends = time.monotonic() + STEP_TIMEOUT_S
        while not (found := look()):
            if time.monotonic() > ends:
                raise ScenarioError(f"{what} has not come within {STEP_TIMEOUT_S:.0f} s.")
            time.sleep(0.05)
        return found


_HIDDEN = {"password", "code", "accesstoken", "access_token", "refreshtoken", "refresh_token", "client_secret"}


def mask(value: Any) -> Any:
    """A JSON value with its secrets hidden."""
    if isinstance(value, dict):
        return {k: "…" if k.lower() in _HIDDEN and isinstance(v, str) else mask(v) for k, v in value.items()}
    if isinstance(value, list):
        return [mask(item) for item in value]
    return value
