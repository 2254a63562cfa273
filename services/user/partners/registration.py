"""What a client's registration may say (RFC 7591): authentication, grants, redirect URIs and keys."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from google.protobuf import json_format, struct_pb2
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from weft.user.v1 import partner_pb2
from weft.user.v1 import partner_service_pb2 as pb

from chassis.errors import RequestInvalid
from chassis.rpc.requests import masks
from chassis.security import networks
from chassis.security.modes import TEST
from services.user.partners.domain import AUTHORIZATION_CODE, CLIENT_CREDENTIALS, NONE, PRIVATE_KEY, SECRET, Client
from services.user.partners.redirects import problem_of_redirect_uri

MAX_KEYS = 5
MIN_RSA_BITS = 2048


def of_new(request: pb.CreateClientRequest) -> dict[str, Any]:
    """The registration of a new client, with its defaults."""
    default = AUTHORIZATION_CODE if request.redirect_uris else CLIENT_CREDENTIALS
    return {
        "authentication": _authentication(request.authentication) if request.authentication else SECRET,
        "grant_types": _grant_types(request.grant_types) or (default,),
        "redirect_uris": tuple(request.redirect_uris),
        "jwks": _jwks(request.jwks),
        "allowed_networks": _networks(request.allowed_networks),
    }


def changes(request: pb.UpdateClientRequest) -> dict[str, object]:
    """What an update changes, by the names of `Client`. Raises `RequestInvalid`."""
    fields, client = masks.fields(request, "client"), request.client
    values: dict[str, object] = {
        "display_name": client.display_name,
        "scopes": tuple(sorted(client.scopes)),
        "authentication": _authentication(client.authentication) if client.authentication else SECRET,
        "grant_types": _grant_types(client.grant_types),
        "redirect_uris": tuple(client.redirect_uris),
        "jwks": _jwks(client.jwks),
        "allowed_networks": _networks(client.allowed_networks),
    }
    return {name: values[name] for name in fields}


def to_fields(client: Client) -> dict[str, Any]:
    """The registration as fields of the message of a client."""
    fields: dict[str, Any] = {
        "authentication": partner_pb2.ClientAuthentication.Value(f"CLIENT_AUTHENTICATION_{client.authentication}"),
        "grant_types": [partner_pb2.GrantType.Value(f"GRANT_TYPE_{grant}") for grant in client.grant_types],
        "redirect_uris": client.redirect_uris,
        "etag": client.etag,
        "allowed_networks": client.allowed_networks,
    }
    if client.jwks:
        fields["jwks"] = json_format.ParseDict(json.loads(client.jwks), struct_pb2.Struct())
    return fields


def refuse_invalid(client: Client, prefix: str) -> None:
    """Raise `RequestInvalid` for a registration that cannot work; `prefix` is the path to its fields in the request."""
    violations = [(f"{prefix}{field}", problem) for field, problem in _problems(client)]
    if violations:
        raise RequestInvalid(violations=violations)


def _problems(client: Client) -> Iterator[tuple[str, str]]:
    if client.is_public and CLIENT_CREDENTIALS in client.grant_types:
        yield "grant_types", "must not contain GRANT_TYPE_CLIENT_CREDENTIALS for a client that does not authenticate"
    if client.mode == TEST and AUTHORIZATION_CODE in client.grant_types:
        yield "grant_types", "must not contain GRANT_TYPE_AUTHORIZATION_CODE in TEST: people are in LIVE"
    for place, text in enumerate(client.allowed_networks):
        if _network(text) is None:
            yield f"allowed_networks[{place}]", "must be an IP address or a network, such as 203.0.113.0/24"
    if AUTHORIZATION_CODE in client.grant_types and not client.redirect_uris:
        yield "redirect_uris", "must not be empty for a client with GRANT_TYPE_AUTHORIZATION_CODE"
    for place, uri in enumerate(client.redirect_uris):
        if problem := problem_of_redirect_uri(uri, native=client.is_public):
            yield f"redirect_uris[{place}]", problem
    if client.authentication == PRIVATE_KEY and not client.jwks:
        yield "jwks", "must be given for a client that authenticates with CLIENT_AUTHENTICATION_PRIVATE_KEY"
    if client.authentication == NONE and client.jwks:
        yield "jwks", "must not be given for a client that does not authenticate"
    if client.jwks and (problem := _problem_of_keys(client.jwks)):
        yield "jwks", problem


def _problem_of_keys(jwks: str) -> str:
    try:
        listed = json.loads(jwks)["keys"]
        if not 0 < len(listed) <= MAX_KEYS:
            return f"must have one to {MAX_KEYS} keys"
        if not all(map(_is_strong, listed)):
            return f"must have keys on P-256, or of RSA with {MIN_RSA_BITS} bits or more"
        keys = KeySet.import_key_set({"keys": listed}).keys
    except (JoseError, ValueError, KeyError, TypeError, AttributeError):
        return "must be a JSON Web Key Set"
    if any(key.is_private for key in keys):
        return "must not contain a private key"
    if len(keys) > 1 and len({entry.get("kid") for entry in listed if entry.get("kid")}) < len(keys):
        return "must have a `kid` of its own for each key"
    return ""


def _is_strong(key: dict[str, str]) -> bool:
    """Of what kind a key is, before it is imported: that of a weak one is a warning."""
    if key["kty"] == "RSA":
        return len(key["n"]) * 6 >= MIN_RSA_BITS
    return key["kty"] == "EC" and key.get("crv", "P-256") == "P-256"


def _authentication(value: "partner_pb2.ClientAuthentication.ValueType") -> str:
    return partner_pb2.ClientAuthentication.Name(value).removeprefix("CLIENT_AUTHENTICATION_")


def _grant_types(values: Sequence["partner_pb2.GrantType.ValueType"]) -> tuple[str, ...]:
    return tuple(sorted(partner_pb2.GrantType.Name(value).removeprefix("GRANT_TYPE_") for value in values))


def _networks(values: Sequence[str]) -> tuple[str, ...]:
    """In canonical form, each once; as they are where one is invalid, to be refused by its place."""
    parsed = [_network(value) for value in values]
    return tuple(values) if None in parsed else tuple(dict.fromkeys(map(str, parsed)))


def _network(text: str) -> networks.Network | None:
    try:
        return networks.parse(text)
    except ValueError:
        return None


def _jwks(value: struct_pb2.Struct) -> str | None:
    found = json_format.MessageToDict(value)
    return json.dumps(found, sort_keys=True) if found else None
