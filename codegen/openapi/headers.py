"""Headers that go with answers, and the one that goes with keyed requests."""

from typing import Any

from contract import Key, Method

Json = dict[str, Any]
REQUEST_ID = "0f6f4c5e-3b0a-4f0e-9f0c-2b1d7c9e8a11"

_TEXT: Json = {"type": "string"}
_INTEGER: Json = {"type": "integer", "minimum": 0}
COMPONENTS: Json = {
    "x-request-id": {
        "description": "Identifies the request in our logs and traces.",
        "schema": {"type": "string"},
        "required": True,
        "example": REQUEST_ID,
    },
    "traceresponse": {
        "description": "The trace that the request belongs to (W3C Trace Context, level 2).",
        "schema": {"type": "string"},
    },
    "x-ratelimit-limit": {"description": "How many requests the client may make in a second.", "schema": _TEXT},
    "x-ratelimit-remaining": {"description": "How many are left.", "schema": _INTEGER},
    "x-ratelimit-reset": {"description": "Seconds until there are more.", "schema": _INTEGER},
    "retry-after": {"description": "Seconds to wait before the next try.", "schema": _INTEGER},
    "www-authenticate": {"description": "How to come in (RFC 6750).", "schema": _TEXT},
    "location": {
        "description": "The path of the resource that was created.",
        "schema": {"type": "string", "format": "uri-reference"},
        "required": True,
    },
    "set-cookie": {
        "description": "The cookie `__Secure-weft-refresh` with the refresh token, where it is kept there; HttpOnly, Secure, "
        "SameSite=Strict, for `/v1/auth:refresh` alone. Over plain HTTP, in development, it is `weft-refresh` without Secure.",
        "schema": _TEXT,
    },
    "idempotency-replayed": {
        "description": "`true` where the answer is that of an earlier request with the same key.",
        "schema": {"type": "string", "const": "true"},
    },
}
_LIMITS = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")

IDEMPOTENCY_KEY: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[\x21-\x7e]+$"},
    "example": "5f0c2b1d-7c9e-4a11-8f6f-4c5e3b0a4f0e",
    "description": "Makes the call safe to repeat: within 24 hours the same key with the same request is answered with "
    "the first reply, and nothing happens twice.",
}

CSRF: Json = {
    "name": "x-csrf",
    "in": "header",
    "schema": {"type": "string", "const": "1"},
    "required": False,
    "description": "Needed by Refresh where the refresh token is in the cookie: no page of another origin can send it.",
}


def of_success(method: Method) -> Json:
    """References to the headers of a method's success."""
    names = ["x-request-id", "traceresponse", *_LIMITS]
    if method.success == 201:
        names.append("location")
    if method.key in (Key.REQUIRED, Key.ACCEPTED):
        names.append("idempotency-replayed")
    if method.cookie:
        names.append("set-cookie")
    return _references(names)


def of_error(status: int) -> Json:
    """References to the headers of an error with this status."""
    names = ["traceresponse", "x-request-id"]
    if status not in (413, 415, 431):
        names += _LIMITS
    if status in (429, 503):
        names.append("retry-after")
    if status == 401:
        names.append("www-authenticate")
    return _references(names)


def _references(names: list[str]) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
