"""Customers of an order service that dies and comes back: each pays, changes its mind, gets goods and money back."""

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any

from google.api.httpbody_pb2 import HttpBody
from weft.order.v1 import (
    order_pb2,
    order_service_pb2,
    override_pb2,
    payment_pb2,
    payment_service_pb2,
    shipping_address_pb2,
)

from tests.harness import Issuer
from tests.order.payments.stripe_fake import StripeFake
from tests.order.payments.till import ACTION_REQUIRED, AUTHORIZED, CAPTURED, FAILED, NOT_ASKED, PENDING, PROCESSING
from tests.soak.sagas.goods import Goods
from tests.soak.sagas.persistent import Persistent
from tests.soak.sagas.service import Service

METHODS = ["pm_card_ok"] * 7 + ["pm_card_action"] * 2 + ["pm_card_declined", "pm_none"]
PRICES = {"prd_01k00000000000000000000000": 999, "prd_01k00000000000000000000001": 1450}
"""Of the products; neither they nor their taxes are round."""
Act = Callable[[order_pb2.Order], Any]


class Shoppers:
    """`placed`: the ids of acknowledged orders. `expire` makes an order overdue."""

    def __init__(self, issuer: Issuer, fake: StripeFake, service: Service, expire: Callable[[str], None]) -> None:
        self.calls = Persistent(issuer, service)
        self._goods = Goods(self.calls)
        self._fake = fake
        self._expire = expire
        self.placed: list[str] = []
        self.delivered = 0

    async def journey(self) -> None:
        """One order, to where its customer leaves it."""
        order = await self._place()
        fate = random.random()
        if fate < 0.08:
            await self._cancel(order)
        elif fate < 0.13:
            self._expire(order.order_id)
        elif fate < 0.16:
            await self._mark_paid(order)  # most are too late for that
        order = await self._decided(order)
        if order.payment_state == ACTION_REQUIRED and random.random() < 0.8:
            self._act(order.payment_id, succeeds=random.random() < 0.8)
            await self._confirm(order, "")
            order = await self._decided(order, ACTION_REQUIRED)
        if order.payment_state == FAILED and random.random() < 0.85:
            again = self._mark_paid if random.random() < 0.3 else self._pay_again
            await again(order)
            order = await self._decided(order, FAILED)
        await self._go_on(order)

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

    async def _place(self) -> order_pb2.Order:
        products = random.sample([*PRICES], random.choice([1, 2]))
        request = order_service_pb2.CreateOrderRequest(
            lines=[order_pb2.OrderLineInput(product_id=p, quantity=random.randint(1, 3)) for p in products],
            payment_method=random.choice(METHODS),
            capture=random.choice([payment_pb2.CAPTURE_MODE_AT_ONCE, payment_pb2.CAPTURE_MODE_AT_SHIPMENT]),
        )
        if random.random() < 0.5:  # taxed and sent
            request.shipping_address.CopyFrom(
                shipping_address_pb2.ShippingAddress(
                    recipient="Ada", lines=["Ringstrasse 1"], locality="Wien", postal_code="1010", region_code="AT"
                )
            )
        order: order_pb2.Order = await self.calls.buyer("CreateOrder", request)
        self.placed.append(order.order_id)
        return order

    async def _go_on(self, order: order_pb2.Order) -> None:
        """An order that is authorized or paid: its money, its goods, both, in any order, and something at the same time."""
        if order.payment_state == AUTHORIZED:
            await random.choice([self._capture, self._goods.ship, self._goods.ship, self._cancel, self._release])(order)
            order = await self._decided(order, AUTHORIZED)
        if order.payment_state != CAPTURED:
            return
        acts: list[Act] = [self._refund, self._dispute, self._cancel, self._release]
        for _ in range(random.choice([0, 0, 1, 2])):
            await random.choice(acts)(order)
        if random.random() < 0.75:
            await self._goods.ship(order)
            await self._meanwhile(self._goods.deliver, order)
            if random.random() < 0.6:
                await self._meanwhile(self._goods.send_back, order)
            if random.random() < 0.2:
                await self._goods.send_back(order)
        if random.random() < 0.5:
            await self._settle_by_hand(order)

    async def _meanwhile(self, act: Act, order: order_pb2.Order) -> None:
        """An act; now and then with money that moves at the same time."""
        other = [random.choice([self._refund, self._dispute])] if random.random() < 0.25 else []
        await asyncio.gather(*(do(order) for do in (act, *other)))

    async def _deliver(self, event: dict[str, Any]) -> None:
        for _ in range(random.choice([1, 1, 2])):
            body, signature = StripeFake.signed(event, int(time.time()))
            request = payment_service_pb2.HandleProviderEventRequest(provider="stripe", body=HttpBody(data=body))
            await self.calls.provider("HandleProviderEvent", request, ("stripe-signature", signature))

    async def _decided(self, order: order_pb2.Order, *before: int) -> order_pb2.Order:
        """The order, once its payment is in another state than these and the provider has spoken; or after a while, as it is."""
        request = order_service_pb2.GetOrderRequest(order_id=order.order_id)
        for _ in range(240):
            order = await self.calls.buyer("GetOrder", request)
            ended = order.state not in (PENDING, order_pb2.ORDER_STATE_CONFIRMED)
            if ended or order.payment_state not in (NOT_ASKED, PROCESSING, *before):
                break
            await asyncio.sleep(0.5)
        return order

    def _act(self, payment_id: str, succeeds: bool) -> None:
        for intent in self._fake.intents.values():
            if intent["metadata"]["payment_id"] == payment_id and intent["status"] == "requires_action":
                self._fake.act(intent["id"], succeeds)

    async def _pay_again(self, order: order_pb2.Order) -> None:
        await self._confirm(order, "pm_card_ok")

    async def _confirm(self, order: order_pb2.Order, method: str) -> None:
        request = payment_service_pb2.ConfirmPaymentRequest(payment_id=order.payment_id, payment_method=method)
        await self.calls.buyer("ConfirmPayment", request)

    async def _cancel(self, order: order_pb2.Order) -> None:
        await self.calls.buyer("CancelOrder", order_service_pb2.CancelOrderRequest(order_id=order.order_id))

    async def _capture(self, order: order_pb2.Order) -> None:
        amount = random.choice([0, 700, order.total.amount_minor])
        request = payment_service_pb2.CapturePaymentRequest(payment_id=order.payment_id, amount_minor=amount)
        await self.calls.operator("CapturePayment", request)

    async def _refund(self, order: order_pb2.Order) -> None:
        """Two at once, sometimes for more than there is."""
        total = order.total.amount_minor
        amounts = random.choice([(333,), (0,), (300, 500), (total * 6 // 10, total * 6 // 10)])
        one = payment_service_pb2.RefundPaymentRequest
        requests = [one(payment_id=order.payment_id, amount_minor=amount) for amount in amounts]
        await asyncio.gather(*(self.calls.operator("RefundPayment", request) for request in requests))

    async def _dispute(self, order: order_pb2.Order) -> None:
        """The bank takes the money; half of the time it gives it back."""
        for intent in [*self._fake.intents.values()]:
            if intent["metadata"]["payment_id"] == order.payment_id and intent["status"] == "succeeded":
                self._fake.dispute(intent["id"])
                await asyncio.sleep(random.choice([0, 0.5, 2]))
                if random.random() < 0.5:
                    self._fake.dispute(intent["id"], "won")

    async def _mark_paid(self, order: order_pb2.Order) -> None:
        request = override_pb2.OverrideOrderRequest(order_id=order.order_id, reason="by bank transfer")
        request.mark_paid.reference = order.order_number
        await self.calls.operator("OverrideOrder", request)

    async def _release(self, order: order_pb2.Order) -> None:
        request = override_pb2.OverrideOrderRequest(order_id=order.order_id, reason="not wanted any more")
        request.release.SetInParent()
        await self.calls.operator("OverrideOrder", request)

    async def _settle_by_hand(self, order: order_pb2.Order) -> None:
        """Give back what came by bank transfer; refused for what a provider collected."""
        request = override_pb2.OverrideOrderRequest(order_id=order.order_id, reason="sent back")
        request.refund.amount_minor = random.choice([0, 500])
        await self.calls.operator("OverrideOrder", request)
