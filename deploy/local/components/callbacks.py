"""What the sinks say later of what they took, signed as the providers do that they stand for.

Written from the providers' manuals and not from the service's code, which verifies it.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit

SENDGRID_PATH = "/v1/providers/sendgrid/events"
MAX_WAITING = 1_000
"""Requests that are on their way; what comes while there are as many is not told."""
_TRIES = 6
_FIRST_PAUSE_S = 0.3


class Callbacks:
    """Posts to the edge, again where it does not answer."""

    def __init__(self, edge_url: str) -> None:
        """`edge_url` is where the edge is found from here, whatever callers know it by; empty for nowhere."""
        self._edge_url = edge_url.rstrip("/")
        self._waiting: set[asyncio.Task[None]] = set()

    def post(self, path: str, headers: Mapping[str, str], bodies: Sequence[bytes]) -> None:
        """Send bodies one after the other, and do not wait for it."""
        if self._edge_url and len(self._waiting) < MAX_WAITING:
            task = asyncio.get_running_loop().create_task(self._post(path, headers, bodies))
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)

    async def _post(self, path: str, headers: Mapping[str, str], bodies: Sequence[bytes]) -> None:
        from aiohttp import (  # only sinks that are asked for callbacks carry it
            ClientError,
            ClientSession,
            ClientTimeout,
        )

        async with ClientSession(timeout=ClientTimeout(total=5.0)) as session:
            for body in bodies:
                for number in range(_TRIES):
                    await asyncio.sleep(_FIRST_PAUSE_S * 2**number)
                    try:
                        async with session.post(f"{self._edge_url}{path}", headers=headers, data=body) as reply:
                            if reply.status < 500:
                                break
                    except (TimeoutError, ClientError, OSError):
                        continue


def twilio(url: str, form: Mapping[str, str], token: str) -> tuple[dict[str, str], bytes]:
    """Headers and body of a status callback to `url`."""
    signed = url + "".join(name + form[name] for name in sorted(form))
    signature = base64.b64encode(hmac.new(token.encode(), signed.encode(), hashlib.sha1).digest()).decode()
    kind = "application/x-www-form-urlencoded; charset=UTF-8"
    return {"Content-Type": kind, "X-Twilio-Signature": signature}, urlencode(form).encode()


def sendgrid(events: Sequence[Mapping[str, Any]], key: str, seconds: int | None = None) -> tuple[dict[str, str], bytes]:
    """Headers and body of an event webhook, signed at `seconds` since 1970, or now. `key` is private, as in the mesh's secrets."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256

    from deploy.local.state.credentials import private_key

    body = json.dumps(events).encode()
    timestamp = str(int(time.time()) if seconds is None else seconds)
    signature = private_key(key).sign(timestamp.encode() + body, ec.ECDSA(SHA256()))
    return {
        "Content-Type": "application/json",
        "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
        "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
    }, body


def path_of(url: str) -> str:
    """Path and query of a URL."""
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
