"""The largest calls, valid and hostile, through the whole chain over a real socket: a service's loop stays free.

Client and server share this thread's loop, so its CPU time is theirs together: more than the server's alone.
"""

import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from importlib import import_module

import pytest

from chassis.app import App
from contract import Caller, Method
from tests.contract.sizes import requests
from tests.contract.sizes.pace import MOST_S, RUNS, is_short
from tests.contract.sizes.requests import CONTRACT
from tests.harness import Harness, Issuer, Running, reason_of

SCOPES = " ".join(sorted({method.scope for method in CONTRACT.methods if method.scope}))


def token(issuer: Issuer, method: Method) -> str:
    """A token of the first kind of caller that may call; empty where none is asked for."""
    if Caller.USER in method.callers:
        return issuer.user("usr_01k00000000000000000000000", SCOPES)
    if Caller.OPERATOR in method.callers:
        return issuer.operator("usr_01k00000000000000000000001", SCOPES)
    return issuer.partner("prt_01k00000000000000000000000", SCOPES) if Caller.PARTNER in method.callers else ""


async def answer(running: Running, method: Method, data: bytes, authorization: str) -> str:
    """Call with these bytes, up to the first reply; the reason where it is refused."""
    metadata = [("idempotency-key", secrets.token_hex(8))]
    metadata += [("authorization", authorization)] if authorization else []
    if not method.server_streaming:
        return await reason_of(running.channel.unary_unary(method.path)(data, metadata=metadata, timeout=20))
    call = running.channel.unary_stream(method.path)(data, metadata=metadata, timeout=20)
    reason = await reason_of(call.read())
    call.cancel()
    return reason


async def busy(ask: Callable[[], Awaitable[object]]) -> float:
    """Seconds of CPU time of the quickest of up to ten runs: other load makes it only longer."""
    least = float("inf")
    for _ in range(RUNS):
        begun = time.thread_time()
        await ask()
        least = min(least, time.thread_time() - begun)
        if least < MOST_S:
            break
    return least


STRUCT = "google.protobuf.Struct"


Case = tuple[Method, str, bytes, str]
"""An RPC, what its request is like, the request, and the token."""


@pytest.mark.parametrize("package", CONTRACT.packages)
async def test_the_largest_calls_are_answered(harness: Harness, package: str) -> None:
    async with serving(harness, package) as running:
        for method, case, data, authorization in cases(harness, package):
            reason = await answer(running, method, data, authorization)
            assert reason not in ("INTERNAL_FAULT", "TOKEN_INVALID", "SCOPE_MISSING"), (method.full_name, case)
            # What a Struct has to hold is not in the contract.
            if case == "valid" and not list(requests.fields(requests.empty(method).DESCRIPTOR, [STRUCT])):
                assert reason not in ("REQUEST_INVALID", "MESSAGE_MALFORMED", "BODY_TOO_LARGE"), method.full_name


@pytest.mark.soak
@pytest.mark.parametrize("package", CONTRACT.packages)
async def test_the_largest_calls_keep_the_loop_busy_for_less_than_50_ms(harness: Harness, package: str) -> None:
    async with serving(harness, package) as running:
        for method, case, data, authorization in cases(harness, package):
            seconds = await busy(lambda m=method, d=data, a=authorization: answer(running, m, d, a))
            assert is_short(seconds), (method.full_name, case)


@asynccontextmanager
async def serving(harness: Harness, package: str) -> AsyncIterator[Running]:
    """The service of a package, without work of its own."""
    name = package.split(".")[1]

    async def build(weft: App) -> None:
        await import_module(f"services.{name}.__main__").build(weft)
        weft.tokens.use(harness.issuer.jwks)  # the user service's own keys are not ours

    nobody = {"user": ["127.0.0.1:1"]}
    async with harness.running(name, build, work=False, peers=nobody) as running:
        yield running


def cases(harness: Harness, package: str) -> Iterator[Case]:
    """Every RPC of a package with its largest valid request, and with hostile ones."""
    for method in (method for method in CONTRACT.methods if method.package == package):
        authorization = token(harness.issuer, method)
        for case, data in [("valid", requests.valid(method).SerializeToString()), *requests.hostile(method)]:
            yield method, case, data, authorization
