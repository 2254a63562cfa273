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
    """An error that a caller is told about. Keyword arguments are the metadata of `ErrorInfo`."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.UNKNOWN
    reason: ClassVar[str] = ""
    domain: ClassVar[str] = "weft.api.v1"

    def __init_subclass__(cls) -> None:
        """Derive reason and domain from the names of class and module."""
        if "reason" not in cls.__dict__:
            cls.reason = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).upper()
        parts = cls.__module__.split(".")
        if "domain" not in cls.__dict__ and parts[0] == "services" and parts[1] != "chassis":
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
        """The error as callers get it, small enough for every part on the way."""
        cause = self.reason, self.domain, self.metadata
        return error_details.status(
            self.code.value[0], str(self), cause, self.violations, self.left_out, self.retry_after, request_id
        )


class InvalidArgument(WeftError):
    """The request is wrong, whatever the state."""

    code = grpc.StatusCode.INVALID_ARGUMENT


class NotFound(WeftError):
    """No such thing, or not the caller's."""

    code = grpc.StatusCode.NOT_FOUND


class AlreadyExists(WeftError):
    """Something unique is taken."""

    code = grpc.StatusCode.ALREADY_EXISTS


class FailedPrecondition(WeftError):
    """The state does not allow it."""

    code = grpc.StatusCode.FAILED_PRECONDITION


class Aborted(WeftError):
    """Something else came in between; the caller may begin again."""

    code = grpc.StatusCode.ABORTED


class PermissionDenied(WeftError):
    """The caller may not."""

    code = grpc.StatusCode.PERMISSION_DENIED


class Unauthenticated(WeftError):
    """The caller is not known."""

    code = grpc.StatusCode.UNAUTHENTICATED


class ResourceExhausted(WeftError):
    """Too much."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class Unavailable(WeftError):
    """Not now."""

    code = grpc.StatusCode.UNAVAILABLE


class DeadlineExceeded(WeftError):
    """Too late."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED


class TokenMissing(Unauthenticated):
    """The call needs a bearer token."""


class TokenInvalid(Unauthenticated):
    """The bearer token is not valid."""


class TokenExpired(Unauthenticated):
    """The bearer token has expired."""


class KeysUnavailable(Unavailable):
    """The keys to verify tokens with cannot be had now."""


class CallerNotAllowed(PermissionDenied):
    """This call is open to: {callers}."""


class ScopeMissing(PermissionDenied):
    """The token lacks the scope {scope}."""


class RequestInvalid(InvalidArgument):
    """The request is not valid; see the field violations."""


class MessageMalformed(InvalidArgument):
    """The message is not the protobuf that the contract asks for."""


class BodyTooLarge(InvalidArgument):
    """The request is larger than any that the contract allows."""


class PageTokenInvalid(InvalidArgument):
    """The page token is not one of this query's."""


class IdempotencyKeyMissing(InvalidArgument):
    """The call needs an idempotency-key."""


class IdempotencyKeyInvalid(InvalidArgument):
    """An idempotency-key is 1 to 255 visible ASCII characters."""


class IdempotencyKeyReused(FailedPrecondition):
    """The idempotency-key was used with another request."""


class IdempotencyKeyInUse(Aborted):
    """A call with the same idempotency-key is still running."""


class EtagMismatch(Aborted):
    """The resource has changed; its etag is now {etag}."""


class ResourceBusy(Aborted):
    """Another call is changing what this one changes; nothing was changed, so try again."""


class ReaderTooSlow(Unavailable):
    """The stream was not read for too long; resume from its last cursor."""


class Overloaded(Unavailable):
    """The service has too much to do just now."""


class TooManyStreams(ResourceExhausted):
    """The caller, or its partner, has {limit} streams open already; close one, or come back."""


class ServiceUnavailable(Unavailable):
    """A part that the call needs is out of reach just now."""


class DeadlineExpired(DeadlineExceeded):
    """The call's time ran out."""


class InternalFault(WeftError):
    """A fault of ours; quote the request id."""

    code = grpc.StatusCode.INTERNAL


observer: Callable[[str, str], None] | None = None
"""Told of each `(method full name, reason)` that is answered, when set; for the tests that compare with the contract."""
