"""A receiver of webhooks that keeps and shows what comes: `python -m deploy.local.sinks.webhook_sink PORT FOLDER [HOST]`.

Any address below `/hooks/` is one: register `http://127.0.0.1:PORT/hooks/mine`. It is answered 204, or what its query asks for:
`?answer=500` a status, `?wait=20` after so many seconds. `PUT` the secret of an endpoint to its address, and from then on what is not signed
with it is answered 400. What comes is kept as a JSON file each; `/` is a page, `/messages.json` is for programs.

Everything but what is posted needs `WEFT_WEBHOOK_PASSWORD` (HTTP Basic, any user name). Secrets are kept as long as the process runs.
"""

import asyncio
import html
import itertools
import os
import sys
import time
from pathlib import Path

from aiohttp import web

from deploy.local.components.push_sink import MAX_SHOWN, Handler, keep, knows, messages
from deploy.local.state.secret import secret

MAX_SECRETS = 1_000
MAX_WAIT_S = 60.0
_MAX_BODY_BYTES = 1 << 20


class Sink:
    """Writes each webhook as one file, under a name that sorts by time."""

    def __init__(self, folder: Path, password: str) -> None:
        self._folder = folder
        self._password = password
        self._count = itertools.count()
        self._secrets: dict[str, str] = {}

    def app(self) -> web.Application:
        """The server's routes."""
        app = web.Application(middlewares=[self._authenticate], client_max_size=_MAX_BODY_BYTES)
        app.router.add_post("/hooks/{name:.*}", self.take)
        app.router.add_put("/hooks/{name:.*}", self.learn)
        app.router.add_get("/messages.json", self.list)
        app.router.add_get("/", self.page)
        return app

    @web.middleware
    async def _authenticate(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method != "POST" and not knows(request.headers, self._password):
            return web.Response(status=401, headers={"www-authenticate": 'Basic realm="webhooks", charset="UTF-8"'})
        return await handler(request)

    async def learn(self, request: web.Request) -> web.Response:
        """The secret of the endpoint at this address, or a new one: the body is it."""
        from weft_client import webhooks  # which brings gRPC along

        secret = (await request.text()).strip()
        try:
            webhooks.secret_key(secret)
        except ValueError as error:
            return web.Response(status=400, text=f"{error}\n")
        if len(self._secrets) >= MAX_SECRETS:
            self._secrets.pop(next(iter(self._secrets)))
        self._secrets[request.path] = secret
        return web.Response(status=204)

    async def take(self, request: web.Request) -> web.Response:
        """Keep a webhook; answers once it is a file, and as its query asks."""
        try:
            answer, wait_s = int(request.query.get("answer", "204")), float(request.query.get("wait", "0"))
        except ValueError:
            return web.Response(status=400)
        if not (200 <= answer < 600 and 0 <= wait_s <= MAX_WAIT_S):
            return web.Response(status=400)
        body = await request.read()
        signature = self._judge(request, body)
        message = {
            "date": time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime()),
            "path": request.path_qs,
            "id": request.headers.get("webhook-id", ""),
            "signature": signature,
            "content": body.decode(errors="replace"),
        }
        if not keep(self._folder, next(self._count), message):
            return web.Response(status=503)
        await asyncio.sleep(wait_s)
        return web.Response(status=400 if signature == "wrong" else answer)

    def _judge(self, request: web.Request, body: bytes) -> str:
        secret = self._secrets.get(request.path)
        if secret is None:
            return "unknown"
        from weft_client import webhooks

        try:
            webhooks.verify(body, request.headers, secret)
        except webhooks.WebhookInvalid:
            return "wrong"
        return "right"

    async def list(self, _: web.Request) -> web.Response:
        """The newest webhooks as JSON, oldest first."""
        return web.json_response({"messages": messages(self._folder)[-MAX_SHOWN:]})

    async def page(self, _: web.Request) -> web.Response:
        """The newest webhooks as a page, newest first."""
        rows = "".join(
            "<tr>"
            + "".join(f"<td>{html.escape(found[name])}" for name in ("date", "path", "id", "signature", "content"))
            for found in reversed(messages(self._folder)[-MAX_SHOWN:])
        )
        text = f"<!doctype html><html lang=en><meta charset=utf-8><title>Webhooks</title><table>{rows}</table>"
        headers = {"content-security-policy": "default-src 'none'", "x-content-type-options": "nosniff"}
        return web.Response(text=text, content_type="text/html", headers=headers)


if __name__ == "__main__":
    os.umask(0o077)
    sink = Sink(Path(sys.argv[2]), secret("WEFT_WEBHOOK_PASSWORD"))
    host = next(iter(sys.argv[3:]), "127.0.0.1")
    print(f"takes webhooks on {host}:{sys.argv[1]}", flush=True)
    web.run_app(sink.app(), host=host, port=int(sys.argv[1]), print=None, access_log=None)
