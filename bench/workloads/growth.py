"""How numbers move with orders stored, with replicas, and with depth of pages."""

import json
import random
import shutil
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import replace

import psycopg

from bench.bench import Bench
from bench.measurements.rows import Comparison, Row, Side
from bench.stacks.weft import Weft
from bench.stored import filters, watch
from bench.stored.seed import Stored, fill_orders, fill_people
from bench.workloads.orders import creating, reading_one

BYTES_PER_ORDER = 3_500
"""Of disk, while orders are stored and their indexes are made; a person and a tenth of a product included."""
FEW = 10_000
MANY = 20_000
"""Orders, people and products, drawn at random from all, that the load names."""


class NoRoom(Exception):
    """The disk has too little room for the orders."""


def stored(bench: Bench) -> Iterator[Row]:
    """New orders and reads beside many stored ones, against a mesh that has few; then pages near and far."""
    empty, full = bench.mesh("few"), bench.mesh("growing")
    try:
        for size in bench.length.sizes:
            _fill(bench, full, size)
            _renew(empty, full)
            yield _creates(bench, f"stored-{size}", [_few(bench, empty), _many(bench, full, size)])
        yield _reads(bench, empty, full, size)
        yield _pages(bench, full, size)
    finally:
        full.stop()
        empty.stop()


def growth(bench: Bench) -> Iterator[Row]:
    """All of it with ten million orders, 100,000 products and a million people: new orders, reads, lists by each filter, watchers."""
    size = bench.length.growth
    _room(bench, size * BYTES_PER_ORDER)
    empty, full = bench.mesh("few"), bench.mesh("growing")
    try:
        yield from beside(bench, empty, full, _fill(bench, full, size))
    finally:
        full.stop()
        empty.stop()


def beside(bench: Bench, empty: Weft, full: Weft, made: Stored) -> Iterator[Row]:
    """The rows of `growth`: a mesh with hardly an order, and one where `made` is."""
    everyone = {
        "customers": [made.person(n) for n in _some(made.people) if n % 3],
        "products": [made.product(n) for n in _some(made.products)],
    }
    _renew(empty, full)
    spread = _many(bench, full, made.orders)
    plan = replace(spread.plan, arguments={**spread.plan.arguments, **everyone})
    bench.say("  new orders: of the same 20 customers, and of many of all")
    sides = [_few(bench, empty), spread, Side("of everyone", plan, full.groups)]
    yield _creates(bench, "growth-create", sides)
    few = _fill(bench, empty, FEW)
    _renew(empty, full)
    yield _gets(bench, (empty, few), (full, made))
    yield from _lists(bench, (empty, few), (full, made))
    yield watch.row(bench, {f"{FEW:,} orders": empty, f"{made.orders:,} orders": full})


def _renew(*meshes: Weft) -> None:
    """Tokens end after a quarter of an hour; orders take longer to store."""
    for mesh in meshes:
        mesh.renew()


def _some(count: int) -> list[int]:
    return random.sample(range(1, count + 1), min(count, MANY))


def _room(bench: Bench, size: int) -> None:
    free = shutil.disk_usage(bench.folder).free
    bench.say(f"  needs some {size / 1e9:.0f} GB of disk; {free / 1e9:.0f} GB are free in {bench.folder.parent}")
    if free < size:
        raise NoRoom(
            f"{size / 1e9:.0f} GB are needed, {free / 1e9:.0f} GB are free: set TMPDIR to a folder of a larger disk."
        )


def _fill(bench: Bench, mesh: Weft, size: int) -> Stored:
    """Puts orders in, in place of those that were, and their people and products beside those that are."""
    with psycopg.connect(mesh.database("user")) as connection:
        found = connection.execute("SELECT partner_id FROM users WHERE user_id = %s", [mesh.customers[0]]).fetchone()
    assert found, "a customer of the API's own shows whose orders these are"
    made = Stored(
        orders=size,
        people=max(3, size // 10),
        products=max(1, size // 100),
        partner=found[0],
        regular=mesh.customers[0],
        now_ms=time.time_ns() // 1_000_000,
        every=max(9, size // 1000),
    )
    bench.say(f"  storing {size:,} orders")
    fill_people(mesh.database("user"), made, bench.say)
    fill_orders(mesh.database("order"), made, bench.say)
    return made


def _few(bench: Bench, mesh: Weft) -> Side:
    return creating(bench, "few", mesh.edges, mesh)


def _many(bench: Bench, mesh: Weft, size: int) -> Side:
    return creating(bench, f"{size:,} orders", mesh.edges, mesh)


def _creates(bench: Bench, name: str, sides: list[Side]) -> Row:
    """The sides: few orders, many, and others with many."""
    many = sides[1].name
    comparisons = []
    for side in sides[1:]:
        aim = 0.9 if side.name in ("1,000,000 orders", "10,000,000 orders") else None
        comparisons.append(Comparison(f"orders/s, {side.name} over few", side.name, "few", "rate", at_least=aim))
        comparisons.append(Comparison(f"CPU per order, {side.name} over few", side.name, "few", "cpu"))
    comparisons += [
        Comparison(f"CPU per order in {part}, {many} over few", many, "few", f"cpu:{part}")
        for part in ("order", "postgres")
    ]
    rounds = bench.length.rounds if name.startswith("growth") else bench.length.few
    return bench.compare(Row(name, f"REST create order beside {many}", comparisons=comparisons), sides, rounds)


def _gets(bench: Bench, few: tuple[Weft, Stored], many: tuple[Weft, Stored]) -> Row:
    """Any of all orders, wherever it is; and of many the newest."""
    sides = []
    for name, (mesh, made), numbers in (
        ("few", few, _some(few[1].orders)),
        ("many, the newest", many, range(many[1].orders - FEW, many[1].orders + 1)),
        ("many, any", many, _some(many[1].orders)),
    ):
        # Every third order is nobody's of this partner.
        paths = [f"/v1/orders/{made.order(number)}" for number in numbers if number % 3]
        plan = bench.plan("http", mesh.edges, "get_json", {"host": "localhost", "token": mesh.token, "paths": paths})
        sides.append(Side(name, plan, mesh.groups))
    comparisons = [
        Comparison(f"{what}, {side.name} over few", side.name, "few", measure)
        for side in sides[1:]
        for what, measure in (("reads/s", "rate"), ("CPU per read", "cpu"))
    ]
    return bench.compare(Row("growth-get", f"REST get order beside {many[1].orders:,}", comparisons=comparisons), sides)


def _lists(bench: Bench, few: tuple[Weft, Stored], many: tuple[Weft, Stored]) -> Iterator[Row]:
    """A page of 50 by each filter, the first one of many over the first one of few; and a far one."""
    asked = {
        name: filters.queries(mesh.database("order"), made) for name, (mesh, made) in (("few", few), ("many", many))
    }
    for what in asked["few"]:
        _renew(few[0], many[0])
        sides = []
        for name, (mesh, _) in (("few", few), ("many", many)):
            arguments = {"host": "localhost", "token": mesh.token, "paths": [f"/v1/orders?{asked[name][what]}"]}
            short = {"seconds": bench.length.seconds / 3, "warm_up": bench.length.warm_up / 2}
            plan = bench.plan("http", mesh.edges, "get_json", arguments, concurrency=8, **short)
            sides.append(Side(name, plan, mesh.groups))
        comparisons = [
            Comparison(f"{measured} of a page, many over few: {what}", "many", "few", measure)
            for measured, measure in (("median", "p50"), ("CPU", "cpu"))
        ]
        bench.say(f"  list: {what}")
        yield bench.compare(
            Row(f"growth-list {what}", f"REST list: {what}", comparisons=comparisons), sides, bench.length.few
        )
    yield _pages(bench, many[0], many[1].orders)


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
