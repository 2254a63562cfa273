"""OAuth 2.0 on the wire (RFC 6749, RFC 7009): forms and client credentials in, tokens or errors out. Pure."""

import base64
import hmac
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote_plus

FORM = "application/x-www-form-urlencoded"
FIELDS = 20
"""Form fields that are looked at; a real request has at most six."""


class OAuthError(Exception):
    """An error of RFC 6749, section 5.2: answered with `status` and a JSON body."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error = error
        self.description = description
        self.status = status


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client says of itself. `secrets` are the readings of the secret, of which one has to fit."""

    client_id: str
    secrets: tuple[str, ...] = field(repr=False)


def read_form(content_type: str, data: bytes) -> dict[str, str]:
    """The fields of a form; empty ones count as absent. Raises `OAuthError` for what is no form, or repeats a field."""
    if content_type.partition(";")[0].strip().lower() != FORM:
        raise OAuthError("invalid_request", f"The body has to be {FORM}.")
    try:
        pairs = parse_qsl(
            data.decode(), keep_blank_values=True, strict_parsing=bool(data), max_num_fields=FIELDS, errors="strict"
        )
    except ValueError:
        raise OAuthError("invalid_request", "The body is not a form.") from None
    fields = dict(pairs)
    if any("\0" in value for value in fields.values()):
        raise OAuthError("invalid_request", "The body holds the character U+0000.")
    if len(fields) != len(pairs):
        raise OAuthError("invalid_request", "A parameter is repeated.")
    return {name: value for name, value in fields.items() if value}


def read_credentials(authorization: str, form: Mapping[str, str]) -> Credentials | None:
    """Client credentials by HTTP Basic or in the form, or None. Raises `OAuthError` for both at once, or half."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() == "basic":
        if "client_secret" in form:
            raise OAuthError("invalid_request", "The client authenticates twice.")
        credentials = _read_basic(encoded.strip())
        if form.get("client_id", credentials.client_id) != credentials.client_id:
            raise OAuthError("invalid_request", "The client names itself twice, and not alike.")
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
    # RFC 6749, section 2.3.1 encodes both as in a form; many libraries do not.
    name = unquote_plus(name)
    if not colon or "\0" in name:
        raise OAuthError("invalid_client", "The Basic credentials cannot be read.", 401)
    return Credentials(name, (unquote_plus(secret), secret))


def fits(hashes: Iterable[bytes], given: Iterable[bytes]) -> bool:
    """Whether one of the given hashes is one of those, in a time that does not tell which."""
    offered = list(given)
    matches = [hmac.compare_digest(known, one) for known in hashes for one in offered]
    return any(matches)


def read_scopes(form: Mapping[str, str], allowed: Collection[str]) -> tuple[str, ...] | None:
    """The scopes that are asked for; None for all that are allowed. Raises `OAuthError` for one that is not."""
    asked = tuple(form.get("scope", "").split())
    if not asked:
        return None
    if not set(asked) <= set(allowed):
        # The description may hold printable ASCII but no quotes (section 5.2): what was asked is not repeated.
        raise OAuthError("invalid_scope", "A scope is unknown or not granted to the client.")
    return tuple(sorted(set(asked)))
