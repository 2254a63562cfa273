"""SQL for orders with their lines, which orders and the feed share, and a limit in bytes on what one statement returns."""

import re
from collections.abc import Sequence

from chassis.security.encryption import Vault
from chassis.storage.database import Row

ADDRESS_CONTEXT = "order.shipping_address"
"""Of the addresses that the vault has sealed."""
STATE_COLUMNS = ("state", "payment_state", "fulfilment_state")
"""Of orders, in the order in which the keys of lists have them."""
LINES = (
    "CROSS JOIN LATERAL (SELECT array_agg(product_id ORDER BY line) AS product_ids, array_agg(title ORDER BY line) AS titles, "
    "array_agg(quantity ORDER BY line) AS quantities, array_agg(unit_price_minor ORDER BY line) AS unit_prices, "
    "array_agg(tax_minor ORDER BY line) AS taxes, "
    "sum(octet_length(title) + 40) AS bytes "
    "FROM order_lines WHERE order_lines.order_id = o.order_id) l"
)
"""Joins an order `o` with its lines, as arrays, and with an estimate of their size."""


def state_key(first: str, *columns: str) -> str:
    """SQL: the texts of columns, the last of which is the id of an order, as the indexes for lists of states have them."""
    key = f'({first} COLLATE "C")'
    for column in columns:
        key = f"(({key} || '/'::text) || {column})"
    return key


def within_bytes(columns: str, rows: str, order: str, limit: int) -> str:
    """SQL for the first of some rows of orders `o` with lines `l`, up to `limit` bytes; see `is_cut`. The first row always comes."""
    size = (
        "l.bytes + octet_length(o.note) + COALESCE(octet_length(o.metadata::text) / 2, 0) "
        "+ COALESCE(octet_length(o.shipping_address_sealed) - 60, 0) + COALESCE(pg_column_size(o.charges), 0)"
    )
    so_far = f"sum({size}) OVER (ORDER BY {order})"
    bare = re.sub(r"\b[a-z]\.", "", columns), re.sub(r"\b[a-z]\.", "", order)
    return (
        f"SELECT {bare[0]}, so_far FROM (SELECT {columns}, {size} AS own, {so_far} AS so_far FROM {rows}) found "  # noqa: S608
        f"WHERE so_far - own < {limit} ORDER BY {bare[1]}"
    )


def is_cut(rows: Sequence[Row], limit: int) -> bool:
    """Whether rows end where they do because of their size: there may be more."""
    return bool(rows) and rows[-1].so_far >= limit


def opened(row: Row, vault: Vault) -> Row:
    """The row with its address as it was before it was sealed; most have none."""
    if row is None or row.shipping_address_sealed is None:
        return row
    return row._replace(shipping_address_sealed=vault.open(row.shipping_address_sealed, ADDRESS_CONTEXT))
