"""A push service that opens and keeps what it gets: `python -m deploy.local.components.push_sink PORT FOLDER [HOST]`.

It stands in for a browser and its push service. `POST /subscriptions` makes a subscription, in the form in which
RegisterDevice takes it; what is posted to its endpoint is opened with the subscription's keys (RFC 8291) and kept as a JSON file.
`DELETE` of an endpoint ends it: 410 from then on. `/` is a page, `/messages.json` is for programs.

Everything but the endpoints, whose names are secrets, needs `WEFT_PUSH_PASSWORD` (HTTP Basic, any user name). Subscriptions
are kept as long as the process runs.
"""

import base64
import hmac
import html
import itertools
import json
import os
import secrets
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import http_ece  # type: ignore[import-untyped] # has no types
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02  # type: ignore[import-untyped] # has no types

from deploy.local.state.secret import secret

MAX_MESSAGES = 5_000
"""Messages that are kept; the oldest are removed first."""
MAX_SUBSCRIPTIONS = 10_000
MAX_SHOWN = 200
_MAX_BODY_BYTES = 4_096
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Sink:
    """Writes each message as one file, under a name that sorts by time."""

    def __init__(self, folder: Path, password: str) -> None:
        self._folder = folder
        self._password = password
        self._count = itertools.count()
        self._keys: dict[str, tuple[ec.EllipticCurvePrivateKey, bytes]] = {}

    def app(self) -> web.Application:
        """The server's routes."""
        app = web.Application(middlewares=[self._authenticate], client_max_size=_MAX_BODY_BYTES)
        app.router.add_post("/subscriptions", self.subscribe)
        app.router.add_post("/push/{name}", self.push)
        app.router.add_delete("/push/{name}", self.unsubscribe)
        app.router.add_get("/messages.json", self.list)
        app.router.add_get("/", self.page)
        return app

    @web.middleware
    async def _authenticate(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not request.path.startswith("/push/") and not knows(request.headers, self._password):
            headers = {"www-authenticate": 'Basic realm="push messages", charset="UTF-8"'}
            return web.Response(status=401, headers=headers)
        return await handler(request)

    async def subscribe(self, request: web.Request) -> web.Response:
        """Make a subscription."""
        if len(self._keys) >= MAX_SUBSCRIPTIONS:
            self._keys.pop(next(iter(self._keys)))
        name, key, auth = secrets.token_urlsafe(24), ec.generate_private_key(ec.SECP256R1()), secrets.token_bytes(16)
        self._keys[name] = key, auth
        point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        made = {"endpoint": f"http://{request.host}/push/{name}", "p256dh": _encode(point), "auth": _encode(auth)}
        return web.json_response(made, status=201)

    async def unsubscribe(self, request: web.Request) -> web.Response:
        """As a browser does whose owner wants no messages any more."""
        return web.Response(status=204 if self._keys.pop(request.match_info["name"], None) else 410)

    async def push(self, request: web.Request) -> web.Response:
        """Open and keep a message; answers once it is a file."""
        found = self._keys.get(request.match_info["name"])
        if found is None:
            return web.Response(status=410)
        try:
            if not Vapid02.verify(request.headers["authorization"]):
                return web.Response(status=403)
            ttl_s = int(request.headers["ttl"])
        except (KeyError, ValueError, IndexError, AssertionError):
            return web.Response(status=400)
        key, auth = found
        try:
            content = http_ece.decrypt(
                await request.read(), private_key=key, auth_secret=auth, version="aes128gcm"
            ).decode()
        except (http_ece.ECEException, ValueError):
            return web.Response(status=400)
        message = {
            "endpoint": str(request.url),
            "date": time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime()),
            "ttl_s": ttl_s,
            "topic": request.headers.get("topic", ""),
            "content": content,
        }
        kept = keep(self._folder, next(self._count), message)
        return web.Response(status=201 if kept else 503)

    async def list(self, _: web.Request) -> web.Response:
        """The newest messages as JSON, oldest first."""
        return web.json_response({"messages": messages(self._folder)[-MAX_SHOWN:]})

    async def page(self, _: web.Request) -> web.Response:
        """The newest messages as a page, newest first."""
        rows = "".join(
            f"<tr><td>{html.escape(found['date'])}<td>{html.escape(found['content'])}"
            for found in reversed(messages(self._folder)[-MAX_SHOWN:])
        )
        text = f"<!doctype html><html lang=en><meta charset=utf-8><title>Push messages</title><table>{rows}</table>"
        headers = {"content-security-policy": "default-src 'none'", "x-content-type-options": "nosniff"}
        return web.Response(text=text, content_type="text/html", headers=headers)


def knows(headers: Mapping[str, str], password: str) -> bool:
    """Whether a request has the password (HTTP Basic, any user name)."""
    scheme, _, given = headers.get("authorization", "").partition(" ")
    try:
        found = base64.b64decode(given, validate=True).partition(b":")[2]
    except ValueError:
        return False
    return scheme.lower() == "basic" and hmac.compare_digest(found, password.encode())


def keep(folder: Path, number: int, message: Mapping[str, Any]) -> bool:
    """Write a message as a file, under a name that sorts by time; whether the disk took it. Now and then the oldest go."""
    name = f"{time.time_ns() // 1_000_000:013d}-{os.getpid()}-{number:06d}.json"
    draft = folder / f".{name}"
    try:
        draft.write_text(json.dumps(message, ensure_ascii=False))
        draft.replace(folder / name)
    except OSError as error:
        print(f"a message could not be kept: {error.strerror}", flush=True)
        return False
    if number % 500 == 0:
        for file in stored(folder)[:-MAX_MESSAGES]:
            file.unlink(missing_ok=True)
    return True


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def stored(folder: Path) -> list[Path]:
    """The messages that are wholly written, oldest first."""
    return sorted(folder.glob("[!.]*.json"))


def messages(folder: Path) -> list[dict[str, Any]]:
    """What was kept, oldest first."""
    return [json.loads(file.read_text()) for file in stored(folder)]


if __name__ == "__main__":
    os.umask(0o077)
    sink = Sink(Path(sys.argv[2]), secret("WEFT_PUSH_PASSWORD"))
    host = next(iter(sys.argv[3:]), "127.0.0.1")
    print(f"takes push messages on {host}:{sys.argv[1]}", flush=True)
    web.run_app(sink.app(), host=host, port=int(sys.argv[1]), print=None, access_log=None)
