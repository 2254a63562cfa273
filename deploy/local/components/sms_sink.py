"""A provider of text messages that keeps what it gets: `python -m deploy.local.components.sms_sink PORT FOLDER [HOST]`.

It speaks Twilio's REST API (`POST /2010-04-01/Accounts/{sid}/Messages.json`), keeps each message as a JSON file, and shows
them: `/` is a page, `/messages.json` is for programs. Everything needs the account and the password in `WEFT_SMS_PASSWORD`
(HTTP Basic), so it is for no other user and no web page. Twilio's test numbers fail as they do there. Where a message asks for
it (`StatusCallback`), and `WEFT_EDGE_URL` is set, the sink says later that it was sent and has arrived, or not.
"""

import base64
import hmac
import html
import itertools
import json
import os
import re
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from deploy.local.components import callbacks
from deploy.local.state import endpoints
from deploy.local.state.secret import secret

ACCOUNT, NUMBER = endpoints.SMS_ACCOUNT, endpoints.SMS_NUMBER
MAX_MESSAGES = 5_000
"""Messages that are kept; the oldest are removed first."""
MAX_SHOWN = 200
_MAX_BODY_BYTES = 65_536
_TEST_NUMBERS = {
    "+15005550001": (21211, "is not a valid phone number"),
    "+15005550004": (21610, "has unsubscribed"),
    "+15005550009": (21614, "is not a mobile number"),
}
_LATER = {
    "+15005550030": ("undelivered", "30005"),
    "+15005550031": ("undelivered", "30003"),
    "+15005550032": ("failed", "21610"),
}
"""Numbers of our own: taken, and then not delivered, with Twilio's code for why."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Sink:
    """Writes each message as one file, under a name that sorts by time."""

    def __init__(self, folder: Path, password: str, edge_url: str = "") -> None:
        self._folder = folder
        self._password = password
        self._callbacks = callbacks.Callbacks(edge_url)
        self._credentials = base64.b64encode(f"{ACCOUNT}:{password}".encode())
        self._count = itertools.count()

    def app(self) -> web.Application:
        """The server's routes."""
        app = web.Application(middlewares=[self._authenticate], client_max_size=_MAX_BODY_BYTES)
        app.router.add_post("/2010-04-01/Accounts/{sid}/Messages.json", self.create)
        app.router.add_get("/messages.json", self.list)
        app.router.add_get("/", self.page)
        return app

    @web.middleware
    async def _authenticate(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic" or not hmac.compare_digest(given.encode(), self._credentials):
            reply = _error(401, 20003, "Authenticate")
            reply.headers["www-authenticate"] = 'Basic realm="text messages", charset="UTF-8"'
            return reply
        return await handler(request)

    async def create(self, request: web.Request) -> web.Response:
        """Keep a message; answers once it is a file."""
        if request.match_info["sid"] != ACCOUNT:
            return _error(404, 20404, "The requested resource was not found")
        form = await request.post()
        to, body = str(form.get("To", "")), str(form.get("Body", ""))
        sender = str(form.get("MessagingServiceSid", "") or form.get("From", ""))
        if to in _TEST_NUMBERS:
            code, problem = _TEST_NUMBERS[to]
            return _error(400, code, f"The number {to} {problem}")
        if not re.fullmatch(r"\+[1-9][0-9]{6,14}", to):
            return _error(400, 21211, f"The 'To' number {to} is not a valid phone number")
        if not sender:
            return _error(400, 21603, "A 'From' phone number is required")
        if not 0 < len(body) <= 1600:
            return _error(400, 21617, "The message body must have 1 to 1600 characters")
        number = next(self._count)
        message = {
            "sid": f"SM{time.time_ns():016x}{os.getpid() & 0xFFFF:04x}{number & 0xFFFFFFFFFFFF:012x}",
            "date_created": time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime()),
            "account_sid": ACCOUNT,
            "status": "queued",
            "to": to,
            "from": sender,
            "body": body,
        }
        name = f"{time.time_ns() // 1_000_000:013d}-{os.getpid()}-{number:06d}.json"
        draft = self._folder / f".{name}"
        try:
            draft.write_text(json.dumps(message, ensure_ascii=False))
            draft.replace(self._folder / name)
        except OSError as error:
            print(f"a text message could not be kept: {error.strerror}", flush=True)
            return _error(503, 20503, "Service unavailable")
        if number % 500 == 0:
            for file in stored(self._folder)[:-MAX_MESSAGES]:
                file.unlink(missing_ok=True)
        if url := str(form.get("StatusCallback", "")):
            told = [callbacks.twilio(url, each, self._password) for each in statuses(str(message["sid"]), to)]
            for headers, content in told:
                self._callbacks.post(callbacks.path_of(url), headers, [content])
        return web.json_response(message, status=201)

    async def list(self, _: web.Request) -> web.Response:
        """The newest messages as JSON, oldest first."""
        return web.json_response({"messages": messages(self._folder)[-MAX_SHOWN:]})

    async def page(self, _: web.Request) -> web.Response:
        """The newest messages as a page, newest first."""
        rows = "".join(
            f"<tr><td>{html.escape(found['date_created'])}<td>{html.escape(found['to'])}<td>{html.escape(found['body'])}"
            for found in reversed(messages(self._folder)[-MAX_SHOWN:])
        )
        text = f"<!doctype html><html lang=en><meta charset=utf-8><title>Text messages</title><table>{rows}</table>"
        headers = {"content-security-policy": "default-src 'none'", "x-content-type-options": "nosniff"}
        return web.Response(text=text, content_type="text/html", headers=headers)


def statuses(sid: str, to: str) -> list[dict[str, str]]:
    """The forms of the callbacks about a message: that it was sent, and what became of it."""
    status, code = _LATER.get(to, ("delivered", ""))
    form = {
        "AccountSid": ACCOUNT,
        "MessageSid": sid,
        "SmsSid": sid,
        "From": NUMBER,
        "To": to,
        "ApiVersion": "2010-04-01",
    }
    end = {**form, "MessageStatus": status, "SmsStatus": status}
    return [{**form, "MessageStatus": "sent", "SmsStatus": "sent"}, {**end, "ErrorCode": code} if code else end]


def stored(folder: Path) -> list[Path]:
    """The messages that are wholly written, oldest first."""
    return sorted(folder.glob("[!.]*.json"))


def messages(folder: Path, recipient: str = "") -> list[dict[str, Any]]:
    """What was kept, oldest first; to one number, or to all."""
    found = [json.loads(file.read_text()) for file in stored(folder)]
    return [message for message in found if message["to"] == recipient or not recipient]


def _error(status: int, code: int, message: str) -> web.Response:
    more = f"https://www.twilio.com/docs/errors/{code}"
    return web.json_response({"code": code, "message": message, "more_info": more, "status": status}, status=status)


if __name__ == "__main__":
    os.umask(0o077)
    sink = Sink(Path(sys.argv[2]), secret("WEFT_SMS_PASSWORD"), os.environ.get("WEFT_EDGE_URL", ""))
    host = next(iter(sys.argv[3:]), "127.0.0.1")
    print(f"takes text messages on {host}:{sys.argv[1]}", flush=True)
    web.run_app(sink.app(), host=host, port=int(sys.argv[1]), print=None, access_log=None)
