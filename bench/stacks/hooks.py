"""A receiver of webhooks: `python -m bench.stacks.hooks host:port`. A protocol of its own, so that it takes as little of the shared cores as it can.

`POST /at/{name}` accepts and notes when the event's subject came first; `POST /dead` never answers. `GET /at/{name}` is what came, from
subject to Unix seconds; `GET /count` is how many requests there were at all. `DELETE /at/{name}` forgets.
"""

import asyncio
import json
import sys
import time
from collections import defaultdict
from typing import cast

import uvloop


class Hooks:
    """What came."""

    def __init__(self) -> None:
        self.count = 0
        self.arrived: dict[str, dict[str, float]] = defaultdict(dict)

    def answer(self, method: str, path: str, body: bytes) -> bytes | None:
        """The body of the answer; None where there is none, ever."""
        name = path.removeprefix("/at/")
        if method == "GET":
            return str(self.count).encode() if path == "/count" else json.dumps(self.arrived[name]).encode()
        if method == "DELETE":
            self.arrived.pop(name, None)
        elif path == "/dead":
            return None
        else:
            self.count += 1
            self.arrived[name].setdefault(json.loads(body)["subjectId"], time.time())
        return b""


class Connection(asyncio.Protocol):
    """HTTP/1.1 as aiohttp's client speaks it: requests one after another, their bodies with a length."""

    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what answers are written to."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by type

    def data_received(self, data: bytes) -> None:
        """Answer what is complete."""
        self._received += data
        while (end := self._received.find(b"\r\n\r\n") + 4) > 3:
            head = self._received[:end].lower()
            at = head.find(b"\r\ncontent-length:")
            size = end + (int(head[at + 17 : head.find(b"\r\n", at + 17)]) if at >= 0 else 0)
            if len(self._received) < size:
                return
            method, path, _ = self._received[: head.find(b"\r\n")].decode().split(" ")
            content, self._received = self._received[end:size], self._received[size:]
            answer = self._hooks.answer(method, path, content)
            if answer is not None:
                self._transport.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
                    % (len(answer), answer)
                )


async def serve(host: str, port: int) -> None:
    """Serves until the process ends."""
    hooks = Hooks()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(hooks), host, port)
    await server.serve_forever()


if __name__ == "__main__":
    address, _, number = sys.argv[1].rpartition(":")
    uvloop.run(serve(address, int(number)))
