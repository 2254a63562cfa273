"""The receivers of text messages, push messages and webhooks, in one process: `make run` holds Python and aiohttp once for them.

`python -m deploy.local.sinks.together SMS_PORT FOLDER PUSH_PORT FOLDER WEBHOOK_PORT FOLDER`; the passwords are in the environment.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web

from deploy.local.components import push_sink, sms_sink
from deploy.local.sinks import webhook_sink
from deploy.local.state.secret import secret


async def serve(apps: Sequence[tuple[int, web.Application]]) -> None:
    """Serve each app on its port of 127.0.0.1 until SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runners = [web.AppRunner(app, access_log=None, shutdown_timeout=0.5) for _, app in apps]
    for runner, (port, _) in zip(runners, apps, strict=True):
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
    print(f"takes texts, pushes and webhooks on 127.0.0.1: {', '.join(str(port) for port, _ in apps)}", flush=True)
    await stop.wait()
    await asyncio.gather(*(runner.cleanup() for runner in runners))


if __name__ == "__main__":
    os.umask(0o077)
    ports, folders = [int(port) for port in sys.argv[1::2]], [Path(folder) for folder in sys.argv[2::2]]
    made = (
        sms_sink.Sink(folders[0], secret("WEFT_SMS_PASSWORD"), os.environ.get("WEFT_EDGE_URL", "")).app(),
        push_sink.Sink(folders[1], secret("WEFT_PUSH_PASSWORD")).app(),
        webhook_sink.Sink(folders[2], secret("WEFT_WEBHOOK_PASSWORD")).app(),
    )
    asyncio.run(serve(list(zip(ports, made, strict=True))))
