"""The cookie in which a browser keeps the refresh token of its session, out of the reach of scripts.

It is sent to Refresh alone. Whoever relies on it also sends a header that no page of another origin can send: browsers ask
the edge first, whose CORS policy does not allow it.
"""

from chassis.errors import PermissionDenied
from chassis.rpc.call import Call
from chassis.telemetry.logs import logger
from services.user.sessions.domain import REFRESH_TOKEN_LIFETIME, RefreshTokenInvalid

PROOF = "x-csrf"
"""The header; its value is `1`."""
_PATH = "/v1/auth:refresh"
log = logger("cookies")


class CrossSiteRequest(PermissionDenied):
    """The cookie counts only with the header x-csrf: 1, sent by a page of the same origin."""


class RefreshCookie:
    """Sets, reads and clears the cookie."""

    def __init__(self, issuer: str) -> None:
        """`issuer`: the URL of the edge. Over plain HTTP, which is for development, browsers refuse Secure and its prefix."""
        secure = issuer.startswith("https://")
        self.name = "__Secure-weft-refresh" if secure else "weft-refresh"
        self._attributes = f"Path={_PATH}; HttpOnly; SameSite=Strict" + ("; Secure" if secure else "")
        if not secure:
            log.warning("refresh_cookie_without_tls", issuer=issuer)

    def deliver(self, call: Call, token: str, in_cookie: bool) -> str:
        """Deliver a refresh token; returns what the response has of it: nothing where it is in the cookie."""
        if not in_cookie:
            return token
        self._keep(call, token)
        return ""

    def _keep(self, call: Call, token: str) -> None:
        seconds = int(REFRESH_TOKEN_LIFETIME.total_seconds())
        call.set_header("set-cookie", f"{self.name}={token}; Max-Age={seconds}; {self._attributes}")

    def clear(self, call: Call) -> None:
        """Have the browser forget it."""
        call.set_header("set-cookie", f"{self.name}=; Max-Age=0; {self._attributes}")

    def read(self, call: Call) -> str:
        """The refresh token of the cookie; empty without one. Raises `CrossSiteRequest`, `RefreshTokenInvalid` for several."""
        found = [value for name, value in _pairs(call) if name == self.name and value]
        if not found:
            return ""
        # Browsers that have no Sec-Fetch-Site are held to the header alone.
        if call.header(PROOF) != "1" or call.header("sec-fetch-site") not in ("", "same-origin"):
            raise CrossSiteRequest()
        if len(found) > 1:  # another site of the domain has set one: nobody can tell which is ours
            raise RefreshTokenInvalid()
        return found[0]


def _pairs(call: Call) -> list[tuple[str, str]]:
    headers = [str(value) for name, value in call.context.invocation_metadata() or () if name == "cookie"]
    pairs = [pair.partition("=") for header in headers for pair in header.split(";")]
    return [(name.strip(), value.strip()) for name, _, value in pairs]
