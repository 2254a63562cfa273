"""Both flavours of the client behind one interface, so that one test covers both."""

import asyncio
from collections.abc import Callable
from typing import Any

from weft_client import AsyncWeft, Weft


class Asyncio:
    """`AsyncWeft`."""

    def __init__(self, address: Any, **options: Any) -> None:
        self.client = AsyncWeft(address, **options)

    async def call(self, name: str, **arguments: Any) -> Any:
        """`orders.get_order` and the like."""
        return await _method(self.client, name)(**arguments)

    async def items(
        self, name: str, most: int = 1_000_000, seen: Callable[[], object] = bool, **arguments: Any
    ) -> list[Any]:
        """The items of a list, or the messages of a stream, of which at most `most`; `seen` is called for each."""
        found = []
        walked = _method(self.client, name)(**arguments)
        async for item in walked:
            found.append(item)
            seen()
            if len(found) == most:
                await walked.close()
        return found

    def stream(self, name: str, **arguments: Any) -> "AsyncioStream":
        """A stream, to be read message by message."""
        return AsyncioStream(_method(self.client, name)(**arguments))

    async def close(self) -> None:
        await self.client.close()


class AsyncioStream:
    def __init__(self, walked: Any) -> None:
        self._walked = walked

    async def read(self) -> Any:
        """The next message; None at the end."""
        return await anext(self._walked, None)

    async def close(self) -> None:
        await self._walked.close()


class Blocking:
    """`Weft`, each call in a thread."""

    def __init__(self, address: Any, **options: Any) -> None:
        self.client = Weft(address, **options)

    async def call(self, name: str, **arguments: Any) -> Any:
        """`orders.get_order` and the like."""
        return await asyncio.to_thread(_method(self.client, name), **arguments)

    async def items(
        self, name: str, most: int = 1_000_000, seen: Callable[[], object] = bool, **arguments: Any
    ) -> list[Any]:
        """The items of a list, or the messages of a stream, of which at most `most`; `seen` is called for each."""

        def walk() -> list[Any]:
            found = []
            walked = _method(self.client, name)(**arguments)
            for item in walked:
                found.append(item)
                seen()
                if len(found) == most:
                    walked.close()
            return found

        return await asyncio.to_thread(walk)

    def stream(self, name: str, **arguments: Any) -> "BlockingStream":
        """A stream, to be read message by message."""
        return BlockingStream(_method(self.client, name)(**arguments))

    async def close(self) -> None:
        await asyncio.to_thread(self.client.close)


class BlockingStream:
    def __init__(self, walked: Any) -> None:
        self._walked = walked

    async def read(self) -> Any:
        """The next message; None at the end."""
        return await asyncio.to_thread(next, self._walked, None)

    async def close(self) -> None:
        await asyncio.to_thread(self._walked.close)


def _method(client: Any, name: str) -> Any:
    service, _, method = name.partition(".")
    return getattr(getattr(client, service), method)
