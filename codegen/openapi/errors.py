"""The error side of every operation: `google.rpc.Status` with typed details, and the reasons of each HTTP status."""

from collections import defaultdict
from typing import Any

from codegen import statuses
from codegen.openapi import headers
from contract import Contract, Key, Method, Reason

Json = dict[str, Any]
IMPLIED = "weft.api.v1"
_TYPE = "type.googleapis.com/google.rpc."

SCHEMAS: Json = {
    "google.rpc.Status": {
        "type": "object",
        "description": "Why a call failed. Decide by the `reason` of the `ErrorInfo`, never by the message.",
        "required": ["code", "message", "details"],
        "properties": {
            "code": {"type": "integer", "format": "int32", "description": "The gRPC code (google.rpc.Code)."},
            "message": {"type": "string", "description": "For people, in English; may change."},
            "details": {
                "type": "array",
                "description": "One `ErrorInfo`, and what else helps.",
                "items": {
                    "anyOf": [
                        {"$ref": f"#/components/schemas/google.rpc.{name}"}
                        for name in ("ErrorInfo", "BadRequest", "RetryInfo", "RequestInfo")
                    ]
                },
            },
        },
    },
    "google.rpc.ErrorInfo": {
        "type": "object",
        "description": "The cause, for programs.",
        "required": ["@type", "reason", "domain"],
        "properties": {
            "@type": {"const": f"{_TYPE}ErrorInfo"},
            "reason": {"type": "string", "description": "A value of the domain's `ErrorReason`."},
            "domain": {"type": "string", "description": "The package of the reason, such as `weft.order.v1`."},
            "metadata": {
                "type": "object",
                "description": "What the reason is about; its keys are documented with it.",
                "additionalProperties": {"type": "string"},
            },
        },
    },
    "google.rpc.BadRequest": {
        "type": "object",
        "description": "Every field that is wrong.",
        "required": ["@type", "fieldViolations"],
        "properties": {
            "@type": {"const": f"{_TYPE}BadRequest"},
            "fieldViolations": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["field", "description"],
                    "properties": {
                        "field": {"type": "string", "description": "As the caller wrote it: `lines[0].quantity`."},
                        "description": {"type": "string", "description": "What is wrong with it."},
                    },
                },
            },
        },
    },
    "google.rpc.RetryInfo": {
        "type": "object",
        "description": "When it makes sense to come back.",
        "required": ["@type"],
        "properties": {
            "@type": {"const": f"{_TYPE}RetryInfo"},
            "retryDelay": {"type": "string", "description": "Seconds from now, such as `1.5s`."},
        },
    },
    "google.rpc.RequestInfo": {
        "type": "object",
        "description": "What to quote when asking for help.",
        "required": ["@type", "requestId"],
        "properties": {
            "@type": {"const": f"{_TYPE}RequestInfo"},
            "requestId": {
                "type": ["string", "null"],
                "description": "As in the header `x-request-id`; null where the request was not even proper HTTP.",
            },
            "servingData": {"type": "string"},
        },
    },
}


def reasons(read: Contract, method: Method) -> dict[int, list[Reason]]:
    """The reasons that a call may be answered with, by HTTP status: its own, and those of `weft.api.v1` that apply."""
    found = defaultdict(list)
    for reason in (*method.errors, *(read.reasons[IMPLIED, name] for name in implied(read, method))):
        found[statuses.of(reason)].append(reason)
    return dict(sorted(found.items()))


def implied(read: Contract, method: Method) -> list[str]:
    """The reasons of `weft.api.v1` that can happen to a routed method, in the order of the enum."""
    assert method.route is not None
    fields = read.pool.FindMessageTypeByName(method.input).fields_by_name
    body = fields[method.route.body].message_type if method.route.body not in ("", "*") else None
    raw = body is not None and body.full_name == "google.api.HttpBody"
    changes = body is not None and "etag" in body.fields_by_name
    keyed = method.key in (Key.REQUIRED, Key.ACCEPTED)
    happens = {
        "TOKEN_MISSING": not method.public,
        "TOKEN_INVALID": not method.public,
        "TOKEN_EXPIRED": not method.public,
        "TOKEN_REVOKED": not method.public,
        "REVOCATIONS_UNAVAILABLE": not method.public and not method.read_only,
        "KEYS_UNAVAILABLE": not method.public,
        "CALLER_NOT_ALLOWED": not method.public,
        "SCOPE_MISSING": bool(method.scope),
        "REQUEST_INVALID": True,
        "UNKNOWN_FIELD": bool(method.route.body) and not raw,
        "UNKNOWN_QUERY_PARAMETER": True,
        "JSON_MALFORMED": bool(method.route.body) and not raw,
        "PAGE_TOKEN_INVALID": "page_token" in fields,
        "IDEMPOTENCY_KEY_MISSING": method.key is Key.REQUIRED,
        "IDEMPOTENCY_KEY_INVALID": keyed,
        "IDEMPOTENCY_KEY_REUSED": keyed,
        "IDEMPOTENCY_KEY_IN_USE": keyed,
        "ETAG_MISMATCH": "etag" in fields or changes,
        "RESOURCE_BUSY": method.route.verb != "GET",
        "ROUTE_NOT_FOUND": bool(method.route.variables),
        "CONTENT_TYPE_UNSUPPORTED": bool(method.route.body),
        "BODY_TOO_LARGE": bool(method.route.body),
        "HEADERS_TOO_LARGE": True,
        "HTTP_MALFORMED": True,
        "RATE_LIMITED": True,
        "TOO_MANY_STREAMS": method.server_streaming,
        "READER_TOO_SLOW": method.server_streaming,
        "OVERLOADED": True,
        "SERVICE_UNAVAILABLE": True,
        "DEADLINE_EXPIRED": True,
        "INTERNAL_FAULT": True,
    }
    return [name for name, may in happens.items() if may]


class Responses:
    """The error responses of one document. What many operations share is a component, filled as they refer to it."""

    def __init__(self, read: Contract) -> None:
        self._contract = read
        self.components: Json = {}
        self.examples: Json = {}

    def of(self, method: Method) -> Json:
        """The error responses of an operation by status."""
        found = reasons(self._contract, method).items()
        return {str(status): self._shared(status, causes) for status, causes in found}

    def _shared(self, status: int, causes: list[Reason]) -> Json:
        """A reference where the causes are not the operation's own and the status always means the same."""
        if status in (400, 404, 409) or any(cause.domain != IMPLIED for cause in causes):
            return self._response(status, causes)
        name = ".".join([str(status), *sorted(cause.name for cause in causes)])
        if name not in self.components:
            self.components[name] = self._response(status, causes)
        return {"$ref": f"#/components/responses/{name}"}

    def _response(self, status: int, causes: list[Reason]) -> Json:
        named = {"required": ["reason"], "properties": {"reason": {"enum": sorted({cause.name for cause in causes})}}}
        schema = {
            "$ref": "#/components/schemas/google.rpc.Status",
            "properties": {"details": {"contains": {"type": "object", **named}}},
        }
        return {
            "description": "\n".join(f"- `{cause.name}` ({cause.domain}): {cause.description}" for cause in causes),
            "headers": headers.of_error(status),
            "content": {"application/json": {"schema": schema, "examples": {c.name: self._example(c) for c in causes}}},
        }

    def _example(self, reason: Reason) -> Json:
        name = f"{reason.domain}.{reason.name}"
        self.examples[name] = {"value": example(reason)}
        return {"$ref": f"#/components/examples/{name}"}


def example(reason: Reason) -> Json:
    """A `Status` as the edge answers it for this reason."""
    details: list[Json] = [
        {
            "@type": f"{_TYPE}ErrorInfo",
            "reason": reason.name,
            "domain": reason.domain,
            "metadata": {key: f"<{key}>" for key in reason.metadata},
        }
    ]
    if reason.name in ("REQUEST_INVALID", "UNKNOWN_FIELD", "UNKNOWN_QUERY_PARAMETER"):
        violation = {"field": "pageSize", "description": "must be greater than or equal to 0"}
        details.append({"@type": f"{_TYPE}BadRequest", "fieldViolations": [violation]})
    if reason.retry:
        details.append({"@type": f"{_TYPE}RetryInfo", "retryDelay": "1s"})
    details.append({"@type": f"{_TYPE}RequestInfo", "requestId": headers.REQUEST_ID, "servingData": ""})
    return {"code": reason.code, "message": reason.comment, "details": details}
