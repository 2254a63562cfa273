"""The application, in RSGI's bare terms: routes, checks, one error shape."""

import asyncio
import gc
from typing import Any
from urllib.parse import parse_qs

import aiohttp
import asyncpg
import msgspec
from opentelemetry.trace import Span, Status, StatusCode

from bench.peers import telemetry
from bench.peers.customers import Customers
from bench.peers.granian_msgspec.schemas import ErrorOut, OrderIn, PageOut, UserOut
from bench.peers.granian_msgspec.store import Orders
from bench.peers.granian_msgspec.tracing import Tracing
from bench.peers.refusals import STATUS, Refused
from bench.peers.settings import Settings
from bench.peers.tokens import Caller, InvalidToken, Verifier

JSON = [("content-type", "application/json")]
REPLAYED = [*JSON, ("idempotency-replayed", "true")]
ORDERS, USERS = "/v1/orders", "/v1/users"
_USER = "SELECT user_id, email, display_name, locale, state, partner_id, create_time, update_time FROM users WHERE user_id = $1"
_DECODER = msgspec.json.Decoder(OrderIn)
_ENCODER = msgspec.json.Encoder()

Reply = tuple[int, list[tuple[str, str]], bytes]


class _Failed(Exception):
    """The request ends here."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason = status, reason


class App:
    """One worker's application, set up from the environment."""

    def __init__(self) -> None:
        self._settings = Settings()  # type: ignore[call-arg]  # what has no default is in the environment
        self._verifier = Verifier(self._settings)
        telemetry.start(self._settings, "peer-c")
        self._tracing = Tracing()

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Before the first request."""
        loop.run_until_complete(self._open())

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        """After the last one."""
        loop.run_until_complete(self._close())

    async def _open(self) -> None:
        size = self._settings.pool_size
        url = self._settings.database_url.replace("+asyncpg", "", 1)
        # What one request leaves in a session another cannot see, so nothing is reset, which were a round trip more for each.
        self._pool = await asyncpg.create_pool(url, min_size=size, max_size=size, reset=_keep)
        self._http = aiohttp.ClientSession(headers={"authorization": f"Bearer {self._settings.users_token}"})
        self._orders = Orders(self._pool, self._tracing)
        self._customers = Customers(self._partner_of)
        # What is there stays: collections look only at what requests make, and more seldom.
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 20, 20)

    async def _close(self) -> None:
        await self._http.close()
        await self._pool.close()

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        """Answers a request."""
        method, path = scope.method, scope.path
        route = path if path == ORDERS else f"{path.rpartition('/')[0]}/{{id}}"
        span = self._tracing.request(method, route, scope.headers.get("traceparent"))
        try:
            status, headers, body = await self._answer(method, path, scope, protocol, span)
        except Refused as error:
            status, headers, body = _error(STATUS[error.code], error.reason, str(error))
        except _Failed as error:
            status, headers, body = _error(error.status, error.reason, str(error))
        except Exception as error:
            span.record_exception(error)
            span.set_status(Status(StatusCode.ERROR))
            status, headers, body = _error(500, "INTERNAL", "The request failed.")
        span.set_attribute("http.response.status_code", status)
        span.end()
        protocol.response_bytes(status, headers, body)

    async def _answer(self, method: str, path: str, scope: Any, protocol: Any, span: Span) -> Reply:
        if path == ORDERS:
            if method == "POST":
                return await self._create(self._caller(scope, "orders.write"), scope, protocol, span)
            if method == "GET":
                return await self._list(self._caller(scope, "orders.read"), scope, span)
            raise _Failed(405, "METHOD_NOT_ALLOWED", "There is no such method.")
        start, _, name = path.rpartition("/")
        if method == "GET" and start == ORDERS:
            order = await self._orders.get(span, self._caller(scope, "orders.read"), name)
            return 200, JSON, _ENCODER.encode(order)
        if method == "GET" and start == USERS:
            self._caller(scope, "users.read")
            return await self._user(name)
        raise _Failed(404, "NOT_FOUND", "There is nothing here.")

    def _caller(self, scope: Any, needed: str) -> Caller:
        try:
            caller = self._verifier.verify((scope.headers.get("authorization") or "").removeprefix("Bearer "))
        except InvalidToken as error:
            raise _Failed(401, "UNAUTHENTICATED", "The token is not valid.") from error
        if needed not in caller.scopes:
            raise _Failed(403, "SCOPE_MISSING", f"The token lacks the scope {needed}.")
        return caller

    async def _create(self, caller: Caller, scope: Any, protocol: Any, span: Span) -> Reply:
        key = scope.headers.get("idempotency-key") or ""
        if not 1 <= len(key) <= 255:
            raise _Failed(400, "IDEMPOTENCY_KEY_MISSING", "The call needs an idempotency-key.")
        try:
            new = _DECODER.decode(await protocol())
        except msgspec.DecodeError as error:
            raise _Failed(400, "REQUEST_INVALID", str(error)) from error
        customer_id = await self._customers.check(caller, new.customer_id)
        body, replayed = await self._orders.place(span, caller, key, customer_id, new)
        return 201, REPLAYED if replayed else JSON, body

    async def _list(self, caller: Caller, scope: Any, span: Span) -> Reply:
        asked = parse_qs(scope.query_string)
        try:
            size = int(asked.get("pageSize", ["50"])[0])
        except ValueError:
            size = -1
        token = asked.get("pageToken", [""])[0]
        if size < 0 or len(token) > 1000:
            raise _Failed(400, "REQUEST_INVALID", "pageSize or pageToken is out of bounds.")
        orders, following = await self._orders.page(span, caller, min(size or 50, 1000), token)
        return 200, JSON, _ENCODER.encode(PageOut(orders, following))

    async def _user(self, user_id: str) -> Reply:
        row = await self._pool.fetchrow(_USER, user_id)
        if row is None:
            raise Refused("NOT_FOUND", "USER_NOT_FOUND", "There is no such user.")
        return 200, JSON, _ENCODER.encode(UserOut(*row.values()))

    async def _partner_of(self, user_id: str) -> str | None:
        url = f"{self._settings.users_url}{USERS}/{user_id}"
        async with self._http.get(url) as reply:
            if reply.status == 404:
                return None
            reply.raise_for_status()
            return msgspec.json.decode(await reply.read(), type=UserOut).partner_id


def _error(status: int, reason: str, message: str) -> Reply:
    return status, JSON, _ENCODER.encode(ErrorOut(status, reason, message))


async def _keep(_: Any) -> None:
    pass


def create() -> App:
    """The factory that Granian calls in each worker."""
    return App()
