"""From an order's commit to its mail at the mail server."""

import asyncio
import email
import os
import re
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import httpx

from bench.bench import Bench
from bench.measurements.rows import Row
from bench.numbers import Spread, percentile
from bench.stacks.weft import Weft
from deploy.local.demo import mailbox

WAIT = 20.0


def mail(bench: Bench) -> Iterator[Row]:
    """Orders one after another, with relays, workers and the mail sink running."""
    mesh = bench.mesh("mailing", work=True)
    try:
        count = 30 if bench.length.rounds <= 2 else 200
        placed = asyncio.run(_place(mesh, count))
        arrived = _wait(Path(mesh.mesh["mail"]), placed)
    finally:
        mesh.stop()
    waits = sorted((arrived[order_id] - moment) * 1000 for order_id, moment in placed.items() if order_id in arrived)
    row = Row(
        "mail", "From an order's commit to its mail", "10 orders a second; until the mail server has the whole mail."
    )
    row.numbers["median, ms"] = Spread.of([percentile(waits, 0.5)])
    row.numbers["p99, ms"] = Spread.of([percentile(waits, 0.99)])
    row.numbers["orders whose mail did not come"] = Spread.of([float(len(placed) - len(waits))])
    bench.say(f"  median {percentile(waits, 0.5):.0f} ms of {len(waits)} mails")
    yield row


async def _place(mesh: Weft, count: int) -> dict[str, float]:
    """From order id to the time of its commit: that of the order, in Unix seconds."""
    placed = {}
    async with httpx.AsyncClient(base_url=mesh.mesh["edge"], headers={"authorization": f"Bearer {mesh.token}"}) as http:
        for number in range(count):
            body = {
                "customerId": mesh.customers[number % len(mesh.customers)],
                "lines": [{"productId": mesh.products[number % len(mesh.products)], "quantity": 1}],
                "paymentMethod": "pm_sandbox_ok",
            }
            reply = await http.post("/v1/orders", json=body, headers={"idempotency-key": os.urandom(16).hex()})
            order = reply.raise_for_status().json()
            placed[order["orderId"]] = datetime.fromisoformat(order["createTime"]).timestamp()
            await asyncio.sleep(0.1)
    return placed


def _wait(folder: Path, placed: dict[str, float]) -> dict[str, float]:
    """From order id to when its first mail was there, in Unix seconds; those that came in time."""
    arrived: dict[str, float] = {}
    seen: set[str] = set()
    end = time.monotonic() + WAIT
    while len(arrived) < len(placed) and time.monotonic() < end:
        for file in mailbox.stored(folder):
            if file.name in seen:
                continue
            seen.add(file.name)
            for order_id in set(re.findall(r"ord_[0-9a-z]{26}", _text(file))) & placed.keys():
                arrived.setdefault(order_id, int(file.name.partition("-")[0]) / 1000)
        time.sleep(0.05)
    return arrived


def _text(file: Path) -> str:
    message = email.message_from_bytes(file.read_bytes())
    parts = [bytes(part.get_payload(decode=True) or b"") for part in message.walk() if not part.is_multipart()]
    return b"\n".join(parts).decode(errors="replace")
