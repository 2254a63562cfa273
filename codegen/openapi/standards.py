"""Endpoints whose bodies are not protojson but another standard's: OAuth 2.0 and JSON Web Keys.

In the contract they are `google.api.HttpBody`, because stock OAuth 2.0 libraries speak forms and their own error format.
"""

from typing import Any

from contract import Method

Json = dict[str, Any]
FORM = "application/x-www-form-urlencoded"

_PASSED_OVER: Json = {"type": "string", "description": "What the standard does not know is passed over."}
_CLIENT: Json = {
    "client_id": {"type": "string", "description": "Prefix `cli_`. Not with HTTP Basic."},
    "client_secret": {
        "type": "string",
        "format": "password",
        "writeOnly": True,
        "description": "Goes with `client_id`.",
    },
}
SCHEMAS: Json = {
    "oauth2.TokenRequest": {
        "type": "object",
        "description": "RFC 6749, sections 4.4.2 and 6.",
        "required": ["grant_type"],
        "additionalProperties": _PASSED_OVER,
        "properties": {
            "grant_type": {"type": "string", "enum": ["client_credentials", "refresh_token"]},
            "refresh_token": {
                "type": "string",
                "format": "password",
                "writeOnly": True,
                "description": "For its own grant type; works once.",
            },
            "scope": {"type": "string", "description": "With a space between; all of the client's where absent."},
            **_CLIENT,
        },
        "examples": [{"grant_type": "client_credentials", "scope": "orders.read orders.write"}],
    },
    "oauth2.Token": {
        "type": "object",
        "description": "RFC 6749, section 5.1.",
        "required": ["access_token", "token_type", "expires_in", "scope"],
        "properties": {
            "access_token": {
                "type": "string",
                "format": "password",
                "description": "A JWT for the `authorization` header.",
            },
            "token_type": {"type": "string", "enum": ["Bearer"]},
            "expires_in": {"type": "integer", "description": "Seconds."},
            "scope": {"type": "string", "description": "What was granted, with a space between."},
            "refresh_token": {
                "type": "string",
                "format": "password",
                "description": "The next one, for that grant type.",
            },
        },
        "examples": [
            {"access_token": "eyJ…", "token_type": "Bearer", "expires_in": 900, "scope": "orders.read orders.write"}
        ],
    },
    "oauth2.RevocationRequest": {
        "type": "object",
        "description": "RFC 7009, section 2.1.",
        "required": ["token"],
        "additionalProperties": _PASSED_OVER,
        "properties": {
            "token": {
                "type": "string",
                "minLength": 1,
                "format": "password",
                "writeOnly": True,
                "description": "The token to revoke.",
            },
            "token_type_hint": {
                "type": "string",
                "description": "`refresh_token`, or nothing; others are passed over.",
            },
            **_CLIENT,
        },
        "examples": [{"token": "rt_…"}],
    },
    "oauth2.Error": {
        "type": "object",
        "description": "RFC 6749, section 5.2, and RFC 7009, section 2.2.1.",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "string",
                "enum": [
                    "invalid_request",
                    "invalid_client",
                    "invalid_grant",
                    "unauthorized_client",
                    "unsupported_grant_type",
                    "invalid_scope",
                    "unsupported_token_type",
                    "server_error",
                    "temporarily_unavailable",
                ],
            },
            "error_description": {"type": "string"},
            "error_uri": {"type": "string", "format": "uri"},
        },
        "examples": [{"error": "invalid_client", "error_description": "The client is unknown or its secret is wrong."}],
    },
    "oauth2.Jwks": {
        "type": "object",
        "description": "RFC 7517, section 5.",
        "required": ["keys"],
        "properties": {
            "keys": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["kty", "kid"],
                    "properties": {
                        "kty": {"type": "string", "description": "`EC`."},
                        "kid": {"type": "string", "description": "As in the header of a token."},
                        "alg": {"type": "string", "description": "`ES256`."},
                        "use": {"type": "string", "description": "`sig`."},
                        "crv": {"type": "string", "description": "`P-256`."},
                        "x": {"type": "string"},
                        "y": {"type": "string"},
                    },
                },
            }
        },
        "examples": [
            {
                "keys": [
                    {"kty": "EC", "kid": "2026-11", "alg": "ES256", "use": "sig", "crv": "P-256", "x": "…", "y": "…"}
                ]
            }
        ],
    },
    "oauth2.Metadata": {
        "type": "object",
        "description": "RFC 8414, section 2.",
        "required": ["issuer", "token_endpoint", "jwks_uri"],
        "properties": {
            "issuer": {"type": "string", "format": "uri"},
            "token_endpoint": {"type": "string", "format": "uri"},
            "revocation_endpoint": {"type": "string", "format": "uri"},
            "jwks_uri": {"type": "string", "format": "uri"},
            "grant_types_supported": {"type": "array", "items": {"type": "string"}},
            "token_endpoint_auth_methods_supported": {"type": "array", "items": {"type": "string"}},
        },
        "examples": [
            {
                "issuer": "http://localhost:8080",
                "token_endpoint": "http://localhost:8080/oauth2/token",
                "jwks_uri": "http://localhost:8080/.well-known/jwks.json",
            }
        ],
    },
}

# By route, because the standards fix the routes and leave the names of RPCs to us.
_FORMS = {"/oauth2/token": "oauth2.TokenRequest", "/oauth2/revoke": "oauth2.RevocationRequest"}
_REPLIES = {
    "/oauth2/token": "oauth2.Token",
    "/.well-known/jwks.json": "oauth2.Jwks",
    "/.well-known/oauth-authorization-server": "oauth2.Metadata",
}
_SENTENCES = {
    400: "The request is not one that the standard allows, or it asks for more than the client holds.",
    401: "The client is unknown or its secret is wrong.",
    429: "Too many attempts; retry later.",
}


def form(method: Method) -> Json | None:
    """The content of the form body; None for a body of another kind."""
    assert method.route is not None
    name = _FORMS.get(method.route.path)
    return {FORM: _content(name)} if name else None


def reply(method: Method) -> Json | None:
    """The content of the answer: None where the standard asks for none, any bytes where no standard is known."""
    assert method.route is not None
    name = _REPLIES.get(method.route.path)
    if name:
        return {"application/json": _content(name)}
    return None if method.route.path in _FORMS else {"*/*": {}}


def speaks_oauth(method: Method) -> bool:
    """Whether errors have the format of RFC 6749 instead of `google.rpc.Status`."""
    return method.route is not None and method.route.path.startswith("/oauth2/")


def error(status: int) -> tuple[str, Json]:
    """The description and the content of an error in RFC 6749's format."""
    return _SENTENCES.get(status, "The server cannot answer now."), {"application/json": _content("oauth2.Error")}


def _content(name: str) -> Json:
    return {"schema": {"$ref": f"#/components/schemas/{name}"}, "example": SCHEMAS[name]["examples"][0]}
