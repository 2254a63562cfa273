"""Typed errors. The domain raises them; `chain` turns them into `google.rpc.Status`, once, for everyone.

A subclass is named after its reason: `class OutOfStock(FailedPrecondition)` in `services.order` is `OUT_OF_STOCK` of
`weft.order.v1`. Its docstring is the message, with the metadata filled in.
"""

import re
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import ClassVar

import grpc
from google.rpc import status_pb2

from chassis import error_details


class WeftError(Exception):
    """An error that is returned to the caller. Keyword arguments are the metadata of `ErrorInfo`."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.UNKNOWN
    reason: ClassVar[str] = ""
    domain: ClassVar[str] = "weft.api.v1"

    def __init_subclass__(cls) -> None:
        """Derive reason and domain from the names of class and module."""
        if "reason" not in cls.__dict__:
            cls.reason = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).upper()
        parts = cls.__module__.split(".")
        if "domain" not in cls.__dict__ and parts[0] == "services":
            cls.domain = f"weft.{parts[1]}.v1"

    def __init__(
        self,
        *,
        retry_after: timedelta | None = None,
        violations: Iterable[tuple[str, str]] = (),
        left_out: int = 0,
        **metadata: str,
    ) -> None:
        """`violations` are field paths with what is allowed there; `left_out` counts those that are not among them."""
        self.metadata = metadata
        self.retry_after = retry_after
        self.violations = tuple(violations)
        self.left_out = left_out
        sentence = (self.__doc__ or "").strip().partition("\n")[0]
        super().__init__(sentence.format(**metadata))

    def status(self, request_id: str) -> status_pb2.Status:
        """The error as a `google.rpc.Status` that fits the header limits of every hop."""
        cause = self.reason, self.domain, self.metadata
        return error_details.status(
            self.code.value[0], str(self), cause, self.violations, self.left_out, self.retry_after, request_id
        )


class InvalidArgument(WeftError):
    """The request is invalid, regardless of the state of the system."""

    code = grpc.StatusCode.INVALID_ARGUMENT


class NotFound(WeftError):
    """The resource does not exist, or is not the caller's."""

    code = grpc.StatusCode.NOT_FOUND


class AlreadyExists(WeftError):
    """A unique value is already in use."""

    code = grpc.StatusCode.ALREADY_EXISTS


class FailedPrecondition(WeftError):
    """The resource's state does not allow the operation."""

    code = grpc.StatusCode.FAILED_PRECONDITION


class Aborted(WeftError):
    """A concurrent change came first; the caller may retry from the start."""

    code = grpc.StatusCode.ABORTED


class PermissionDenied(WeftError):
    """The caller is authenticated and not allowed to do this."""

    code = grpc.StatusCode.PERMISSION_DENIED


class Unauthenticated(WeftError):
    """The caller has no valid credentials."""

    code = grpc.StatusCode.UNAUTHENTICATED


class ResourceExhausted(WeftError):
    """A quota is used up."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class Unavailable(WeftError):
    """A temporary condition; the caller may retry."""

    code = grpc.StatusCode.UNAVAILABLE


class DeadlineExceeded(WeftError):
    """The deadline passed before the call ended."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED


class TokenMissing(Unauthenticated):
    """The call requires a bearer token."""


class TokenInvalid(Unauthenticated):
    """The bearer token is not valid."""


class TokenExpired(Unauthenticated):
    """The bearer token has expired."""


class TokenRevoked(Unauthenticated):
    """The bearer token was revoked."""


class RevocationsUnavailable(Unavailable):
    """Whether the bearer token was revoked is temporarily unknown; nothing was changed."""


class KeysUnavailable(Unavailable):
    """Token verification keys are temporarily unavailable."""


class CallerNotAllowed(PermissionDenied):
    """Only these callers may make this call: {callers}."""


class AddressNotAllowed(PermissionDenied):
    """The client may not be used from this network address."""


class ScopeMissing(PermissionDenied):
    """The token lacks the scope {scope}."""


class RequestInvalid(InvalidArgument):
    """The request is not valid; see the field violations."""


class MessageMalformed(InvalidArgument):
    """The message is not the protobuf that the contract asks for."""


class BodyTooLarge(InvalidArgument):
    """The request is larger than any that the contract allows."""


class PageTokenInvalid(InvalidArgument):
    """The page token is not valid for this query."""


class IdempotencyKeyMissing(InvalidArgument):
    """The call requires an idempotency-key."""


class IdempotencyKeyInvalid(InvalidArgument):
    """An idempotency-key is 1 to 255 visible ASCII characters."""


class IdempotencyKeyReused(FailedPrecondition):
    """The idempotency-key was used with another request."""


class IdempotencyKeyInUse(Aborted):
    """A call with the same idempotency-key is still running."""


class EtagMismatch(Aborted):
    """The resource has changed; its etag is now {etag}."""


class ResourceBusy(Aborted):
    """Another call holds the lock; nothing was changed, retry later."""


class ReaderTooSlow(Unavailable):
    """The stream was not read in time; resume from its last cursor."""


class Overloaded(Unavailable):
    """The service is overloaded; retry later."""


class TooManyStreams(ResourceExhausted):
    """The caller or its partner already has {limit} open streams; close one or retry later."""


class ServiceUnavailable(Unavailable):
    """A service that the call needs is temporarily unavailable."""


class DeadlineExpired(DeadlineExceeded):
    """The deadline of the call expired."""


class InternalFault(WeftError):
    """Internal error. Quote the request id when you report it."""

    code = grpc.StatusCode.INTERNAL


observer: Callable[[str, str], None] | None = None
"""Called with each `(method full name, reason)` that is answered, when set: tests compare them with the contract."""
