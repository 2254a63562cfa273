"""The RPCs of the catalogue."""

from typing import Any

from weft.order.v1 import money_pb2, product_pb2
from weft.order.v1 import product_service_pb2 as pb

from chassis import ids
from chassis.clock import Clock
from chassis.rpc.call import Call
from chassis.rpc.pagination import Pages
from chassis.rpc.requests import masks
from chassis.security import modes
from chassis.storage.database import Database
from chassis.times import timestamp
from chassis.values import currencies
from services.order.domain.product import Product, ProductNotFound, StockAdjustment
from services.order.ownership import product_owner_of
from services.order.products.repository import ProductRepository
from services.order.products.search_repository import SearchRepository


class ProductHandlers:
    """weft.order.v1.ProductService."""

    def __init__(
        self, database: Database, products: ProductRepository, search: SearchRepository, pages: Pages, clock: Clock
    ) -> None:
        self._database = database
        self._products = products
        self._search = search
        self._pages = pages
        self._clock = clock

    async def CreateProduct(self, request: pb.CreateProductRequest, call: Call) -> product_pb2.Product:
        """The product of a partner is the partner's, in the mode of its client; that of an operator is platform-owned."""
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
            mode=call.caller.mode,
            image_urls=[*request.image_urls],
        )
        reply = to_message(product)
        async with self._database.transaction() as tx:
            await self._products.insert(tx, product)
            await call.remember(tx, reply)
        return reply

    async def GetProduct(self, request: pb.GetProductRequest, _: Call) -> product_pb2.Product:
        product = await self._products.get(request.product_id)
        if product is None:
            raise ProductNotFound(product_id=request.product_id)
        return to_message(product)

    async def ListProducts(self, request: pb.ListProductsRequest, _: Call) -> pb.ListProductsResponse:
        mode, filters = modes.of_message(request.mode), _filters(request)
        page = self._pages.read(request, {"list": "products", "mode": mode, "words": request.query, **filters})
        end = ""
        if request.query:
            found, end = await self._search.search(mode, request.query, page.limit, page.after, filters)
        else:
            found = await self._products.list(mode, page.limit, page.after, filters)
        products, token = self._pages.split(page, found, to_message, key="product_id")
        if end and not token:
            token = self._pages.token(page, end)
        return pb.ListProductsResponse(products=products, next_page_token=token)

    async def UpdateProduct(self, request: pb.UpdateProductRequest, call: Call) -> product_pb2.Product:
        """The row is locked between the check of the etag and the update."""
        requested, changes = request.product, _changes(request)
        async with self._database.transaction() as tx:
            product = await self._products.lock(tx, product_owner_of(call.caller), requested.product_id)
            if product is None:
                raise ProductNotFound(product_id=requested.product_id)
            changed = product.update(self._clock.now(), requested.etag, changes)
            if changed is not product:
                await self._products.update(tx, changed)
        return to_message(changed)

    async def ArchiveProduct(self, request: pb.ArchiveProductRequest, call: Call) -> product_pb2.Product:
        async with self._database.transaction() as tx:
            product = await self._products.lock(tx, product_owner_of(call.caller), request.product_id)
            if product is None:
                raise ProductNotFound(product_id=request.product_id)
            archived = product.archive(self._clock.now())
            await self._products.update(tx, archived)
            reply = to_message(archived)
            await call.remember(tx, reply)
        return reply

    async def AdjustStock(self, request: pb.AdjustStockRequest, call: Call) -> product_pb2.Product:
        """The row is locked between the check of the stock and the change, so orders and other adjustments wait for it."""
        async with self._database.transaction() as tx:
            product = await self._products.lock(tx, product_owner_of(call.caller), request.product_id)
            if product is None:
                raise ProductNotFound(product_id=request.product_id)
            product.require_stock(request.delta)
            actor, now = call.caller.actor, self._clock.now()
            adjusted = await self._products.adjust_stock(
                tx, product.product_id, request.delta, request.reason, actor, now
            )
            reply = to_message(adjusted)
            await call.remember(tx, reply)
        return reply

    async def ListStockAdjustments(
        self, request: pb.ListStockAdjustmentsRequest, call: Call
    ) -> pb.ListStockAdjustmentsResponse:
        owner = product_owner_of(call.caller)
        page = self._pages.read(request, {"list": "adjustments", "owner": owner, "product": request.product_id})
        found = await self._products.list_adjustments(owner, request.product_id, page.limit, page.after)
        if found is None:
            raise ProductNotFound(product_id=request.product_id)
        adjustments, token = self._pages.split(page, found, adjustment_to_message, key="adjustment_id")
        return pb.ListStockAdjustmentsResponse(adjustments=adjustments, next_page_token=token)


def _filters(request: pb.ListProductsRequest) -> dict[str, Any]:
    """The filters of `ProductRepository.list` that a request sets."""
    texts = {"partner_id": request.partner_id, "currency": request.currency}
    filters: dict[str, Any] = {name: value for name, value in texts.items() if value}
    if request.HasField("active"):
        filters["active"] = request.active
    if not request.show_archived:
        filters["current"] = True
    return filters


def _changes(request: pb.UpdateProductRequest) -> dict[str, object]:
    """What an update changes, by the names of `Product`."""
    fields, product = masks.fields(request, "product"), request.product
    changes: dict[str, object] = {name: getattr(product, name) for name in fields & {"title", "active"}}
    if "image_urls" in fields:
        changes["image_urls"] = [*product.image_urls]
    if "price" in fields:
        currencies.require("product.price.currency", product.price.currency)
        changes |= {"price_minor": product.price.amount_minor, "currency": product.price.currency}
    return changes


def to_message(product: Product) -> product_pb2.Product:
    """Prices are in the smallest unit of the currency."""
    return product_pb2.Product(
        product_id=product.product_id,
        title=product.title,
        price=money_pb2.Money(amount_minor=product.price_minor, currency=product.currency),
        stock=product.stock,
        active=product.active,
        create_time=timestamp(product.created_at),
        update_time=timestamp(product.updated_at),
        etag=product.etag,
        mode=modes.to_message(product.mode),
        image_urls=product.image_urls,
        archive_time=timestamp(product.archived_at),
        partner_id=product.partner_id,
    )


def adjustment_to_message(made: StockAdjustment) -> product_pb2.StockAdjustment:
    """From a stored adjustment; stock by hand only, not by orders."""
    return product_pb2.StockAdjustment(
        adjustment_id=made.adjustment_id,
        product_id=made.product_id,
        delta=made.delta,
        stock=made.stock,
        reason=made.reason,
        actor=made.actor,
        create_time=timestamp(made.created_at),
    )
