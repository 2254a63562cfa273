"""Polls the outbox and hands its events to the queue: `python -m bench.peers.taskiq_background.relay`; as often as it takes."""

import asyncio
import signal

import uvloop
from opentelemetry import context
from opentelemetry.propagate import extract
from sqlalchemy import delete, select

from bench.peers import database
from bench.peers.database import Sessions
from bench.peers.models import OutboxMessage
from bench.peers.taskiq_background.broker import PEER, broker
from bench.peers.taskiq_background.tasks import SUBSCRIBERS

BATCH = 100
POLL_SECONDS = 0.1


async def relay(sessions: Sessions) -> int:
    """Publishes a batch: how many events. Those of a batch that fails are published again."""
    query = select(OutboxMessage).order_by(OutboxMessage.id).limit(BATCH).with_for_update(skip_locked=True)
    async with sessions.begin() as session:
        messages = list(await session.scalars(query))
        if messages:
            await asyncio.gather(*map(_publish, messages))
            await session.execute(delete(OutboxMessage).where(OutboxMessage.id.in_([one.id for one in messages])))
    return len(messages)


async def _publish(message: OutboxMessage) -> None:
    context.attach(extract({"traceparent": message.traceparent}))  # of this task of the gather alone
    for task in SUBSCRIBERS[message.kind]:
        await task.kiq(message.payload)


async def serve() -> None:
    """Relays until SIGTERM."""
    engine, writes, _ = database.connect(PEER)
    await broker.startup()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    print("relaying", flush=True)
    while not stopped.is_set():
        if await relay(writes) < BATCH:
            await asyncio.sleep(POLL_SECONDS)
    await broker.shutdown()
    await engine.dispose()


if __name__ == "__main__":
    uvloop.run(serve())
