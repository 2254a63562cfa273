"""Lists that are fetched page by page as they are walked over."""

from collections.abc import AsyncIterator
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

from weft_client.aio.unary import AsyncUnary

Item = TypeVar("Item")
Page = TypeVar("Page", bound=Message)


class AsyncPages(Generic[Item, Page]):
    """A list, not yet fetched: `async for` walks over its items through all pages; `page` fetches one page."""

    def __init__(self, call: AsyncUnary[Any, Page], request: Any, items: str, timeout: float | None) -> None:
        self._call, self._request, self._items, self._timeout = call, request, items, timeout

    async def page(self) -> Page:
        """The requested page, with its `next_page_token`. Raises `WeftError`."""
        return await self._call(self._request, self._timeout)

    async def pages(self) -> AsyncIterator[Page]:
        """This page and all that follow. Raises `WeftError`; `timeout` holds for each page."""
        request = type(self._request)()
        request.CopyFrom(self._request)
        while True:
            page: Any = await self._call(request, self._timeout)
            yield page
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def __aiter__(self) -> AsyncIterator[Item]:
        """The items of this page and of all that follow. Raises `WeftError`."""
        async for page in self.pages():
            for item in getattr(page, self._items):
                yield item
