"""What a hostile caller does, from an address of its own, each in a process of its own until it is ended.

Bounded: one attacker at a time, on loopback, for seconds.
"""

import resource
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count

import httpx

from tests.edge.raw_http2 import RawConnection

ADDRESS = "127.0.0.2"
"""Where attackers come from; the innocent come from 127.0.0.1."""
JSON = {"content-type": "application/json"}
LINES = '{"paymentMethod":"pm_sandbox_ok","customerId":"me","lines":[%s]}'
Attack = Callable[[str, str], None]


def client(url: str, token: str = "") -> httpx.Client:
    """A client that speaks from the attackers' address."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return httpx.Client(base_url=url, headers=headers, transport=httpx.HTTPTransport(local_address=ADDRESS), timeout=30)


def post(url: str, token: str, body: str, **headers: str) -> None:
    """Post an order again and again, as fast as it is answered."""
    with client(url, token) as http:
        for _ in count():
            with suppress(httpx.HTTPError):
                http.post("/v1/orders", content=body, headers=JSON | headers)


def a_mebibyte_without_a_token(url: str, _: str) -> None:
    """JSON that took the edge's worker 50 ms before anyone asked who sent it."""
    post(url, "", LINES % ",".join(["{}"] * 349_000))


def a_mebibyte_with_a_token(url: str, token: str) -> None:
    """The same of someone who may order."""
    post(url, token, LINES % ",".join(["{}"] * 349_000))


def as_many_lines_as_fit(url: str, token: str) -> None:
    """What the edge lets through, all of it wrong."""
    post(url, token, LINES % ",".join(["{}"] * 12_000))


def three_hundred_empty_lines(url: str, token: str) -> None:
    """Violations that outgrew the trailer, and ended the connection that all callers share."""
    post(url, token, LINES % ",".join(["{}"] * 300))


def headers_at_the_promise(url: str, token: str) -> None:
    """Headers that services refused by chance."""
    post(url, token, LINES % "{}", **{"x-note": "x" * 31_000})


def half_sent_bodies(url: str, token: str) -> None:
    """Five HTTP/2 connections of bodies that do not end; as soon as they are answered, five more."""
    target = url.removeprefix("http://").replace("localhost", "127.0.0.1")
    while True:
        opened: list[RawConnection] = []
        with suppress(OSError):
            for _ in range(5):
                opened.append(RawConnection(target, ADDRESS))
                for _ in range(100):
                    opened[-1].begin("/v1/orders", token, sent=b'{"note":"' + b"x" * 500)
                opened[-1].listen(0.01)
            for one in opened:
                one.listen(0.5)
        for one in opened:
            one.close()


def half_sent_bodies_of_strangers(url: str, _: str) -> None:
    """The same without a token."""
    half_sent_bodies(url, "")


def silent_connections(url: str, _: str) -> None:
    """10,000 connections that say nothing, or as many as this process may open; those that are closed are opened again."""
    port = int(url.rpartition(":")[2])
    most = min(10_000, resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 100)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most + 100, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    opened: list[socket.socket] = []
    while True:
        while len(opened) < most:
            with suppress(OSError):
                opened.append(socket.create_connection(("127.0.0.1", port), timeout=5, source_address=(ADDRESS, 0)))
        time.sleep(1)
        for one in opened[most // 2 :]:
            one.close()
        del opened[most // 2 :]


def all_the_streams(url: str, token: str) -> None:
    """256 watches of one user, opened again as they are refused."""
    target = url.removeprefix("http://").replace("localhost", "127.0.0.1")
    while True:
        opened: list[RawConnection] = []
        with suppress(OSError):
            for _ in range(3):
                opened.append(RawConnection(target, ADDRESS))
                for _ in range(86):
                    opened[-1].ask("/v1/orders:watch", token)
            for one in opened:
                one.listen(0.5)
        for one in opened:
            one.close()


ATTACKS: tuple[Attack, ...] = (
    a_mebibyte_without_a_token,
    a_mebibyte_with_a_token,
    as_many_lines_as_fit,
    three_hundred_empty_lines,
    headers_at_the_promise,
    half_sent_bodies,
    half_sent_bodies_of_strangers,
    silent_connections,
    all_the_streams,
)
