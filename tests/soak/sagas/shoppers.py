"""Customers of an order service that dies and comes back: each pays, changes its mind, gets money back, and never gives up."""

import asyncio
import random
import secrets
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import grpc
from google.api.httpbody_pb2 import HttpBody
from weft.order.v1 import (
    fulfilment_pb2,
    order_pb2,
    order_service_pb2,
    order_service_pb2_grpc,
    payment_pb2,
    payment_service_pb2,
    payment_service_pb2_grpc,
)

from chassis import ids
from tests.harness import Issuer, refusal
from tests.order.payments.stripe_fake import StripeFake
from tests.order.payments.till import ACTION_REQUIRED, AUTHORIZED, CAPTURED, FAILED, NOT_ASKED, PENDING, PROCESSING
from tests.order.shop import SCOPES, metadata

AGAIN = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.CANCELLED,
)
METHODS = ["pm_card_ok"] * 6 + ["pm_card_action"] * 2 + ["pm_card_declined", "pm_none"]
PRICE = 1000


class Shoppers:
    """`channel` is the service's as it runs now. `placed`: the ids of acknowledged orders."""

    def __init__(self, issuer: Issuer, fake: StripeFake, product_id: str) -> None:
        self._issuer = issuer
        self._operator_id, self._user_id = ids.new("usr"), ids.new("usr")
        self._fake = fake
        self._product_id = product_id
        self.channel: grpc.aio.Channel | None = None
        self.placed: list[str] = []
        self.seen: Counter[str] = Counter()
        self.delivered = 0

    @property
    def _operator(self) -> str:
        """A token of now: a run takes longer than one lasts."""
        return self._issuer.operator(self._operator_id, SCOPES)

    @property
    def _user(self) -> str:
        return self._issuer.user(self._user_id)

    async def journey(self, expire: Callable[[str], None]) -> None:
        """One order, to where its customer leaves it."""
        capture = random.choice([payment_pb2.CAPTURE_MODE_AT_ONCE, payment_pb2.CAPTURE_MODE_AT_SHIPMENT])
        request = order_service_pb2.CreateOrderRequest(
            lines=[order_pb2.OrderLineInput(product_id=self._product_id, quantity=1)],
            payment_method=random.choice(METHODS),
            capture=capture,
        )
        order = await self._call("CreateOrder", request, self._user)
        assert order is not None
        self.placed.append(order.order_id)
        fate = random.random()
        if fate < 0.08:
            await self._cancel(order)
        elif fate < 0.13:
            expire(order.order_id)
        state = await self._decided(order)
        if state == ACTION_REQUIRED and random.random() < 0.8:
            self._act(order.payment_id, succeeds=random.random() < 0.8)
            await self._confirm(order, "")
            state = await self._decided(order, ACTION_REQUIRED)
        if state == FAILED and random.random() < 0.8:
            await self._confirm(order, "pm_card_ok")
            state = await self._decided(order, FAILED)
        if state == AUTHORIZED and capture == payment_pb2.CAPTURE_MODE_AT_SHIPMENT:
            await random.choice([self._capture, self._capture, self._ship, self._cancel])(order)
            state = await self._decided(order, AUTHORIZED)
        if state == CAPTURED:
            await random.choice([self._refund, self._refund, self._cancel, self._dispute, self._ship])(order)
            if random.random() < 0.3:
                await random.choice([self._refund, self._cancel])(order)

    async def deliver_events(self) -> None:
        """Those of the provider: in any order, some twice, each again until it is answered."""
        pending: list[dict[str, Any]] = []
        taken = 0
        while True:
            pending += self._fake.events[taken:]
            taken = len(self._fake.events)
            random.shuffle(pending)
            batch, pending = pending[:8], pending[8:]
            await asyncio.gather(*(self._deliver(event) for event in batch))
            self.delivered = taken - len(pending)
            await asyncio.sleep(0.05)

    async def _deliver(self, event: dict[str, Any]) -> None:
        for _ in range(random.choice([1, 1, 2])):
            body, signature = StripeFake.signed(event, int(time.time()))
            request = payment_service_pb2.HandleProviderEventRequest(provider="stripe", body=HttpBody(data=body))
            await self._call("HandleProviderEvent", request, header=("stripe-signature", signature))

    async def _decided(self, order: order_pb2.Order, *before: int) -> int:
        """The payment's state, once it is another than these and the provider has spoken; or after a while, as it is."""
        request = order_service_pb2.GetOrderRequest(order_id=order.order_id)
        found = order
        for _ in range(240):
            found = await self._call("GetOrder", request, self._user)
            ended = found.state not in (PENDING, order_pb2.ORDER_STATE_CONFIRMED)
            if ended or found.payment_state not in (NOT_ASKED, PROCESSING, *before):
                break
            await asyncio.sleep(0.5)
        return found.payment_state

    def _act(self, payment_id: str, succeeds: bool) -> None:
        for intent in self._fake.intents.values():
            if intent["metadata"]["payment_id"] == payment_id and intent["status"] == "requires_action":
                self._fake.act(intent["id"], succeeds)

    async def _confirm(self, order: order_pb2.Order, method: str) -> None:
        request = payment_service_pb2.ConfirmPaymentRequest(payment_id=order.payment_id, payment_method=method)
        await self._call("ConfirmPayment", request, self._user)

    async def _cancel(self, order: order_pb2.Order) -> None:
        await self._call("CancelOrder", order_service_pb2.CancelOrderRequest(order_id=order.order_id), self._user)

    async def _capture(self, order: order_pb2.Order) -> None:
        amount = random.choice([0, 700, PRICE])
        request = payment_service_pb2.CapturePaymentRequest(payment_id=order.payment_id, amount_minor=amount)
        await self._call("CapturePayment", request, self._operator)

    async def _ship(self, order: order_pb2.Order) -> None:
        await self._call("ShipOrder", fulfilment_pb2.ShipOrderRequest(order_id=order.order_id), self._operator)

    async def _refund(self, order: order_pb2.Order) -> None:
        """Two at once, sometimes for more than there is."""
        await asyncio.gather(
            *(
                self._call(
                    "RefundPayment",
                    payment_service_pb2.RefundPaymentRequest(payment_id=order.payment_id, amount_minor=amount),
                    self._operator,
                )
                for amount in random.choice([(333,), (0,), (300, 500), (600, 600)])
            )
        )

    async def _dispute(self, order: order_pb2.Order) -> None:
        for intent in self._fake.intents.values():
            if intent["metadata"]["payment_id"] == order.payment_id and intent["status"] == "succeeded":
                self._fake.dispute(intent["id"])

    async def _call(self, method: str, request: Any, token: str = "", header: tuple[str, str] | None = None) -> Any:
        """The reply, however often the service dies meanwhile; None for a typed refusal."""
        given = [*metadata(token, secrets.token_hex(8) if token else ""), *([header] if header else [])]
        while True:
            channel = self.channel
            if channel is None:
                await asyncio.sleep(0.1)
                continue
            stubs = (order_service_pb2_grpc.OrderServiceStub, payment_service_pb2_grpc.PaymentServiceStub)
            call = next(getattr(stub(channel), method) for stub in stubs if hasattr(stub(channel), method))
            try:
                return await call(request, metadata=given, timeout=5)
            except grpc.RpcError as error:
                found = refusal(error)
                if error.code() not in AGAIN:
                    if not found.reason:
                        raise
                    self.seen[found.reason] += 1
                    return None
            except asyncio.CancelledError:
                if self.channel is channel:
                    raise  # this task's; otherwise the channel was closed under the call
            await asyncio.sleep(0.1)
