"""The tasks, and what a worker opens for them: `taskiq worker bench.peers.taskiq_background.tasks:broker`."""

from dataclasses import dataclass
from typing import Any

import httpx
from taskiq import TaskiqEvents, TaskiqState

from bench.peers import database
from bench.peers.database import Sessions
from bench.peers.taskiq_background import notices, payments
from bench.peers.taskiq_background.broker import PEER, SETTINGS, broker
from bench.peers.taskiq_background.mails import Mailer, Sender
from bench.peers.taskiq_background.people import People


@dataclass
class _Open:
    """What the worker has open."""

    writes: Sessions
    reads: Sessions
    sender: Sender


_open: _Open


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def _start(state: TaskiqState) -> None:
    global _open
    engine, writes, reads = database.connect(PEER)
    headers = {"authorization": f"Bearer {PEER.users_token}"}
    users, mailer = httpx.AsyncClient(base_url=PEER.users_url, headers=headers), Mailer(SETTINGS)
    _open = _Open(writes, reads, Sender(SETTINGS, writes, reads, People(users), mailer))
    state.close = (mailer.close, users.aclose, engine.dispose)
    print("working", flush=True)


@broker.on_event(TaskiqEvents.WORKER_SHUTDOWN)
async def _stop(state: TaskiqState) -> None:
    for close in state.close:
        await close()


@broker.task(retry_on_error=True)
async def settle_payment(event: dict[str, Any]) -> None:
    """An order was placed."""
    await payments.settle(_open.writes, _open.reads, event["aggregate_id"])


@broker.task(retry_on_error=True)
async def notify(event: dict[str, Any]) -> None:
    """Something happened that the customer is told."""
    if await notices.notify(_open.writes, event):
        await send_mail.kiq(event["event_id"])


@broker.task(retry_on_error=True)
async def send_mail(event_id: str) -> None:
    """A mail is to be sent."""
    await _open.sender.send(event_id)


SUBSCRIBERS = {
    "order.placed": (settle_payment, notify),
    "order.confirmed": (notify,),
    "payment.failed": (notify,),
    "payment.captured": (),
}
"""From an event to the tasks that it begins."""
