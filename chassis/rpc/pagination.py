"""Keyset pages (AIP-158): opaque signed tokens that hold the last key seen and belong to one query of one caller.

page = pages.read(request, query={"list": "orders", "owner": owner})
rows = await repository.page(owner, page.limit, page.after)
orders, token = pages.split(page, rows, message, key="order_id")
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from google.protobuf.message import Message

from chassis import errors

Resource = TypeVar("Resource", bound=Message)

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 1000
MAX_PAGE_BYTES = 1024 * 1024
"""Serialized bytes of a page, unless its first item alone has more. gRPC clients take 4 MiB; as JSON it may be seven times
as much (control characters, field names), and the edge transcodes 8 MiB."""
_MAC_BYTES = 16


class PageRequest(Protocol):
    """A request that asks for a page; negative sizes are refused by the contract's bounds."""

    @property
    def page_size(self) -> int: ...
    @property
    def page_token(self) -> str: ...


class Page(NamedTuple):
    """The page of `size` items behind the key `after`, which is empty on the first page. `query` ties tokens to their query."""

    size: int
    after: str
    query: bytes

    @property
    def limit(self) -> int:
        """How many rows to look for: one more tells that there is a next page."""
        return self.size + 1


class Pages:
    """Reads and writes page tokens with one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def read(self, request: PageRequest, query: Mapping[str, object]) -> Page:
        """The page asked for. `query` is everything else that shapes the list, the owner included.

        Raises `PageTokenInvalid` for a token that is not ours or belongs to another query.
        """
        size = min(request.page_size or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
        digest = hashlib.sha256(json.dumps(query, sort_keys=True, default=str).encode()).digest()[:_MAC_BYTES]
        if not request.page_token:
            return Page(size, "", digest)
        try:
            raw = base64.urlsafe_b64decode(request.page_token + "=" * (-len(request.page_token) % 4))
        except ValueError:
            raise errors.PageTokenInvalid() from None
        mac, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(digest, body)):
            raise errors.PageTokenInvalid()
        return Page(size, json.loads(body)[0], digest)

    def split(
        self, page: Page, rows: Sequence[Any], message: Callable[[Any], Resource], key: str
    ) -> tuple[list[Resource], str]:
        """The messages of a page, and the token of the next one; it is empty on the last.

        `rows` are those found with `page.limit`; `key` is the attribute that they are ordered by. A page ends early where
        it would have more than `MAX_PAGE_BYTES`.
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
        return shown, self._token(page, getattr(rows[len(shown) - 1], key)) if more else ""

    def _token(self, page: Page, last: str) -> str:
        body = json.dumps([last], separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._mac(page.query, body) + body).rstrip(b"=").decode()

    def _mac(self, query: bytes, body: bytes) -> bytes:
        return hmac.digest(self._key, query + body, "sha256")[:_MAC_BYTES]
