"""Who the caller is. What is a secret here shows in no `repr`, log or span."""

import json
from dataclasses import dataclass, field, replace
from time import monotonic, time
from typing import Any, Protocol
from urllib.parse import urlencode

from google.api import httpbody_pb2

from weft_client.calls.method import Method
from weft_client.failures import Unauthenticated
from weft_client.generated import methods


@dataclass(frozen=True, slots=True)
class Token:
    """An access token with the moments, in monotonic seconds, of its end and of when to renew it."""

    header: str = field(repr=False)
    renew: float
    end: float
    refresh: str = field(default="", repr=False)

    @classmethod
    def lasting(cls, value: str, seconds: float, refresh: str = "") -> "Token":
        """Renewed a minute before its end, or a tenth of its time where that is less."""
        end = monotonic() + seconds
        return cls(f"Bearer {value}", end - min(60.0, seconds / 10), end, refresh)


class Credentials(Protocol):
    """Something to get tokens with: a call to make, and how to read its reply."""

    def ask(self, last: Token | None) -> tuple[Method[Any, Any], Any]:
        """The call that gets the next token after `last`."""
        ...

    def read(self, reply: Any) -> Token:
        """The token in the call's reply. Raises `Unauthenticated`."""
        ...


@dataclass(frozen=True)
class Bearer:
    """An access token that the caller has already; it is not renewed."""

    token: str = field(repr=False)


# A repeated request issues one more token, which ends by itself: safe to retry.
_TOKEN = replace(methods.OAUTH_SERVICE_TOKEN, repeatable=True)


@dataclass(frozen=True)
class ClientCredentials:
    """A partner's client: tokens come from the token endpoint (RFC 6749, section 4.4) and are renewed before they end.

    `scope`: space-separated, where fewer scopes than the client's are enough.
    """

    client_id: str
    client_secret: str = field(repr=False)
    scope: str = ""

    def ask(self, last: Token | None) -> tuple[Method[Any, Any], Any]:  # noqa: ARG002
        """The call that gets the next token."""
        form = {"grant_type": "client_credentials", "client_id": self.client_id, "client_secret": self.client_secret}
        if self.scope:
            form["scope"] = self.scope
        body = httpbody_pb2.HttpBody(
            content_type="application/x-www-form-urlencoded", data=urlencode(form).encode("ascii")
        )
        return _TOKEN, methods.OAUTH_SERVICE_TOKEN.request(form=body)

    def read(self, reply: Any) -> Token:
        """The token in the call's reply. Raises `Unauthenticated`."""
        try:
            answer = json.loads(reply.data)
        except ValueError:
            answer = {}
        if "access_token" not in answer:
            said = answer.get("error_description") or answer.get("error") or "no token in the answer"
            raise Unauthenticated(f"The token endpoint refused client {self.client_id}: {said}")
        return Token.lasting(answer["access_token"], float(answer.get("expires_in", 300)))


@dataclass(frozen=True)
class Password:
    """A person: signs in once, then renews the session by its refresh token, and signs in again when that is refused."""

    email: str = field(repr=False)
    password: str = field(repr=False)

    def ask(self, last: Token | None) -> tuple[Method[Any, Any], Any]:
        """The call that gets the next token."""
        if last is not None and last.refresh:
            return methods.AUTH_SERVICE_REFRESH, methods.AUTH_SERVICE_REFRESH.request(refresh_token=last.refresh)
        sign_in = methods.AUTH_SERVICE_SIGN_IN
        return sign_in, sign_in.request(email=self.email, password=self.password)

    def read(self, reply: Any) -> Token:
        """The token in the call's reply."""
        left = reply.access_token_expire_time.ToMilliseconds() / 1000 - time()
        return Token.lasting(reply.access_token, max(left, 1.0), reply.refresh_token)
