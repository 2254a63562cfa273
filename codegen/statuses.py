"""The HTTP status that a caller over REST sees for an error reason."""

from google.rpc import code_pb2

from contract import Reason

# As Envoy's transcoder maps gRPC codes (source/common/http/utility, google/rpc/code.proto).
_OF_CODE = {
    code_pb2.CANCELLED: 499,
    code_pb2.UNKNOWN: 500,
    code_pb2.INVALID_ARGUMENT: 400,
    code_pb2.DEADLINE_EXCEEDED: 504,
    code_pb2.NOT_FOUND: 404,
    code_pb2.ALREADY_EXISTS: 409,
    code_pb2.PERMISSION_DENIED: 403,
    code_pb2.UNAUTHENTICATED: 401,
    code_pb2.RESOURCE_EXHAUSTED: 429,
    code_pb2.FAILED_PRECONDITION: 400,
    code_pb2.ABORTED: 409,
    code_pb2.OUT_OF_RANGE: 400,
    code_pb2.UNIMPLEMENTED: 501,
    code_pb2.INTERNAL: 500,
    code_pb2.UNAVAILABLE: 503,
    code_pb2.DATA_LOSS: 500,
}
# What the edge refuses by itself, before there is a gRPC call, and HTTP has a better word for.
_OF_REASON = {
    "METHOD_NOT_ALLOWED": 405,
    "BODY_TOO_LARGE": 413,
    "CONTENT_TYPE_UNSUPPORTED": 415,
    "HEADERS_TOO_LARGE": 431,
}


def of(reason: Reason) -> int:
    """`ORDER_NOT_FOUND` → 404, and so on."""
    if reason.domain == "weft.api.v1" and reason.name in _OF_REASON:
        return _OF_REASON[reason.name]
    return _OF_CODE[reason.code]
