"""A provider of text messages: the local mesh's sink, which can be made to misbehave."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from deploy.local.components import sms_sink

PHONE = "+43660123456"
PASSWORD = "a-password"


@dataclass
class Provider:
    """The sink, with replies of its own in front of it where there are any."""

    folder: Path
    url: str = ""
    replies: list[tuple[int, bytes]] = field(default_factory=list)
    calls: int = 0
    stalled: asyncio.Event | None = None
    stalled_for: str = ""
    waiting: int = 0

    @property
    def settings(self) -> dict[str, str]:
        return {"sms_url": self.url, "sms_from": sms_sink.NUMBER}

    def bodies(self) -> list[str]:
        return [found["body"] for found in sms_sink.messages(self.folder, PHONE)]


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Provider]:
    """Serve it on 127.0.0.1; it keeps messages in a folder."""
    made = Provider(folder)
    app = sms_sink.Sink(folder, PASSWORD).app()

    @web.middleware
    async def misbehave(request: web.Request, handler: sms_sink.Handler) -> web.StreamResponse:
        made.calls += 1
        if made.stalled is not None and (await request.post()).get("To") == made.stalled_for:
            made.waiting += 1
            await made.stalled.wait()
        if not made.replies:
            return await handler(request)
        status, content = made.replies.pop(0)
        if not status:
            await handler(request)
            assert request.transport is not None
            request.transport.close()  # it was taken, and the reply is lost
        return web.Response(status=status or 500, body=content)

    app.middlewares.insert(0, misbehave)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://{sms_sink.ACCOUNT}:{PASSWORD}@127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield made
    finally:
        await runner.cleanup()
