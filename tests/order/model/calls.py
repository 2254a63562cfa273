"""The calls of the model: one verb each, by whom it is for."""

import asyncio
import json
import secrets
from collections.abc import Callable
from typing import Any

import grpc
from google.api.httpbody_pb2 import HttpBody
from google.protobuf import json_format
from weft.order.v1 import (
    charge_pb2,
    charge_service_pb2,
    charge_service_pb2_grpc,
    export_pb2,
    fulfilment_pb2,
    order_pb2,
    order_service_pb2,
    override_pb2,
    payment_pb2,
    product_pb2,
    product_service_pb2,
    return_pb2,
    update_pb2,
)
from weft.order.v1 import payment_service_pb2 as pb
from weft.order.v1.money_pb2 import Money
from weft.order.v1.shipping_address_pb2 import ShippingAddress

from chassis import ids
from services.order.payments.provider_events import sign
from tests.harness import assert_refused, refusal
from tests.order.payments.till import Till
from tests.order.shop import Shop, metadata

BUYERS = ("cancel", "confirm", "update", "request_return")
OPERATORS = (
    "capture",
    "refund",
    "ship",
    "deliver",
    "mark_paid",
    "release",
    "give_back",
    "approve",
    "refuse",
    "receive",
)
VERBS = (*BUYERS, *OPERATORS)
_TYPED = (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.ABORTED)


async def answered(call: Callable[[], Any]) -> tuple[Any, str]:
    """The reply, or the reason of a refusal, which must be typed."""
    try:
        return await call(), ""
    except grpc.RpcError as error:
        if error.code() not in _TYPED or not refusal(error).reason:
            raise
        return None, refusal(error).reason


def make(till: Till, verb: str, order: order_pb2.Order, token: str, **more: Any) -> Any:
    """Awaitable. `more`: `amount`, `method`, `units`, `etag` and `note`, where the verb has them."""
    shop, product = till.shop, order.lines[0].product_id
    by = metadata(token if verb in BUYERS else shop.operator, secrets.token_hex(8))
    amount, units = more.get("amount", 0), more.get("units", 0)
    lines = [fulfilment_pb2.FulfilmentLineInput(product_id=product, quantity=units)] if units else []
    payment, named = {"payment_id": order.payment_id}, {"order_id": order.order_id}
    which = {**named, "return_id": order.returns[-1].return_id if order.returns else ids.new("rtn")}
    match verb:
        case "cancel":
            return shop.cancel(order.order_id, token)
        case "confirm":
            request = pb.ConfirmPaymentRequest(payment_method=more.get("method", ""), **payment)
            return shop.payments.ConfirmPayment(request, metadata=metadata(token))
        case "update":
            said = update_pb2.OrderDetails(etag=more.get("etag", ""), note=more.get("note", ""), **named)
            return shop.orders.UpdateOrder(update_pb2.UpdateOrderRequest(order=said), metadata=metadata(token))
        case "capture":
            return shop.payments.CapturePayment(pb.CapturePaymentRequest(amount_minor=amount, **payment), metadata=by)
        case "refund":
            return shop.payments.RefundPayment(pb.RefundPaymentRequest(amount_minor=amount, **payment), metadata=by)
        case "ship":
            return shop.orders.ShipOrder(fulfilment_pb2.ShipOrderRequest(lines=lines, **named), metadata=by)
        case "deliver":
            return shop.orders.DeliverOrder(fulfilment_pb2.DeliverOrderRequest(lines=lines, **named), metadata=by)
        case "request_return":
            return shop.orders.RequestReturn(return_pb2.RequestReturnRequest(lines=lines, **named), metadata=by)
        case "approve":
            return shop.orders.ApproveReturn(return_pb2.ApproveReturnRequest(**which), metadata=by)
        case "refuse":
            return shop.orders.RefuseReturn(return_pb2.RefuseReturnRequest(reason="worn", **which), metadata=by)
        case "receive":
            return shop.orders.ReceiveReturn(return_pb2.ReceiveReturnRequest(lines=lines, **which), metadata=by)
        case _:
            asked = override_pb2.OverrideOrderRequest(reason="by hand", **named)
            if verb == "give_back":
                asked.refund.amount_minor = amount
            else:
                getattr(asked, verb).SetInParent()
            return shop.orders.OverrideOrder(asked, metadata=by)


def quote(shop: Shop, product: str, units: int, token: str, region: str) -> Any:
    """Awaitable."""
    lines = [order_pb2.OrderLineInput(product_id=product, quantity=units)]
    request = order_service_pb2.QuoteOrderRequest(lines=lines, shipping_address=_address(region))
    return shop.orders.QuoteOrder(request, metadata=metadata(token))


def order(shop: Shop, product: str, units: int, token: str, region: str, total: int | None, **more: Any) -> Any:
    """Awaitable. `total`: what the buyer was shown."""
    expected = None if total is None else Money(amount_minor=total, currency="EUR")
    more = {"shipping_address": _address(region), "expected_total": expected, **more}
    return shop.order((product, units), token=token, **more)


def _address(region: str) -> ShippingAddress | None:
    if not region:
        return None
    return ShippingAddress(recipient="Ada", lines=["Gasse 7"], locality="Wien", region_code=region)


async def recharge(shop: Shop, rows: list[charge_pb2.Charge]) -> None:
    """An operator replaces the table of charges."""
    request = charge_service_pb2.UpdateChargesRequest(table=charge_pb2.ChargeTable(charges=rows))
    request.update_mask.paths.append("charges")
    stub = charge_service_pb2_grpc.ChargeServiceStub(shop.running.channel)
    await stub.UpdateCharges(request, metadata=metadata(shop.operator))


async def reprice(shop: Shop, product: str, minor: int) -> None:
    """An operator changes a price."""
    changed = product_pb2.Product(product_id=product, price=Money(amount_minor=minor, currency="EUR"))
    request = product_service_pb2.UpdateProductRequest(product=changed)
    await shop.products.UpdateProduct(request, metadata=metadata(shop.operator))


async def adjust(shop: Shop, product: str, units: int) -> bool:
    """Whether it was done: stock is never below zero."""
    request = product_service_pb2.AdjustStockRequest(product_id=product, delta=units, reason="counted")
    by = metadata(shop.operator, secrets.token_hex(8))
    return (await answered(lambda: shop.products.AdjustStock(request, metadata=by)))[0] is not None


async def listed(till: Till, token: str) -> list[order_pb2.Order]:
    """All that a caller sees, newest first, four at a time."""
    found, page = [], ""
    while page or not found:
        request = order_service_pb2.ListOrdersRequest(page_size=4, page_token=page)
        reply = await till.shop.orders.ListOrders(request, metadata=metadata(token))
        found, page = [*found, *reply.orders], reply.next_page_token
        if not page:
            break
    return found


async def paid(till: Till, token: str) -> dict[str, payment_pb2.Payment]:
    """The payments that a caller sees, by order."""
    request = pb.ListPaymentsRequest(page_size=100)
    reply = await till.shop.payments.ListPayments(request, metadata=metadata(token))
    return {payment.order_id: payment for payment in reply.payments}


async def exported(till: Till, token: str) -> list[order_pb2.Order]:
    """The same, as an export says it; its last line counts them."""
    request = export_pb2.ExportOrdersRequest(format=export_pb2.EXPORT_FORMAT_NDJSON)
    body = b"".join([m.data async for m in till.shop.orders.ExportOrders(request, metadata=metadata(token))])
    *rows, end = body.splitlines()
    assert json.loads(end) == {"end": {"orders": len(rows)}}
    return [json_format.Parse(row, order_pb2.Order()) for row in rows]


async def at_once(till: Till, verbs: list[str], order: order_pb2.Order, token: str, amount: int) -> list[str]:
    """The verbs that were done, of several at the same time."""
    others = {"work": till.run, "expire": till.expiry.run}

    async def one(verb: str) -> str:
        if verb in others:
            await others[verb]()
            return verb
        more = {"amount": amount, "method": "pm_sandbox_ok", "note": "raced"}
        return "" if (await answered(lambda: make(till, verb, order, token, **more)))[1] else verb

    return [verb for verb in await asyncio.gather(*map(one, verbs)) if verb]


async def tell(till: Till, event_id: str, payment_id: str, forged: bool) -> None:
    """The provider says that something happened; a stranger who says so is refused."""
    event = {"id": event_id, "type": "x", "data": {"object": {"metadata": {"payment_id": payment_id}}}}
    body, now = json.dumps(event).encode(), int(till.shop.app.clock.now().timestamp())
    signature = sign(body, b"forged" if forged else till.shop.app.vault.derive("sandbox events"), now)
    request = pb.HandleProviderEventRequest(provider="sandbox", body=HttpBody(data=body))
    call = till.shop.payments.HandleProviderEvent(request, metadata=[("sandbox-signature", signature)])
    if forged:
        await assert_refused(call, "EVENT_SIGNATURE_INVALID")
    else:
        await call
