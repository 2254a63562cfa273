"""Calls of the catalogue, as tests make them."""

import secrets

from google.protobuf.field_mask_pb2 import FieldMask
from weft.order.v1.product_pb2 import Product
from weft.order.v1.product_service_pb2 import (
    AdjustStockRequest,
    ArchiveProductRequest,
    ListProductsRequest,
    UpdateProductRequest,
)

from tests.order.shop import Shop, metadata


def adjust(shop: Shop, product_id: str, delta: int, token: str = "", key: str = "", reason: str = "counted"):
    request = AdjustStockRequest(product_id=product_id, delta=delta, reason=reason)
    return shop.products.AdjustStock(request, metadata=metadata(token or shop.operator, key or secrets.token_hex(8)))


def update(shop: Shop, token: str = "", mask: list[str] | None = None, **fields):
    request = UpdateProductRequest(
        product=Product(**fields), update_mask=FieldMask(paths=mask) if mask is not None else None
    )
    return shop.products.UpdateProduct(request, metadata=metadata(token or shop.operator))


def archive(shop: Shop, product_id: str, token: str = "", key: str = ""):
    request = ArchiveProductRequest(product_id=product_id)
    return shop.products.ArchiveProduct(request, metadata=metadata(token or shop.operator, key))


async def titles(shop: Shop, **filters) -> list[str]:
    found = await shop.products.ListProducts(ListProductsRequest(**filters))
    return sorted(product.title for product in found.products)
