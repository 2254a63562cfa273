"""What the tests of devices share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from deploy.local.components import push_sink
from tests.notification.devices.push_service import PASSWORD, PushService


@pytest.fixture
async def pushes(tmp_path: Path) -> AsyncIterator[PushService]:
    made = PushService(tmp_path)
    app = push_sink.Sink(tmp_path, PASSWORD).app()

    @web.middleware
    async def misbehave(request: web.Request, handler: push_sink.Handler) -> web.StreamResponse:
        if not request.path.startswith("/push/"):
            return await handler(request)
        made.calls.append(request.path)
        if request.path in made.hanging:
            await made.hanging[request.path].wait()
        status = made.answers.get(request.path, made.answers.get("*", 0))
        return web.Response(status=status, headers={"location": made.url}) if status else await handler(request)

    app.middlewares.insert(0, misbehave)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()
