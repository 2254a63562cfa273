"""Keyset pages (AIP-158): opaque signed tokens that hold the last key seen and belong to one query of one caller."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from services.chassis import errors

DEFAULT = 50
MOST = 1000
_MAC = 16


class PageRequest(Protocol):
    """A request that asks for a page; negative sizes are refused by the contract's bounds."""

    @property
    def page_size(self) -> int: ...
    @property
    def page_token(self) -> str: ...


class Page(NamedTuple):
    """Take `size` rows, beyond the key `after` where there is one. `query` ties the next token to this query."""

    size: int
    after: tuple[str, ...] | None
    query: bytes


class Pages:
    """Reads and writes page tokens with one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def read(self, request: PageRequest, query: Mapping[str, object]) -> Page:
        """The page asked for. `query` is everything else that shapes the list, the owner included.

        Raises `PageTokenInvalid` for a token that is not ours or belongs to another query.
        """
        size = min(request.page_size or DEFAULT, MOST)
        digest = hashlib.sha256(json.dumps(query, sort_keys=True, default=str).encode()).digest()[:_MAC]
        if not request.page_token:
            return Page(size, None, digest)
        try:
            raw = base64.urlsafe_b64decode(request.page_token + "=" * (-len(request.page_token) % 4))
        except ValueError:
            raise errors.PageTokenInvalid() from None
        mac, body = raw[:_MAC], raw[_MAC:]
        if not hmac.compare_digest(mac, self._mac(digest, body)):
            raise errors.PageTokenInvalid()
        return Page(size, tuple(json.loads(body)), digest)

    def token(self, page: Page, last: tuple[str, ...]) -> str:
        """The token of the page that begins behind the key `last`."""
        body = json.dumps(last, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._mac(page.query, body) + body).rstrip(b"=").decode()

    def _mac(self, query: bytes, body: bytes) -> bytes:
        return hmac.digest(self._key, query + body, "sha256")[:_MAC]
