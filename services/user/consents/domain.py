"""The authorization request (RFC 6749, section 4.1; RFC 7636; OpenID Connect Core, section 3.1.2). Pure."""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlencode, urlsplit

from chassis.security.modes import LIVE
from services.user.keys.authentication import Authentication
from services.user.partners.domain import AUTHORIZATION_CODE, SUSPENDED, Client
from services.user.partners.redirects import is_loopback

CODE_LIFETIME = timedelta(seconds=60)
REAUTHENTICATION = timedelta(minutes=10)
"""How long ago a person may have signed in who is asked to do so again (`prompt=login`)."""
MAX_CODES = 10
"""Of a user, that nobody has used yet; one more replaces the oldest."""
OPENID, PROFILE, EMAIL, OFFLINE = "openid", "profile", "email", "offline_access"
IDENTITY_SCOPES = (OPENID, PROFILE, EMAIL, OFFLINE)
"""Scopes of OpenID Connect: every client may ask for them, the person decides."""

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_MAX_AGE = re.compile(r"[0-9]{1,9}")
_PROMPTS = frozenset({"none", "login", "consent", "select_account"})


class RequestRefused(Exception):
    """A request whose client or redirect URI is not valid: the person is told, and is sent nowhere."""


class AuthorizationRefused(Exception):
    """A refusal that the client learns, with an `error` of RFC 6749, section 4.1.2.1 or 5.2, or of OpenID Connect."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error
        self.description = description


@dataclass(frozen=True, slots=True)
class Target:
    """Where the answer to a request goes: a redirect URI that is the client's own, and its `state`."""

    redirect_uri: str
    state: str

    def address(self, issuer: str, **answer: str) -> str:
        """The redirect URI with the answer, `state` and `iss` (RFC 9207)."""
        parameters = {**answer, **({"state": self.state} if self.state else {}), "iss": issuer}
        return f"{self.redirect_uri}{'&' if '?' in self.redirect_uri else '?'}{urlencode(parameters)}"


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """What a client asks of a person."""

    target: Target
    client: Client
    scopes: tuple[str, ...]
    code_challenge: str
    nonce: str = ""
    prompts: frozenset[str] = frozenset()
    max_age: int | None = None

    def refuse_stale(self, authentication: Authentication, now: datetime) -> None:
        """Raise `AuthorizationRefused` if the person has to sign in again first."""
        limits = [timedelta(seconds=self.max_age)] if self.max_age is not None else []
        if "login" in self.prompts:
            limits.append(REAUTHENTICATION)
        if any(now - authentication.at > max(limit, timedelta(seconds=1)) for limit in limits):
            raise AuthorizationRefused("login_required", "The person has to sign in again.")

    def covered_by(self, consented: Collection[str]) -> bool:
        """Whether an earlier consent is enough. Anyone can pretend to be a public client that is not reached by https."""
        known = not self.client.is_public or self.target.redirect_uri.startswith("https:")
        return known and "consent" not in self.prompts and set(self.scopes) <= set(consented)


@dataclass(frozen=True, slots=True)
class Consent:
    """What a user allows a client."""

    client_id: str
    client_name: str
    scopes: tuple[str, ...]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Code:
    """An authorization code: what it was issued for. It works once, until the user's tokens are revoked (`generation`)."""

    code_hash: bytes = field(repr=False)
    client_id: str
    user_id: str
    redirect_uri: str
    code_challenge: str
    scopes: tuple[str, ...]
    nonce: str
    authentication: Authentication
    generation: int
    expires_at: datetime
    used_at: datetime | None = None
    session_id: str | None = None

    def fits(self, client_id: str, redirect_uri: str, verifier: str, now: datetime) -> bool:
        """Whether this client may use the code now, with this redirect URI and this verifier of PKCE."""
        bound = self.client_id == client_id and self.redirect_uri == redirect_uri
        return bound and now < self.expires_at and self.used_at is None and proves(verifier, self.code_challenge)


def make_code() -> str:
    """256 random bits; the prefix makes it recognisable to secret scanners."""
    return f"wac_{secrets.token_urlsafe(32)}"


def digest(code: str) -> bytes:
    """What of a code is stored: 256 random bits need no slow hash."""
    return hashlib.sha256(code.encode()).digest()


def proves(verifier: str, challenge: str) -> bool:
    """Whether a code verifier belongs to an S256 challenge (RFC 7636, section 4.6)."""
    if not _VERIFIER.fullmatch(verifier):
        return False
    hashed = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
    return hmac.compare_digest(hashed, challenge.encode())


def read_target(parameters: Mapping[str, str], client: Client | None) -> tuple[Client, Target]:
    """The client and where its answer goes. Raises `RequestRefused`: before this, no redirect may happen."""
    if client is None or client.revoked_at is not None:
        raise RequestRefused("The application is not known.")
    redirect_uri = parameters.get("redirect_uri", "")
    if not redirect_uri:
        raise RequestRefused("The parameter redirect_uri is missing.")
    if not matches_any(client.redirect_uris, redirect_uri):
        raise RequestRefused("The redirect URI is not one that the application has registered.")
    return client, Target(redirect_uri, parameters.get("state", ""))


def matches_any(registered: Iterable[str], presented: str) -> bool:
    """Whether a redirect URI is registered, exactly; the port of a loopback address is free (RFC 8252, section 7.3)."""
    return any(presented == uri or _same_but_port(uri, presented) for uri in registered)


def _same_but_port(registered: str, presented: str) -> bool:
    try:
        one, other = urlsplit(registered), urlsplit(presented)
        free = f"{one.scheme}://[{one.hostname}]" if ":" in (one.hostname or "") else f"{one.scheme}://{one.hostname}"
        tail = registered[len(f"{one.scheme}://{one.netloc}") :]
        # Written again and compared as text: parsers disagree on what else a URI may hold.
        return is_loopback(one) and presented in (f"{free}:{other.port}{tail}", f"{free}{tail}")
    except ValueError:
        return False


def read(
    parameters: Mapping[str, str], client: Client, target: Target, partner_state: str, allowed: Collection[str]
) -> AuthorizationRequest:
    """The request of a client whose target is valid. `allowed` are the scopes that it may ask of a person.

    Raises `AuthorizationRefused`.
    """
    refuse_grant(client, partner_state)
    if "request_uri" in parameters:
        raise AuthorizationRefused("request_uri_not_supported", "The parameter request_uri is not supported.")
    if "response_type" not in parameters:
        raise AuthorizationRefused("invalid_request", "The parameter response_type is missing.")
    if parameters["response_type"] != "code":
        raise AuthorizationRefused("unsupported_response_type", "The only response type is code.")
    if parameters.get("response_mode", "query") != "query":
        raise AuthorizationRefused("invalid_request", "The only response mode is query.")
    # Without the parameter the method is `plain`, which protects nothing (RFC 7636, section 4.3).
    challenge = parameters.get("code_challenge", "")
    if parameters.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(challenge):
        raise AuthorizationRefused("invalid_request", "PKCE is required: a code_challenge with the method S256.")
    max_age = parameters.get("max_age")
    if max_age is not None and not _MAX_AGE.fullmatch(max_age):
        raise AuthorizationRefused("invalid_request", "The parameter max_age must be a number of seconds.")
    return AuthorizationRequest(
        target=target,
        client=client,
        scopes=_read_scopes(parameters.get("scope", ""), allowed),
        code_challenge=challenge,
        nonce=parameters.get("nonce", ""),
        prompts=_read_prompts(parameters.get("prompt", "")),
        max_age=None if max_age is None else int(max_age),
    )


def refuse_grant(client: Client, partner_state: str) -> None:
    """Raise `AuthorizationRefused` for a client that may not act for people. All people are in the mode LIVE."""
    if partner_state == SUSPENDED:
        raise AuthorizationRefused("unauthorized_client", "The partner is suspended.")
    if AUTHORIZATION_CODE not in client.grant_types or client.mode != LIVE:
        raise AuthorizationRefused("unauthorized_client", "The client may not use this grant type.")


def _read_scopes(text: str, allowed: Collection[str]) -> tuple[str, ...]:
    requested = set(text.split()) or set(allowed)
    if not requested or not requested <= {*allowed, *IDENTITY_SCOPES}:
        raise AuthorizationRefused("invalid_scope", "A scope is unknown or not granted to the client.")
    return tuple(sorted(requested))


def _read_prompts(text: str) -> frozenset[str]:
    prompts = frozenset(text.split())
    if not prompts <= _PROMPTS or ("none" in prompts and len(prompts) > 1):
        raise AuthorizationRefused("invalid_request", "The parameter prompt is not valid.")
    return prompts
