"""The bases of all errors, and the way from a gRPC status to one. Users import them from `weft_client.errors`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import grpc
from google.rpc import error_details_pb2, status_pb2

_DETAILS = "grpc-status-details-bin"


@dataclass(frozen=True)
class Violation:
    """One field of a request that breaks the contract: its path as the caller wrote it, and what is wrong."""

    field: str
    description: str


class WeftError(Exception):
    """A call failed.

    `reason` and `domain` name the cause (empty where no service spoke), `metadata` its particulars. `request_id` is what
    to quote. `retry_after` is in seconds, where the service said when to come back. `attempts` counts what was sent; 0
    means that nothing left the process.
    """

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.UNKNOWN
    reason: str = ""
    domain: str = ""

    def __init__(
        self,
        message: str = "",
        *,
        request_id: str = "",
        retry_after: float | None = None,
        violations: Sequence[Violation] = (),
        attempts: int = 0,
        **metadata: str,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.request_id = request_id
        self.retry_after = retry_after
        self.violations = tuple(violations)
        self.attempts = attempts
        self.metadata: Mapping[str, str] = metadata

    def __str__(self) -> str:
        fields = "; ".join(f"{v.field}: {v.description}" for v in self.violations)
        marks = [self.reason or self.code.name, *([f"request {self.request_id}"] if self.request_id else [])]
        return f"{self.message or self.code.name}{f' {fields}' if fields else ''} [{', '.join(marks)}]"


class InvalidArgument(WeftError):
    """The request breaks the contract; `violations` names every field."""

    code = grpc.StatusCode.INVALID_ARGUMENT


class Unauthenticated(WeftError):
    """No credentials, or invalid ones."""

    code = grpc.StatusCode.UNAUTHENTICATED


class PermissionDenied(WeftError):
    """The caller may not do this."""

    code = grpc.StatusCode.PERMISSION_DENIED


class NotFound(WeftError):
    """It does not exist, or is not the caller's."""

    code = grpc.StatusCode.NOT_FOUND


class Conflict(WeftError):
    """It collides with what is there: see `AlreadyExists` and `Aborted`."""

    code = grpc.StatusCode.ABORTED


class AlreadyExists(Conflict):
    """Something with that name exists."""

    code = grpc.StatusCode.ALREADY_EXISTS


class Aborted(Conflict):
    """Someone else was faster; read again, then repeat."""


class FailedPrecondition(WeftError):
    """The current state does not allow it."""

    code = grpc.StatusCode.FAILED_PRECONDITION


class ResourceExhausted(WeftError):
    """A limit was exceeded, such as the size of a message. Sending the same again does not help."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class RateLimited(ResourceExhausted):
    """Too many calls; `retry_after` says when to come back. Only a service or the edge says so, never the transport."""

    reason = "RATE_LIMITED"
    domain = "weft.api.v1"


class Unavailable(WeftError):
    """The service was not reached, or cannot serve now."""

    code = grpc.StatusCode.UNAVAILABLE


class UntrustedServer(Unavailable):
    """The server's certificate does not hold: wrong authorities (`ca=`), or another name than the address. Not retried."""


class CircuitOpen(Unavailable):
    """Nothing was sent: the service failed again and again, and is left alone until `retry_after` seconds have passed."""


class DeadlineExceeded(WeftError):
    """Time ran out. A mutation may have happened: repeat it with the same idempotency key."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED


class Cancelled(WeftError):
    """The call was cancelled."""

    code = grpc.StatusCode.CANCELLED


class Unimplemented(WeftError):
    """The service does not know this call: it is older than this library."""

    code = grpc.StatusCode.UNIMPLEMENTED


class Internal(WeftError):
    """Internal error of the service; quote `request_id`."""

    code = grpc.StatusCode.INTERNAL


BY_CODE: dict[grpc.StatusCode, type[WeftError]] = {
    grpc.StatusCode.CANCELLED: Cancelled,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgument,
    grpc.StatusCode.OUT_OF_RANGE: InvalidArgument,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhausted,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.ABORTED: Aborted,
    grpc.StatusCode.UNIMPLEMENTED: Unimplemented,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
}
"""What has no place here (UNKNOWN, INTERNAL, DATA_LOSS) is `Internal`."""

BY_REASON: dict[tuple[str, str], type[WeftError]] = {}
"""By domain and reason; filled by the generated errors."""

_BY_NUMBER = {code.value[0]: code for code in grpc.StatusCode}


def from_rpc_error(error: grpc.RpcError, request_id: str, attempts: int) -> WeftError:
    """The typed error of a failed call. An id that the answering side gave the request goes before ours."""
    call: Any = error  # RpcError promises nothing; both flavours' errors are calls
    headers: dict[str, Any] = {**dict(call.initial_metadata() or ()), **dict(call.trailing_metadata() or ())}
    request_id = headers.get("x-request-id", request_id)
    if _DETAILS in headers:
        status = status_pb2.Status.FromString(headers[_DETAILS])
        if _BY_NUMBER.get(status.code) is call.code():
            return from_status(status, request_id, attempts)
    return _plain(call.code(), call.details() or "", request_id, attempts)


def from_status(status: status_pb2.Status, request_id: str = "", attempts: int = 0) -> WeftError:
    """The typed error of a `google.rpc.Status`."""
    info, retry_after, violations = error_details_pb2.ErrorInfo(), None, []
    for detail in status.details:
        kind = detail.TypeName()
        if kind == "google.rpc.ErrorInfo":
            detail.Unpack(info)
        elif kind == "google.rpc.RetryInfo":
            retry = error_details_pb2.RetryInfo.FromString(detail.value)
            retry_after = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
        elif kind == "google.rpc.BadRequest":
            bad = error_details_pb2.BadRequest.FromString(detail.value)
            violations += [Violation(v.field, v.description) for v in bad.field_violations]
        elif kind == "google.rpc.RequestInfo":
            request_id = error_details_pb2.RequestInfo.FromString(detail.value).request_id or request_id
    code = _BY_NUMBER.get(status.code, grpc.StatusCode.UNKNOWN)
    base = BY_CODE.get(code, Internal)
    if base is ResourceExhausted and retry_after is not None:
        base = RateLimited
    made = BY_REASON.get((info.domain, info.reason), base)(
        status.message, request_id=request_id, retry_after=retry_after, violations=violations, attempts=attempts
    )
    made.metadata, made.reason, made.domain = dict(info.metadata), info.reason, info.domain
    return made


def to_status(error: WeftError) -> status_pb2.Status:
    """The `google.rpc.Status` that `from_status` reads back as the same error; what a fake service answers with."""
    status = status_pb2.Status(code=error.code.value[0], message=error.message)
    if error.reason:
        info = error_details_pb2.ErrorInfo(reason=error.reason, domain=error.domain, metadata=error.metadata)
        status.details.add().Pack(info)
    if error.retry_after is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromNanoseconds(int(error.retry_after * 1e9))
        status.details.add().Pack(retry)
    if error.violations:
        bad = error_details_pb2.BadRequest()
        for violation in error.violations:
            bad.field_violations.add(field=violation.field, description=violation.description)
        status.details.add().Pack(bad)
    return status


def _plain(code: grpc.StatusCode, details: str, request_id: str, attempts: int) -> WeftError:
    """Where no service spoke: the transport's own words. No retry is read into a bare code but that of Unavailable."""
    if code is grpc.StatusCode.UNAVAILABLE and (cause := _distrust(details)):
        return UntrustedServer(cause, request_id=request_id, attempts=attempts)
    if code is grpc.StatusCode.CANCELLED and details != _BY_US:
        # A gRPC server that stops ends a call so, be it too late for a handler or in the middle of one.
        return Unavailable("The server stopped.", request_id=request_id, attempts=attempts)
    return BY_CODE.get(code, Internal)(details, request_id=request_id, attempts=attempts)


_BY_US = "Locally cancelled by application!"
"""gRPC's own words."""


def _distrust(details: str) -> str:
    """What a failed TLS handshake means, in one sentence; empty for other failures. The words are gRPC core's."""
    if "CERTIFICATE_VERIFY_FAILED" in details:
        return "The server's certificate is not signed by an authority that this client trusts: check `ca`."
    if "not in peer certificate" in details or "Hostname Verification Check failed" in details:
        return "The server's certificate is for another name: check the address, or give its name as `server_name`."
    if "WRONG_VERSION_NUMBER" in details:
        return "The server does not speak TLS at this address: check the port, or say tls=Plaintext() in development."
    return ""
