"""What every client has: connections, made from addresses, and their end."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from weft_client.aio.auth import auth as serving
from weft_client.aio.connection import AsyncConnection
from weft_client.calls.retries import DEFAULT, Retries
from weft_client.credentials import Bearer, Credentials
from weft_client.target import addresses_of
from weft_client.tls import MutualTls, Plaintext, Tls


class AsyncClient:
    """Connections that are closed together."""

    def __init__(self) -> None:
        self._connections: list[AsyncConnection] = []

    async def close(self) -> None:
        """Close all connections; calls that still run are cancelled. A closed client cannot be used again."""
        for connection in self._connections:
            await connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class AsyncEdgeClient(AsyncClient):
    """All services behind one address."""

    def __init__(
        self,
        address: str | Sequence[str],
        *,
        auth: Bearer | Credentials | None = None,
        ca: str | Path | None = None,
        tls: Tls | MutualTls | Plaintext | None = None,
        server_name: str = "",
        retries: Retries = DEFAULT,
    ) -> None:
        """Opens nothing yet: the first call does.

        Args:
            address: `host:port` of the edge, also with `https://` before it; several edges by their IP addresses, or by one
                name that has them all.
            auth: `ClientCredentials`, `Password` or `Bearer`; without it only public calls are answered.
            ca: PEM file of the authorities to trust, where they are not the system's.
            tls: In place of `ca`: `Tls`, `MutualTls`, or `Plaintext` in tests.
            server_name: What the server's certificate says, where it is not the host of the address.
            retries: How often and how soon failed calls are sent again.
        """
        super().__init__()
        secured = tls if tls is not None else Tls(ca)
        addresses = addresses_of(address, secure=not isinstance(secured, Plaintext))
        self._connection = AsyncConnection(
            addresses, None if isinstance(secured, Plaintext) else secured, retries, server_name=server_name
        )
        self._connections.append(self._connection)
        self._auth = serving(self._connection, auth)
        self._bind()

    def _bind(self) -> None:
        """Make the services; generated."""


class AsyncMeshClient(AsyncClient):
    """Each service at its own addresses."""

    def __init__(self, peers: Mapping[str, Sequence[str]], tls: MutualTls | None, retries: Retries) -> None:
        super().__init__()
        self._peers, self._tls, self._retries = peers, tls, retries
        self._by_service: dict[str, AsyncConnection] = {}

    def _peer(self, service: str) -> AsyncConnection:
        """The connection to a service, whose certificate must have its name in the mesh."""
        if service not in self._by_service:
            connection = AsyncConnection(
                self._peers.get(service, ()),
                self._tls,
                self._retries,
                server_name=f"{service}.weft.internal",
                name=service,
                proxied=False,  # services of one mesh reach one another directly
            )
            self._by_service[service] = connection
            self._connections.append(connection)
        return self._by_service[service]
