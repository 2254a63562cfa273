"""Tokens: fetched when first needed, cached, renewed before they end, by one fetch at a time."""

from time import monotonic
from typing import Any

from weft_client.aio.connection import AsyncConnection
from weft_client.aio.platform import Lock
from weft_client.aio.unary import AsyncAuth, AsyncUnary
from weft_client.credentials import Bearer, Credentials, Token
from weft_client.failures import Unauthenticated, WeftError


class AsyncFixed:
    """A token that is not renewed."""

    def __init__(self, bearer: Bearer) -> None:
        self._header = f"Bearer {bearer.token}"

    def current(self) -> str | None:
        """The header."""
        return self._header

    async def fetch(self) -> str:
        """The header."""
        return self._header

    def refused(self, header: str) -> bool:  # noqa: ARG002
        """There is no other."""
        return False


class AsyncTokenSource:
    """Fetches tokens by calls over the client's own connection."""

    def __init__(self, connection: AsyncConnection, credentials: Credentials) -> None:
        self._connection, self._credentials = connection, credentials
        self._calls: dict[str, AsyncUnary[Any, Any]] = {}
        self._token: Token | None = None
        self._refused = self._fetching = False
        self._lock = Lock()

    def current(self) -> str | None:
        """The header to send now; while one call renews it, the others go on with the old one to its end."""
        token = self._token
        if token is None or self._refused:
            return None
        return token.header if monotonic() < (token.end if self._fetching else token.renew) else None

    async def fetch(self) -> str:
        """A fresh header. Calls that ask at the same time share one fetch. Raises `WeftError`."""
        async with self._lock:
            header = self.current()
            if header is not None:
                return header
            self._fetching = True
            try:
                self._token = await self._next(self._token)
                self._refused = False
                return self._token.header
            except Unauthenticated:
                self._token = None
                raise
            except WeftError:
                if self._token is not None and not self._refused and monotonic() < self._token.end:
                    return self._token.header
                raise
            finally:
                self._fetching = False

    def refused(self, header: str) -> bool:
        """A service refused this header: it is not used again."""
        if self._token is not None and self._token.header == header:
            self._refused = True
        return True

    async def _next(self, last: Token | None) -> Token:
        method, request = self._credentials.ask(last)
        call = self._calls.get(method.path)
        if call is None:
            call = self._calls[method.path] = AsyncUnary(self._connection, method, None)
        try:
            reply = await call(request)
        except Unauthenticated:
            if last is None or not last.refresh:
                raise
            return await self._next(None)  # the session is over: sign in again
        return self._credentials.read(reply)


def auth(connection: AsyncConnection, credentials: Credentials | Bearer | None) -> AsyncAuth | None:
    """What serves these credentials."""
    if credentials is None:
        return None
    return AsyncFixed(credentials) if isinstance(credentials, Bearer) else AsyncTokenSource(connection, credentials)
