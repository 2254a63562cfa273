"""What the edge answers by itself, in the one error format: which reason, in which protocol's format.

A reply has three formats: `google.rpc.Status` as JSON, RFC 6749's JSON under /oauth2/, and for native gRPC the status
with static `grpc-status-details-bin`. Envoy's own text is never printed: it names hosts, clusters and internals.
"""

import base64
import json
from dataclasses import dataclass

from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from codegen.envoy.typed import TYPES, Json, extension, header
from contract import Contract, Reason

DOMAIN = "weft.api.v1"
LUA = "lua_response"

# Transcoded requests look like gRPC by then; the transcoder leaves the path that they came on.
NATIVE = (
    "'content-type' in request.headers && (request.headers['content-type'] == 'application/grpc' || "
    "request.headers['content-type'].startsWith('application/grpc+')) && "
    "!('x-envoy-original-path' in request.headers)"
)
OAUTH = "request.path.startsWith('/oauth2/') || request.headers['x-envoy-original-path'].startsWith('/oauth2/')"


@dataclass(frozen=True)
class Case:
    """A reason and when it is given. `when`: CEL on the reply; `status`: HTTP's, 0 as it is."""

    reason: str
    when: str
    status: int
    says: str


REQUEST_ID = "%RESP(X-REQUEST-ID)%"
"""As the reply has it: `_ID` is put there before the body is written."""
_GIVEN = json.dumps({"operators": [{"command": "REQ", "param": "x-request-id"}, {"command": "UNIQUE_ID"}]})
_ID = header("x-request-id", f"%COALESCE({_GIVEN})%")
"""What is refused before it is a request has no id yet, and gets one here; the log has it from the reply."""

DETAILS = "response.code_details"
_OFTEN = (
    f"{DETAILS} == 'local_rate_limited' || {DETAILS} == '{LUA}' && response.code == 429"
    f" || {DETAILS}.contains('address_holds_too_much')"
)
_DENIED = f"{DETAILS}.startsWith('jwt_authn_access_denied')"
_NO_KEYS = (
    f"({DETAILS}.contains('Jwks_remote_fetch') || {DETAILS}.contains('any_valid') || {DETAILS}.contains('Jwks_is_'))"
)
_LATE = f"{DETAILS} == 'request_overall_timeout' || {DETAILS} == 'request_header_timeout'"
_FULL = f"{DETAILS}.contains('overflow') || {DETAILS}.contains('overload')"

CASES = (
    Case("RATE_LIMITED", _OFTEN, 429, "The client is over its limit."),
    Case("TOKEN_MISSING", f"{DETAILS}.contains('Jwt_is_missing')", 401, "The call needs a bearer token."),
    Case("TOKEN_EXPIRED", f"{DETAILS}.contains('Jwt_is_expired')", 401, "The bearer token has expired."),
    Case(
        "KEYS_UNAVAILABLE",
        f"{_DENIED} && {_NO_KEYS}",
        503,
        "Token verification keys are temporarily unavailable.",
    ),
    Case("TOKEN_INVALID", _DENIED, 401, "The bearer token is not valid."),
    Case("OVERLOADED", _FULL, 503, "The edge is overloaded; retry later."),
    Case("DEADLINE_EXPIRED", _LATE, 408, "The request did not arrive in time."),
    Case(
        "JSON_MALFORMED",
        f"{DETAILS}.startsWith('grpc_json_transcode_failure') && response.code == 400",
        400,
        "The body is not the JSON that the contract asks for, or contradicts the path.",
    ),
    Case(
        "REQUEST_INVALID",
        f"{DETAILS}.startsWith('early_grpc_json_transcode_failure') && response.code == 400",
        400,
        "A value in the path or the query is not of its kind.",
    ),
    # By status, whatever the cause.
    Case("DEADLINE_EXPIRED", "response.code == 504 || response.code == 408", 504, "The call's time ran out."),
    Case(
        "SERVICE_UNAVAILABLE",
        "response.code == 503 || response.code == 502",
        503,
        "A service that the call needs is temporarily unavailable.",
    ),
    Case("ROUTE_NOT_FOUND", "response.code == 404", 404, "There is no such path."),
    Case("METHOD_NOT_ALLOWED", "response.code == 405", 405, "The path takes other HTTP methods."),
    Case("BODY_TOO_LARGE", "response.code == 413", 413, "The body is larger than the call takes."),
    Case("HEADERS_TOO_LARGE", "response.code == 431", 431, "The headers are larger than 32 KiB, or more than 100."),
    # Envoy's 426 would have to name an upgrade (RFC 9110, section 15.5.22), and its codec takes that header away.
    Case("HTTP_MALFORMED", "response.code == 426", 505, "The edge speaks HTTP/1.1 and HTTP/2."),
    Case("HTTP_MALFORMED", "response.code >= 400 && response.code < 500", 0, "The request is not proper HTTP."),
    Case("INTERNAL_FAULT", "response.code >= 500", 500, "Internal error. Quote the request id when you report it."),
)
"""The first that holds is the answer."""


def build(contract: Contract) -> Json:
    """The `local_reply_config`. Raises `KeyError` where a case names a reason that the contract does not have."""
    mappers: list[Json] = [
        # Said by deploy/envoy/strict/requests.lua, already formatted.
        {
            "filter": _cel(f"response.code_details == '{LUA}' && response.code != 429 && !({NATIVE})"),
            "body_format_override": {
                "text_format_source": {"inline_string": "%LOCAL_REPLY_BODY%"},
                "content_type": "application/json",
            },
        }
    ]
    for case in CASES:
        reason = contract.reasons[DOMAIN, case.reason]
        mappers += [_native(case, reason), _oauth(case, reason), _rest(case, reason)]
    return {"mappers": mappers}


def details(reason: Reason, message: str, *more: Message) -> str:
    """`grpc-status-details-bin` of a static reply: base64 of a `google.rpc.Status`, without padding."""
    status = status_pb2.Status(code=reason.code, message=message)
    for detail in (error_details_pb2.ErrorInfo(reason=reason.name, domain=reason.domain), *more):
        one = any_pb2.Any()
        one.Pack(detail)
        status.details.append(one)
    return base64.b64encode(status.SerializeToString(deterministic=True)).decode().rstrip("=")


def _native(case: Case, reason: Reason) -> Json:
    more = [error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=1))] if reason.retry else []
    return {
        "filter": _cel(f"({case.when}) && {NATIVE}"),
        "body_format_override": {"text_format_source": {"inline_string": case.says}},
        "headers_to_add": [
            header("grpc-status", str(reason.code)),
            header("grpc-status-details-bin", details(reason, case.says, *more)),
            _ID,
        ],
    }


def _oauth(case: Case, reason: Reason) -> Json:
    """RFC 6749, section 5.2; the words for faults of ours are those of section 4.1.2.1."""
    word = "invalid_request"
    if reason.retry or case.status == 504:
        word = "temporarily_unavailable"
    elif case.status >= 500 and case.reason != "HTTP_MALFORMED":
        word = "server_error"
    return {
        "filter": _cel(f"({case.when}) && ({OAUTH})"),
        "body_format_override": {"json_format": {"error": word, "error_description": case.says}},
        **_answer(case, reason),
    }


def _rest(case: Case, reason: Reason) -> Json:
    shown: list[Json] = [_detail("ErrorInfo", reason=reason.name, domain=reason.domain, metadata={})]
    if reason.retry:
        shown.append(_detail("RetryInfo", retryDelay="1s"))
    shown.append(_detail("RequestInfo", requestId=REQUEST_ID))
    return {
        "filter": _cel(case.when),
        "body_format_override": {"json_format": {"code": reason.code, "message": case.says, "details": shown}},
        **_answer(case, reason),
    }


def _answer(case: Case, reason: Reason) -> Json:
    headers = [_ID]
    if case.status == 401:
        error = "" if case.reason == "TOKEN_MISSING" else ', error="invalid_token"'
        headers.append(header("www-authenticate", f'Bearer realm="weft"{error}'))
    if case.status == 405:
        headers.append(header("allow", "GET, HEAD"))
    if reason.retry and case.reason != "RATE_LIMITED":  # there the limit says it itself
        headers.append(header("retry-after", "1"))
    found: Json = {"headers_to_add": headers}
    return found | ({"status_code": case.status} if case.status else {})


def _detail(kind: str, **fields: object) -> Json:
    return {"@type": f"{TYPES}google.rpc.{kind}", **fields}


def _cel(expression: str) -> Json:
    return {
        "extension_filter": extension(
            "envoy.access_loggers.extension_filters.cel",
            "extensions.access_loggers.filters.cel.v3.ExpressionFilter",
            expression=expression,
        )
    }
