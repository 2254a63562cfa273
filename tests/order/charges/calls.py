"""Calls about charges, as tests make them."""

from typing import Any

from weft.order.v1 import charge_pb2, charge_service_pb2, charge_service_pb2_grpc
from weft.order.v1.money_pb2 import Money
from weft.order.v1.order_service_pb2 import QuoteOrderRequest
from weft.order.v1.shipping_address_pb2 import ShippingAddress

from tests.order.shop import LINE, Shop, metadata

Row = charge_pb2.Charge


def shipping(title: str, amount: int, region: str = "", free_from: int | None = None, currency: str = "EUR") -> Row:
    of = charge_pb2.ShippingCharge(amount=Money(amount_minor=amount, currency=currency), free_from_minor=free_from)
    return Row(region_code=region, title=title, shipping=of)


def tax(title: str, rate: int, region: str = "", taxes_shipping: bool = False) -> Row:
    return Row(region_code=region, title=title, tax=charge_pb2.Tax(rate_millionths=rate, taxes_shipping=taxes_shipping))


def address(region: str = "AT", recipient: str = "Ada Markname") -> ShippingAddress:
    return ShippingAddress(recipient=recipient, lines=["Markgasse 7"], locality="Wien", region_code=region)


def charge(
    shop: Shop, *rows: charge_pb2.Charge, token: str = "", etag: str = "", mask: tuple[str, ...] = ("charges",)
) -> Any:
    request = charge_service_pb2.UpdateChargesRequest(table=charge_pb2.ChargeTable(charges=rows, etag=etag))
    request.update_mask.paths.extend(mask)
    stub = charge_service_pb2_grpc.ChargeServiceStub(shop.running.channel)
    return stub.UpdateCharges(request, metadata=metadata(token or shop.operator))


def quote(shop: Shop, *lines: tuple[str, int], **more: Any) -> Any:
    request = QuoteOrderRequest(lines=[LINE(product_id=p, quantity=q) for p, q in lines], **more)
    return shop.orders.QuoteOrder(request, metadata=metadata(shop.user))
