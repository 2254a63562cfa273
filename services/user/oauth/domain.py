"""The OAuth 2.0 protocol (RFC 6749, RFC 7009): forms, client credentials, scopes and errors. Pure."""

import base64
import hmac
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote_plus

FORM = "application/x-www-form-urlencoded"
MAX_FORM_FIELDS = 20
"""A valid request has at most six."""


class OAuthError(Exception):
    """An error of RFC 6749, section 5.2: a response with `status` and a JSON body."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error = error
        self.description = description
        self.status = status


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client authenticates with. `secrets` are the possible decodings of its secret; one of them has to match."""

    client_id: str
    secrets: tuple[str, ...] = field(repr=False)


def read_form(content_type: str, data: bytes) -> dict[str, str]:
    """The fields of a form, without empty ones. Raises `OAuthError` for anything but a form, and for repeated fields."""
    if content_type.partition(";")[0].strip().lower() != FORM:
        raise OAuthError("invalid_request", f"The body must be {FORM}.")
    try:
        pairs = parse_qsl(
            data.decode(),
            keep_blank_values=True,
            strict_parsing=bool(data),
            max_num_fields=MAX_FORM_FIELDS,
            errors="strict",
        )
    except ValueError:
        raise OAuthError("invalid_request", "The body is not a form.") from None
    fields = dict(pairs)
    if any("\0" in value for value in fields.values()):
        raise OAuthError("invalid_request", "The body contains the character U+0000.")
    if len(fields) != len(pairs):
        raise OAuthError("invalid_request", "A parameter is repeated.")
    return {name: value for name, value in fields.items() if value}


def read_credentials(authorization: str, form: Mapping[str, str]) -> Credentials | None:
    """Client credentials from HTTP Basic or the form, or None. Raises `OAuthError` for both, and for incomplete ones."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() == "basic":
        if "client_secret" in form:
            raise OAuthError("invalid_request", "The client uses two authentication methods.")
        credentials = _read_basic(encoded.strip())
        if form.get("client_id", credentials.client_id) != credentials.client_id:
            raise OAuthError(
                "invalid_request", "The client_id of the form differs from that of the authorization header."
            )
        return credentials
    if "client_secret" not in form:
        return None
    if "client_id" not in form:
        raise OAuthError("invalid_request", "The parameter client_id is missing.")
    return Credentials(form["client_id"], (form["client_secret"],))


def _read_basic(encoded: str) -> Credentials:
    try:
        name, colon, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        name = colon = secret = ""
    # RFC 6749, section 2.3.1 requires form encoding of both; many libraries do not encode.
    name = unquote_plus(name)
    if not colon or "\0" in name:
        raise OAuthError("invalid_client", "The Basic credentials cannot be decoded.", 401)
    return Credentials(name, (unquote_plus(secret), secret))


def matches_any(stored: Iterable[bytes], presented: Iterable[bytes]) -> bool:
    """Whether a presented hash is among the stored ones, in a time that does not depend on which."""
    candidates = list(presented)
    matches = [hmac.compare_digest(known, candidate) for known in stored for candidate in candidates]
    return any(matches)


def read_scopes(form: Mapping[str, str], allowed: Collection[str]) -> tuple[str, ...] | None:
    """The requested scopes, sorted; None if none are requested. Raises `OAuthError` for one that is not allowed."""
    requested = tuple(form.get("scope", "").split())
    if not requested:
        return None
    if not set(requested) <= set(allowed):
        # A description is printable ASCII without quotes (section 5.2), so the scopes are not repeated.
        raise OAuthError("invalid_scope", "A scope is unknown or not granted to the client.")
    return tuple(sorted(set(requested)))
