"""Why a call failed, as exceptions: one class for each reason of the contract, under a few bases to catch by.

except weft_client.errors.OutOfStock as error:      # one reason
except weft_client.errors.NotFound:                 # whatever it was that is not there
except weft_client.errors.WeftError as error:       # anything
"""

from weft_client.failures import (
    Aborted,
    AlreadyExists,
    Cancelled,
    CircuitOpen,
    Conflict,
    DeadlineExceeded,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    RateLimited,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    UntrustedServer,
    Violation,
    WeftError,
)
from weft_client.generated.errors import *  # noqa: F403

__all__ = [  # noqa: PLE0604
    "Aborted",
    "AlreadyExists",
    "Cancelled",
    "CircuitOpen",
    "Conflict",
    "DeadlineExceeded",
    "FailedPrecondition",
    "Internal",
    "InvalidArgument",
    "NotFound",
    "PermissionDenied",
    "RateLimited",
    "ResourceExhausted",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "UntrustedServer",
    "Violation",
    "WeftError",
    *generated_names,  # noqa: F405
]
