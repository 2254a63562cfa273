"""Links by which who receives a mail mutes its category (RFC 8058), without signing in."""

from typing import NamedTuple
from urllib.parse import quote

from chassis.security.signed_token import SignedToken
from services.notification.categories import Category
from services.notification.preferences.domain import UnsubscribeTokenInvalid

_CONTEXT = b"unsubscribe"


class Unsubscription(NamedTuple):
    """Of a user, or of an address without one by its keyed hash, from a category."""

    category: Category
    user_id: str = ""
    address_lookup: bytes = b""


class UnsubscribeLinks:
    """Writes the links and reads their tokens, which do not expire: a mail may be read years later."""

    def __init__(self, key: bytes, base_url: str) -> None:
        """`base_url` is the edge's."""
        self._tokens = SignedToken(key)
        self._base_url = base_url.rstrip("/")

    def url(self, of: Unsubscription) -> str:
        """An absolute URL."""
        whom = of.user_id or of.address_lookup.hex()
        token = self._tokens.write(f"{of.category.value} {whom}".encode(), _CONTEXT)
        return f"{self._base_url}/v1/unsubscribe?token={quote(token)}"

    def read(self, token: str) -> Unsubscription:
        """Raises `UnsubscribeTokenInvalid` for a token that is not of `url`."""
        try:
            category, whom = self._tokens.read(token, _CONTEXT).decode().split(" ")
        except ValueError:
            raise UnsubscribeTokenInvalid from None
        if whom.startswith("usr_"):
            return Unsubscription(Category(category), user_id=whom)
        return Unsubscription(Category(category), address_lookup=bytes.fromhex(whom))
