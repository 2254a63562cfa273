"""Every query of the catalogue."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ARRAY, Select, Text, bindparam, func, insert, select, update

from chassis.storage.database import Database, Query, Transaction
from services.order.domain.product import Product
from services.order.products.tables import products

_ALL = select(products)
_COLUMNS = [column.name for column in products.columns]


def _owned(statement: Select[object]) -> Select[object]:
    # An operator's owner is NULL: all products. A partner sees its own.
    owner = bindparam("owner", type_=Text)
    return statement.where(func.coalesce(owner, products.c.partner_id) == products.c.partner_id)


_BY_ID = Query(_ALL.where(products.c.product_id == bindparam("product_id")), "get product")
_BY_IDS = Query(
    _ALL.where(products.c.product_id == func.any(bindparam("product_ids", type_=ARRAY(Text)))), "get products"
)
_LOCK = Query(_owned(_ALL.where(products.c.product_id == bindparam("product_id"))).with_for_update(), "lock product")
_LIST = Query(
    _ALL.where(products.c.product_id < bindparam("before"))
    .order_by(products.c.product_id.desc())
    .limit(bindparam("size")),
    "list products",
)
_INSERT = Query(insert(products).values({name: bindparam(name) for name in _COLUMNS}), "add product")
_UPDATE = Query(
    update(products)
    .where(products.c.product_id == bindparam("id"))
    .values(
        {name: bindparam(name) for name in ("title", "price_minor", "currency", "active", "version", "updated_at")}
    ),
    "update product",
)
_ADJUST = Query(
    update(products)
    .where(products.c.product_id == bindparam("id"))
    .values(stock=products.c.stock + bindparam("delta"))
    .returning(products),
    "adjust stock",
)
_SEED = Query(
    "INSERT INTO products (product_id, partner_id, title, price_minor, currency, stock, active, version, created_at, updated_at) "
    "VALUES (%(product_id)s, '', %(title)s, %(price_minor)s, %(currency)s, %(stock)s, true, 1, %(now)s, %(now)s) "
    "ON CONFLICT (product_id) DO NOTHING",
    "seed product",
)
_LAST = "prd_~"
"""Behind every id."""


class ProductRepository:
    """The catalogue in the database. `owner`: a partner's id, or None for an operator, who may touch all products."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def get(self, product_id: str) -> Product | None:
        """One product, whoever asks: the catalogue is public."""
        row = await self.database.first(_BY_ID, product_id=product_id)
        return Product(*row) if row else None

    async def get_all(self, product_ids: Collection[str]) -> list[Product]:
        """Those that exist, in no order."""
        return [Product(*row) for row in await self.database.all(_BY_IDS, product_ids=list(product_ids))]

    async def page(self, size: int, before: str) -> list[Product]:
        """Newest first, behind the id `before`; from the newest on where it is empty."""
        rows = await self.database.all(_LIST, before=before or _LAST, size=size)
        return [Product(*row) for row in rows]

    async def lock(self, tx: Transaction, product_id: str, owner: str | None) -> Product | None:
        """The owner's product, its row locked until the transaction ends."""
        row = await tx.first(_LOCK, product_id=product_id, owner=owner)
        return Product(*row) if row else None

    async def add(self, tx: Transaction, product: Product) -> None:
        """A new product."""
        await tx.run(_INSERT, **{name: getattr(product, name) for name in _COLUMNS})

    async def update(self, tx: Transaction, product: Product) -> None:
        """All but the stock, which only moves by differences."""
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

    async def adjust(self, tx: Transaction, product_id: str, delta: int) -> Product:
        """Move the stock of a product that the transaction has locked. Raises `CheckViolation` where it would fall below 0."""
        return Product(*await tx.one(_ADJUST, id=product_id, delta=delta))

    async def seed(
        self, product_id: str, title: str, price_minor: int, currency: str, stock: int, now: datetime
    ) -> None:
        """A product of the house, if it is not there yet."""
        values = {"title": title, "price_minor": price_minor, "currency": currency, "stock": stock, "now": now}
        await self.database.run(_SEED, product_id=product_id, **values)
