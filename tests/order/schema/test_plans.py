"""Every query of the service uses indexes, never a sequential scan."""

from collections.abc import Iterator

import psycopg
import pytest

from chassis.queues import statements as queues
from chassis.storage import database
from chassis.storage.database import Query
from services.order import lock_statements
from services.order.feed import repository as changes
from services.order.orders import repository, update_statements
from services.order.payments import repository as payments
from services.order.products import repository as products
from services.order.products import search_repository as search
from services.order.reconciliation import repository as reconciliations
from services.order.timeline import repository as timeline
from tests import plans

FILL = """
INSERT INTO orders (order_id, customer_id, partner_id, currency, total_minor, state, payment_id, payment_state,
                    external_reference, note, created_at, updated_at)
SELECT 'ord_' || lpad(n::text, 8, '0'), 'usr_' || n % 500, CASE WHEN n % 2 = 0 THEN 'prt_' || n % 20 ELSE '' END, 'EUR', 1,
       CASE WHEN n % 100 = 0 THEN 'PENDING' ELSE 'CONFIRMED' END, 'pay_' || lpad(n::text, 8, '0'), 'CAPTURED',
       'ref ' || n, '', now() + n * interval '1 second', now() FROM generate_series(1, 20000) n;
INSERT INTO products SELECT 'prd_' || n, CASE WHEN n % 2 = 0 THEN 'prt_' || n % 20 ELSE '' END, 'Ink ' || n % 700,
       1, CASE WHEN n % 50 = 0 THEN 'CHF' ELSE 'EUR' END, 9, n % 9 > 0, 1, now(), now() FROM generate_series(1, 20000) n;
INSERT INTO stock_adjustments SELECT product_id, 'adj_' || product_id, 1, 1, '', '', now() FROM products;
INSERT INTO order_lines SELECT order_id, 1, 'prd_1', 'Ink', 1, 1 FROM orders;
INSERT INTO payments (payment_id, order_id, method, amount_minor, currency, state, created_at, updated_at)
SELECT payment_id, order_id, 'pm_sandbox_ok', 1, 'EUR', 'CAPTURED', now(), now() FROM orders;
INSERT INTO order_changes (order_id, version, customer_id, partner_id, state, payment_state, reason, actor, changed_at, xid)
SELECT order_id, 1, customer_id, partner_id, state, payment_state, '', '', now(), row_number() OVER ()::text::xid8 FROM orders;
INSERT INTO payment_movements (payment_id, order_id, kind, amount_minor, currency, attempt, provider_reference, created_at)
SELECT payment_id, order_id, 'CAPTURED', 1, 'EUR', 1, '', now() FROM payments;
INSERT INTO payment_work (kind, payload, due, created_at) SELECT 'advance', '', now(), now() FROM orders;
INSERT INTO payment_refunds SELECT 'ref_' || payment_id, payment_id, order_id, 1, 'SUCCEEDED', '', '', '', '', now(), now() FROM payments;
ANALYZE
"""
VALUES = {
    "owner": "usr_7", "order_ids": ["ord_00010000"], "owned": ["customer"], "owners": ["usr_7"], "order_id": "ord_00010000", "payment_id": "pay_00010000", "payment_ids": ["pay_00010000"], "releasing": ["ord_00010000"],
    "after": "ord_00010000", "states": ["CONFIRMED"], "payment_states": ["FAILED"], "fulfilment_states": ["UNFULFILLED"], "customer_id": "usr_7", "external_reference": "ref 10000", "order_number": "7K3M",
    "created_from": "2026-01-01", "first_id": "ord_00000000", "created_to": "2036-01-01", "last_id": "ord_99999999",
    "settled": "2036-01-01", "modes": ["LIVE"], "limit": 51, "at": "2026-01-01", "xid": "19000", "seq": 0, "before": "2020-01-01",
}  # fmt: skip
PRODUCT_FILTERS = {"active": False, "partner_id": "prt_8", "currency": "CHF"}
VALUES |= PRODUCT_FILTERS | {
    "mode": "LIVE",
    "seconds": 30,
    "product_id": "prd_512",
    "ids": ["prd_512"],
    "words": "ink 512",
    "most": 500,
}
STATES = ("states", "payment_states", "fulfilment_states")
"""Filters of a list that one index serves, in its order."""
KINDS = ("customer", "partner", "anyone")
QUERIES: dict[str, Query] = {
    "lease": queues.of("payment_work", "now()", pausable=True).lease,
    "overdue": repository._LIST_OVERDUE,
    "by payments": lock_statements.LIST_BY_PAYMENTS,
    "mark contacted": payments._MARK_CONTACTED,
    "locked orders": update_statements._FIND_LOCKS,
    "tail": changes._TAIL,
    "newest": changes._GET_NEWEST,
    "exists": changes._EXISTS,
    "get": repository._GET,
    "get updated": repository._GET_UPDATED,
    "units": repository._GET_UNITS,
    **{f"timeline {k}": timeline._list(k) for k in KINDS},
    **{f"lock {k}": lock_statements.lock(k) for k in KINDS},
    **{f"lock by payment {k}": lock_statements.lock(k, "p.payment_id = %(payment_id)s") for k in KINDS},
    **{f"list {k}": repository._list(k, frozenset()) for k in KINDS},
    **{f"list {k} by reference": repository._list(k, frozenset({"external_reference"})) for k in KINDS},
    **{f"list {k} by number": repository._list(k, frozenset({"order_number"})) for k in KINDS},
    **{f"list {k} by time": repository._list(k, frozenset({"created_from", "created_to"})) for k in KINDS},
    **{f"list {k} by states": repository._list(k, frozenset({*STATES, "created_to"})) for k in KINDS},
    **{f"watch {k}": changes._READ[k] for k in KINDS},
    **{f"payment {k}": payments._get(k) for k in KINDS},
    **{f"products by {n}": products._list(frozenset({n, "current"})) for n in ("ids", *PRODUCT_FILTERS)},
    "products by all": products._list(frozenset({"current", *PRODUCT_FILTERS})),
    "newest products": search._newest(frozenset({"current"})),
    "products by words": search._FIND,
    "adjustments": products._LIST_ADJUSTMENTS,
    "books": reconciliations._LIST_BOOKS,
    **{f"movements {k}": payments._list_movements(k) for k in KINDS},
    **{f"payments {k}": payments._list(k, frozenset()) for k in KINDS},
    **{f"payments {k} by states": payments._list(k, frozenset(STATES)) for k in KINDS},
}


@pytest.fixture(scope="module")
def full(postgres_url, template) -> Iterator[psycopg.Connection]:
    """A database with some orders in it."""
    with psycopg.connect(postgres_url, dbname="postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE plans_order TEMPLATE {template('order')}")
        with psycopg.connect(database.of_service(postgres_url, "plans", "order"), autocommit=True) as connection:
            connection.execute(FILL, prepare=False)
            yield connection
        admin.execute("DROP DATABASE plans_order WITH (FORCE)")


@pytest.mark.parametrize("name", QUERIES)
def test_it_uses_indexes(full: psycopg.Connection, name: str) -> None:
    values = {**VALUES, "owner": "prt_8"} if " partner" in name else {**VALUES}
    if "products" in name:
        values["after"] = "prd_5"
    elif name.startswith(("timeline", "movements")):
        values["after"] = 0
    plan = "\n".join(plans.generic(full, QUERIES[name].sql, values))
    assert "Seq Scan" not in plan.replace("Seq Scan on paused_queues", ""), plan
    if name.endswith(("partner by states", "anyone by states")):
        assert f"orders_{'partner_' if 'partner' in name else ''}by_states" in plan, plan
    for filter in PRODUCT_FILTERS:
        if name == f"products by {filter}":
            assert "products_by_" in plan, plan
    if name == "products by words":
        assert "products_by_title" in plan, plan
