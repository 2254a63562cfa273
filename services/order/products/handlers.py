"""The RPCs of the catalogue."""

import psycopg
from google.protobuf.timestamp_pb2 import Timestamp
from weft.order.v1 import money_pb2, product_pb2, product_service_pb2

from chassis import currencies, ids
from chassis.clock import Clock
from chassis.rpc.call import Call
from chassis.rpc.pagination import Pages
from chassis.rpc.requests import masks
from chassis.security.identity import Identity
from chassis.storage.database import violated
from services.order.domain.product import OutOfStock, Product, ProductNotFound
from services.order.products.repository import ProductRepository


class ProductHandlers:
    """weft.order.v1.ProductService."""

    def __init__(self, products: ProductRepository, pages: Pages, clock: Clock) -> None:
        self._products = products
        self._pages = pages
        self._clock = clock

    async def CreateProduct(self, request: product_service_pb2.CreateProductRequest, call: Call) -> product_pb2.Product:
        """A partner's product belongs to the partner, an operator's to the house."""
        currencies.require("price.currency", request.price.currency)
        now = self._clock.now()
        product = Product(
            product_id=ids.new("prd", now),
            partner_id=call.caller.partner_id,
            title=request.title,
            price_minor=request.price.amount_minor,
            currency=request.price.currency,
            stock=request.stock,
            active=True,
            version=1,
            created_at=now,
            updated_at=now,
        )
        reply = message(product)
        async with self._products.database.transaction() as tx:
            await self._products.add(tx, product)
            await call.remember(tx, reply)
        return reply

    async def GetProduct(self, request: product_service_pb2.GetProductRequest, _: Call) -> product_pb2.Product:
        """Public."""
        product = await self._products.get(request.product_id)
        if product is None:
            raise ProductNotFound(product_id=request.product_id)
        return message(product)

    async def ListProducts(
        self, request: product_service_pb2.ListProductsRequest, _: Call
    ) -> product_service_pb2.ListProductsResponse:
        """Public."""
        page = self._pages.read(request, query={"list": "products"})
        found = await self._products.page(page.limit, page.after)
        products, token = self._pages.split(page, found, message, key="product_id")
        return product_service_pb2.ListProductsResponse(products=products, next_page_token=token)

    async def UpdateProduct(self, request: product_service_pb2.UpdateProductRequest, call: Call) -> product_pb2.Product:
        """The row is locked between the etag's check and the write."""
        asked, changes = request.product, _changes(request)
        async with self._products.database.transaction() as tx:
            product = await self._products.lock(tx, asked.product_id, _owner(call.caller))
            if product is None:
                raise ProductNotFound(product_id=asked.product_id)
            changed = product.update(self._clock.now(), asked.etag, changes)
            await self._products.update(tx, changed)
        return message(changed)

    async def AdjustStock(self, request: product_service_pb2.AdjustStockRequest, call: Call) -> product_pb2.Product:
        """The check that stock is not negative stands in the table, so orders and adjustments race safely."""
        left = 0
        try:
            async with self._products.database.transaction() as tx:
                product = await self._products.lock(tx, request.product_id, _owner(call.caller))
                if product is None:
                    raise ProductNotFound(product_id=request.product_id)
                left = product.stock
                reply = message(await self._products.adjust(tx, request.product_id, request.delta))
                await call.remember(tx, reply)
        except psycopg.errors.CheckViolation as error:
            if violated(error) != "products_stock_not_negative":
                raise
            raise OutOfStock(product_id=request.product_id, asked=str(-request.delta), left=str(left)) from error
        return reply


def _changes(request: product_service_pb2.UpdateProductRequest) -> dict[str, object]:
    """What an update changes, by the names of `Product`."""
    fields, asked = masks.fields(request, "product"), request.product
    changes: dict[str, object] = {name: getattr(asked, name) for name in fields & {"title", "active"}}
    if "price" in fields:
        currencies.require("product.price.currency", asked.price.currency)
        changes |= {"price_minor": asked.price.amount_minor, "currency": asked.price.currency}
    return changes


def _owner(caller: Identity) -> str | None:
    """Whose products the caller may change; None: everybody's."""
    return None if caller.is_operator else caller.partner_id or "nobody"  # the house's products have no partner


def message(product: Product) -> product_pb2.Product:
    """A product as callers see it."""
    made, changed = Timestamp(), Timestamp()
    made.FromDatetime(product.created_at)
    changed.FromDatetime(product.updated_at)
    return product_pb2.Product(
        product_id=product.product_id,
        title=product.title,
        price=money_pb2.Money(amount_minor=product.price_minor, currency=product.currency),
        stock=product.stock,
        active=product.active,
        create_time=made,
        update_time=changed,
        etag=product.etag,
    )
