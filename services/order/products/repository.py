"""Products in the database."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import ARRAY, Text, bindparam, func, insert, select, update

from chassis.storage.database import Database, Query, Transaction
from services.order.domain.product import Product
from services.order.ownership import ProductOwner, of_product_owner
from services.order.products.tables import products

_ALL = select(products)
_COLUMNS = [column.name for column in products.columns]

# any owner: the catalogue is public
_GET = Query(_ALL.where(products.c.product_id == bindparam("product_id")), "get product")
# any owner: the catalogue is public
_LIST_BY_IDS = Query(
    _ALL.where(products.c.product_id == func.any(bindparam("product_ids", type_=ARRAY(Text)))), "list products by ids"
)
_LOCK = Query(
    _ALL.where(products.c.product_id == bindparam("product_id"), of_product_owner(products)).with_for_update(),
    "lock product",
)
# any owner: the catalogue is public
_LIST = Query(
    _ALL.where(products.c.product_id < bindparam("after"), products.c.mode == bindparam("mode"))
    .order_by(products.c.product_id.desc())
    .limit(bindparam("limit")),
    "list products",
)
_INSERT = Query(insert(products).values({name: bindparam(name) for name in _COLUMNS}), "insert product")
# any owner: of a product that the transaction has locked for its owner
_UPDATE = Query(
    update(products)
    .where(products.c.product_id == bindparam("id"))
    .values(
        {name: bindparam(name) for name in ("title", "price_minor", "currency", "active", "version", "updated_at")}
    ),
    "update product",
)
# any owner: of a product that the transaction has locked for its owner
_ADJUST_STOCK = Query(
    update(products)
    .where(products.c.product_id == bindparam("id"))
    .values(stock=products.c.stock + bindparam("delta"))
    .returning(products),
    "adjust stock",
)
_INSERT_IF_ABSENT = Query(
    "INSERT INTO products (product_id, partner_id, title, price_minor, currency, stock, active, version, created_at, updated_at) "
    "VALUES (%(product_id)s, '', %(title)s, %(price_minor)s, %(currency)s, %(stock)s, true, 1, %(now)s, %(now)s) "
    "ON CONFLICT (product_id) DO NOTHING",
    "insert product if absent",
)
_NEWEST = "prd_~"
"""Greater than every id."""


class ProductRepository:
    """Products of both modes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, product_id: str) -> Product | None:
        """The catalogue is public: it has no owner's condition."""
        row = await self._database.first(_GET, product_id=product_id)
        return Product(*row) if row else None

    async def list_by_ids(self, product_ids: Collection[str]) -> Sequence[Product]:
        """Those that exist, in no order."""
        return [Product(*row) for row in await self._database.all(_LIST_BY_IDS, product_ids=[*product_ids])]

    async def list(self, mode: str, limit: int, after: str) -> Sequence[Product]:
        """Those of a mode, newest first, after the id `after`; from the newest if it is empty."""
        rows = await self._database.all(_LIST, mode=mode, after=after or _NEWEST, limit=limit)
        return [Product(*row) for row in rows]

    async def lock(self, tx: Transaction, product_id: str, owner: ProductOwner) -> Product | None:
        """The owner's product, locked until the transaction ends."""
        row = await tx.first(_LOCK, product_id=product_id, **owner._asdict())
        return Product(*row) if row else None

    async def insert(self, tx: Transaction, product: Product) -> None:
        await tx.run(_INSERT, **{name: getattr(product, name) for name in _COLUMNS})

    async def update(self, tx: Transaction, product: Product) -> None:
        """Everything except the stock, which only changes by differences."""
        await tx.run(
            _UPDATE,
            id=product.product_id,
            title=product.title,
            price_minor=product.price_minor,
            currency=product.currency,
            active=product.active,
            version=product.version,
            updated_at=product.updated_at,
        )

    async def adjust_stock(self, tx: Transaction, product_id: str, delta: int) -> Product:
        """Of a product that the transaction has locked. Raises `CheckViolation` if the stock would fall below 0."""
        return Product(*await tx.one(_ADJUST_STOCK, id=product_id, delta=delta))

    async def insert_if_absent(
        self, product_id: str, title: str, price_minor: int, currency: str, stock: int, now: datetime
    ) -> None:
        """A platform-owned product, unless it exists."""
        values = {"title": title, "price_minor": price_minor, "currency": currency, "stock": stock, "now": now}
        await self._database.run(_INSERT_IF_ABSENT, product_id=product_id, **values)
