"""Keyset pagination (AIP-158): opaque signed tokens with the last key, valid for one query of one caller.

page = pages.read(request, {"list": "orders", "owner": owner, **filters})
rows = await repository.list(owner, page.limit, page.after, filters)
orders, token = pages.split(page, rows, to_message, key="order_id")

The first page is no case of its own: a list of the newest first begins after `NEWEST`, one of the oldest first after `OLDEST`.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from google.protobuf.message import Message

from chassis import errors
from chassis.security.signed_token import SignedToken

Resource = TypeVar("Resource", bound=Message)

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 1000
NEWEST = "zzz"
"""Greater than every id, in any collation."""
OLDEST = ""
"""Smaller than every id."""
MAX_PAGE_BYTES = 1024 * 1024
"""Of the serialized items of a page, unless the first item alone is larger. gRPC clients accept 4 MiB; the JSON may have
seven times as many bytes (control characters, field names), and the edge transcodes up to 8 MiB."""


class PageRequest(Protocol):
    """A request for a page; the contract's bounds refuse negative sizes."""

    @property
    def page_size(self) -> int: ...
    @property
    def page_token(self) -> str: ...


class Page(NamedTuple):
    """A page of `size` items after the key `after`. `query` binds its token to its query."""

    size: int
    after: str
    query: bytes
    is_first: bool

    @property
    def limit(self) -> int:
        """The number of rows to read: one more than `size` shows that there is a next page."""
        return self.size + 1


class Pages:
    """Reads and writes page tokens with one key."""

    def __init__(self, key: bytes) -> None:
        self._tokens = SignedToken(key)

    def read(
        self, request: PageRequest, query: Mapping[str, object], *, start: str = NEWEST, max_size: int = MAX_PAGE_SIZE
    ) -> Page:
        """The requested page. `query` has everything else that determines the list, including the owner.

        `start`: what the first item comes after; `OLDEST` for a list of the oldest first. `max_size` is less for a list whose
        items are expensive, and its contract says so.

        Raises `PageTokenInvalid` for a token that is malformed or belongs to another query.
        """
        size = min(request.page_size or DEFAULT_PAGE_SIZE, max_size)
        digest = hashlib.sha256(json.dumps(query, sort_keys=True, default=str).encode()).digest()
        if not request.page_token:
            return Page(size, start, digest, is_first=True)
        try:
            payload = self._tokens.read(request.page_token, digest)
        except ValueError:
            raise errors.PageTokenInvalid() from None
        return Page(size, str(json.loads(payload)[0]), digest, is_first=False)

    def split(
        self, page: Page, rows: Sequence[Any], message: Callable[[Any], Resource], key: str
    ) -> tuple[list[Resource], str]:
        """The messages of a page, and the token of the next page, which is empty on the last.

        `rows` were read with `page.limit`; `key` is the attribute that they are ordered by. A page ends early where it
        would have more than `MAX_PAGE_BYTES`.
        """
        shown: list[Resource] = []
        room = MAX_PAGE_BYTES
        for row in rows[: page.size]:
            made = message(row)
            room -= made.ByteSize() + 6
            if room < 0 and shown:
                break
            shown.append(made)
        more = len(rows) > len(shown)
        return shown, self.token(page, getattr(rows[len(shown) - 1], key)) if more else ""

    def token(self, page: Page, last: str) -> str:
        """The token of the page after the key `last`."""
        return self._tokens.write(json.dumps([last], separators=(",", ":")).encode(), page.query)
