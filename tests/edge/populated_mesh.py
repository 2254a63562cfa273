"""A mesh of one's own with one of everything in it, for tests that make things up."""

import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

Operation = Any
"""An operation of schemathesis."""


class PopulatedMesh:
    """The edge of a mesh, tokens by kind of caller, and `ids` of things that exist by the name of their field."""

    def __init__(self, edge: httpx.Client, mesh: dict[str, Any]) -> None:
        self._http = edge
        self.edge: str = mesh["edge"]
        self._mesh = mesh
        credentials = (mesh["partner"]["client_id"], mesh["partner"]["client_secret"])
        granted = edge.post("/oauth2/token", data={"grant_type": "client_credentials"}, auth=credentials).json()
        self._partner = f"Bearer {granted['access_token']}"
        self._operator = self._sign_in()
        self.ids = self.fresh() | {"endpoint_id": self.endpoint()}

    def callers(self, operation: Operation) -> list[dict[str, str]]:
        """Authorization headers that the operation takes, one for each kind of caller that we are; one empty for none."""
        if self.call("GET", "/v1/users/me", None, {"authorization": self._operator}).status_code == 401:
            self._operator = self._sign_in()  # an operation that ends sessions was called
        kinds = operation.definition.raw["x-weft"]["callers"]
        return [self.caller(kind) for kind in kinds if kind in ("PARTNER", "OPERATOR", "USER")] or [{}]

    def caller(self, kind: str) -> dict[str, str]:
        """The authorization header of a kind of caller."""
        return {"authorization": self._partner if kind == "PARTNER" else self._operator}

    def _sign_in(self) -> str:
        # From another network than the made-up sign-ins, which have to wait.
        with httpx.Client(base_url=self.edge, transport=httpx.HTTPTransport(local_address="127.77.0.1")) as own:
            signed_in = own.post("/v1/auth:signIn", json=self._mesh["operator"])
        assert signed_in.status_code == 200, signed_in.text
        return f"Bearer {signed_in.json()['accessToken']}"

    def fresh(self, paid: dict[str, Any] | None = None) -> dict[str, str]:
        """Makes one of everything; a partner of its own, so that the caller's stays as it is.

        `paid` are fields of the order, which is then waited for until its payment has been asked for.
        """
        price = {"amountMinor": "1250", "currency": "EUR"}
        product = self._create("/v1/products", {"title": "Kettle", "price": price, "stock": "1000"}, self._partner)
        user = self._create("/v1/users", {"email": f"{uuid.uuid4().hex}@example.com"}, self._partner)
        line = {"productId": product["productId"], "quantity": 1}
        wanted = {"customerId": user["userId"], "paymentMethod": "pm_sandbox_ok", "lines": [line]} | (paid or {})
        order = self._create("/v1/orders", wanted, self._partner)
        passing = ["PENDING", "PROCESSING", *([] if (paid or {}).get("capture") else ["AUTHORIZED"])]
        while paid and self._payment(order).removeprefix("PAYMENT_STATE_") in passing:
            time.sleep(0.05)
        named = {"displayName": "Other", "scopes": ["orders.read"]}
        partner = self._create("/v1/partners", named | {"plan": "PLAN_FREE"}, self._operator)
        client = self._create(f"/v1/partners/{partner['partnerId']}/clients", named, self._operator, expect=200)
        return {
            "product_id": product["productId"],
            "user_id": user["userId"],
            "customer_id": user["userId"],
            "order_id": order["orderId"],
            "payment_id": order["paymentId"],
            "partner_id": partner["partnerId"],
            "client_id": client["clientId"],
        }

    def endpoint(self) -> str:
        """Makes an endpoint, of which a partner may have twenty; its id."""
        made = self._create("/v1/webhooks", {"url": "https://127.0.0.1:9/hook"}, self._partner)
        return str(made["endpointId"])

    def call(
        self, method: str, path: str, body: Any, headers: dict[str, str], expect: int | None = None
    ) -> httpx.Response:
        """A call over REST."""
        answer = self._http.request(method, path, json=body, headers=headers)
        assert expect in (None, answer.status_code), answer.text
        return answer

    def _payment(self, order: dict[str, Any]) -> str:
        headers = {"authorization": self._partner}
        state: str = self.call("GET", f"/v1/payments/{order['paymentId']}", None, headers, expect=200).json()["state"]
        return state

    def _create(self, path: str, body: dict[str, Any], token: str, expect: int = 201) -> dict[str, Any]:
        headers = {"authorization": token, "idempotency-key": str(uuid.uuid4())}
        made: dict[str, Any] = self.call("POST", path, body, headers, expect=expect).json()
        return made


@contextmanager
def populated_mesh(mesh: dict[str, Any]) -> Iterator[PopulatedMesh]:
    """Fill a mesh, given the content of its mesh file."""
    with httpx.Client(base_url=mesh["edge"], timeout=20) as edge:
        yield PopulatedMesh(edge, mesh)


def real(node: Any, ids: dict[str, str]) -> Any:
    """The same JSON, with ids of things that exist where the name of a field is known."""
    if isinstance(node, dict):
        known = {
            name: ids[_snake(name)] for name, value in node.items() if isinstance(value, str) and _snake(name) in ids
        }
        return {name: known.get(name) or real(value, ids) for name, value in node.items()}
    if isinstance(node, list):
        return [real(value, ids) for value in node]
    return node


def _snake(name: str) -> str:
    return re.sub(r"([A-Z])", lambda match: f"_{match[1].lower()}", name)
