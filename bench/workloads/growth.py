"""How numbers move with orders stored, with replicas, and with depth of pages."""

import json
import urllib.parse
import urllib.request
from collections.abc import Iterator

import psycopg

from bench.bench import Bench
from bench.measurements.rows import Comparison, Row, Side
from bench.stacks.weft import Weft
from bench.workloads.orders import creating, reading_one

FILL = """
WITH o AS (
  SELECT n, 'ord_01a' || lpad(n::text, 23, '0') AS order_id, 'pay_01a' || lpad(n::text, 23, '0') AS payment_id,
         (%(customers)s::text[])[1 + n %% %(people)s] AS customer_id,
         (%(products)s::text[])[1 + n %% %(articles)s] AS one, (%(products)s::text[])[1 + (n * 7 + 1) %% %(articles)s] AS two,
         now() - interval '1 day' + n * interval '10 milliseconds' AS at
  FROM generate_series(%(first)s::bigint, %(last)s::bigint) n),
placed AS (
  INSERT INTO orders (order_id, customer_id, partner_id, currency, total_minor, state, payment_id, payment_state,
                      external_reference, note, created_at, updated_at)
  SELECT order_id, customer_id, %(partner)s, 'EUR', 3600, 'CONFIRMED', payment_id, 'CAPTURED', '', 'as usual', at, at FROM o),
lined AS (
  INSERT INTO order_lines (order_id, line, product_id, title, quantity, unit_price_minor)
  SELECT order_id, 1, one, 'Benchmark article', 1, 1200 FROM o
  UNION ALL SELECT order_id, 2, two, 'Benchmark article', 2, 1200 FROM o),
paid AS (
  INSERT INTO payments (payment_id, order_id, method, amount_minor, currency, state, captured_minor, created_at, updated_at)
  SELECT payment_id, order_id, 'pm_sandbox_ok', 3600, 'EUR', 'CAPTURED', 3600, at, at FROM o),
changed AS (
  INSERT INTO order_changes (order_id, version, customer_id, partner_id, state, payment_state, reason, actor, changed_at)
  SELECT order_id, 1, customer_id, %(partner)s, 'PENDING', 'PENDING', '', 'cli_bench', at FROM o)
INSERT INTO idempotency (id, fingerprint, reply, created_at)
SELECT decode(md5(n::text), 'hex'), decode(md5(n::text), 'hex'), convert_to(repeat('r', 330), 'UTF8'), at FROM o
"""
"""Orders that look like those of the API, with everything that was written beside them."""

CHUNK = 100_000


def stored(bench: Bench) -> Iterator[Row]:
    """New orders and reads beside many stored ones, against a mesh that has few; then pages near and far."""
    empty, full = bench.mesh("few"), bench.mesh("growing")
    try:
        have = 0
        first = creating(bench, "first", full.edges, full)
        bench.settle(first.plan, first.groups)
        for size in bench.length.sizes:
            have = _fill(bench, full, have, size)
            yield _creates(bench, empty, full, size)
        yield _reads(bench, empty, full, have)
        yield _pages(bench, full, have)
    finally:
        full.stop()
        empty.stop()


def _creates(bench: Bench, empty: Weft, full: Weft, size: int) -> Row:
    many = f"{size:,} orders"
    aim = 0.9 if size == 1_000_000 else None
    comparisons = [
        Comparison(f"orders/s, {many} over few", many, "few", "rate", at_least=aim),
        Comparison(f"CPU per order, {many} over few", many, "few", "cpu"),
    ]
    sides = [creating(bench, many, full.edges, full), creating(bench, "few", empty.edges, empty)]
    row = Row(f"stored-{size}", f"REST create order beside {many}", comparisons=comparisons)
    return bench.compare(row, sides, bench.length.few)


def _reads(bench: Bench, empty: Weft, full: Weft, size: int) -> Row:
    few, many = (reading_one(bench, name, mesh.edges, mesh) for name, mesh in (("few", empty), ("many", full)))
    comparisons = [Comparison(f"reads/s, {size:,} orders over few", "many", "few", "rate")]
    row = Row("stored-read", f"REST get order beside {size:,} orders", comparisons=comparisons)
    return bench.compare(row, [many, few], bench.length.few)


def _pages(bench: Bench, mesh: Weft, size: int) -> Row:
    """Page 1 against the farthest of 50 orders, at most page 10,000."""
    number = min(10_000, size // 50)
    token = _walk(mesh, (number - 1) * 50)
    first = {"host": "localhost", "token": mesh.token, "paths": ["/v1/orders?pageSize=50"]}
    query = urllib.parse.urlencode({"pageSize": 50, "pageToken": token})
    far = {**first, "paths": [f"/v1/orders?{query}"]}
    name = f"page {number:,}"
    sides = [
        Side("page 1", bench.plan("http", mesh.edges, "get_json", first, concurrency=8), mesh.groups),
        Side(name, bench.plan("http", mesh.edges, "get_json", far, concurrency=8), mesh.groups),
    ]
    comparisons = [Comparison(f"median, {name} over page 1", name, "page 1", "p50")]
    row = Row("pages", f"REST list, page 1 against {name}", comparisons=comparisons)
    return bench.compare(row, sides, bench.length.few)


def _walk(mesh: Weft, orders: int) -> str:
    """The token of the page that begins after `orders` orders."""
    token = ""
    while orders > 0:
        query = urllib.parse.urlencode({"pageSize": min(orders, 1000), "pageToken": token})
        request = urllib.request.Request(
            f"{mesh.mesh['edge']}/v1/orders?{query}", headers={"authorization": f"Bearer {mesh.token}"}
        )
        with urllib.request.urlopen(request, timeout=30) as reply:
            page = json.load(reply)
        token, orders = page["nextPageToken"], orders - len(page["orders"])
    return token


def _fill(bench: Bench, mesh: Weft, have: int, size: int) -> int:
    """Puts stored orders in until there are `size`: how many there are."""
    if size <= have:
        return have
    bench.say(f"  storing {size - have:,} orders")
    with psycopg.connect(mesh.database("order"), autocommit=True) as connection:
        partner = connection.execute("SELECT partner_id FROM orders WHERE partner_id <> '' LIMIT 1").fetchone()
        assert partner, "an order of the API's own shows whose orders these are"
        for first in range(have, size, CHUNK):
            values = {
                "customers": mesh.customers, "people": len(mesh.customers), "products": mesh.products,
                "articles": len(mesh.products), "partner": partner[0], "first": first, "last": min(size, first + CHUNK) - 1,
            }  # fmt: skip
            connection.execute(FILL, values)
        # Or both would fall into the rounds.
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")
    return size


def replicas(bench: Bench) -> Iterator[Row]:
    """New orders with one to three replicas of each service behind one Envoy."""
    counts = bench.length.replicas
    meshes = {count: bench.weft if count == 1 else bench.mesh(f"replicas-{count}", replicas=count) for count in counts}
    names = {count: f"{count} replica{'s' * (count > 1)}" for count in counts}
    try:
        sides = [creating(bench, names[count], mesh.edges, mesh) for count, mesh in meshes.items()]
        comparisons = [
            Comparison(f"CPU per order, {count} replicas over 1", names[count], names[1], "cpu", at_most=1.1)
            for count in counts
            if count > 1
        ]
        note = "The same 64 requests. On two cores or one replicas are time-sliced, see docs/decisions/0016."
        row = Row("replicas", "REST create order with replicas", note, comparisons=comparisons)
        yield bench.compare(row, sides, bench.length.few)
    finally:
        for count, mesh in meshes.items():
            if count > 1:
                mesh.stop()
