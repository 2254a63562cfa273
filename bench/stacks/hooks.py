"""A receiver of webhooks: `python -m bench.stacks.hooks host:port`.

`POST /at/{name}` accepts and notes when the event's subject came first; `POST /dead` never answers. `GET /at/{name}` is what came, from
subject to Unix seconds; `GET /count` is how many requests there were at all. `DELETE /at/{name}` forgets.
"""

import asyncio
import json
import sys
import time
from collections import defaultdict

from aiohttp import web


class Hooks:
    """What came."""

    def __init__(self) -> None:
        self._arrived: dict[str, dict[str, float]] = defaultdict(dict)
        self._count = 0

    def app(self) -> web.Application:
        """The server's routes."""
        app = web.Application()
        app.router.add_post("/at/{name}", self.take)
        app.router.add_get("/at/{name}", self.show)
        app.router.add_delete("/at/{name}", self.forget)
        app.router.add_get("/count", self.count)
        app.router.add_post("/dead", self.hang)
        return app

    async def take(self, request: web.Request) -> web.Response:
        """Accept."""
        now = time.time()
        self._count += 1
        self._arrived[request.match_info["name"]].setdefault(json.loads(await request.read())["subjectId"], now)
        return web.Response(status=204)

    async def show(self, request: web.Request) -> web.Response:
        """From subject to when it came."""
        return web.json_response(self._arrived[request.match_info["name"]])

    async def forget(self, request: web.Request) -> web.Response:
        """Begin a round."""
        self._arrived.pop(request.match_info["name"], None)
        return web.Response(status=204)

    async def count(self, _: web.Request) -> web.Response:
        """How many requests there were."""
        return web.Response(text=str(self._count))

    async def hang(self, _: web.Request) -> web.Response:
        """Never answer."""
        await asyncio.Event().wait()
        return web.Response()


if __name__ == "__main__":
    host, _, port = sys.argv[1].rpartition(":")
    web.run_app(Hooks().app(), host=host, port=int(port), print=None, access_log=None)
