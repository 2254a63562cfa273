"""The status of a failed call, kept small: message, details and headers of any answer have less than 4 KB together.

What is larger is refused by somebody between here and the caller, and the cause is lost (gRPC clients take 8 KiB of
headers, the edge closes the connection). So violations are left out and counted, and texts are cut.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

MAX_VIOLATIONS = 20
MAX_MESSAGE_BYTES = 400
"""Bytes of the message, percent-encoded as gRPC sends it."""
MAX_STATUS_BYTES = 2_500
"""Bytes of the serialized status; a header holds them in base64, a third more."""
_METADATA_BYTES, _FIELD_BYTES, _DESCRIPTION_BYTES = (
    800,
    200,
    400,
)  # bytes: all values together, one field path, one description
_LEFT_OUT_BYTES = len(", and 4294967296 more.")


def status(
    code: int,
    message: str,
    cause: tuple[str, str, Mapping[str, str]],
    violations: Sequence[tuple[str, str]],
    left_out: int,
    retry_after: timedelta | None,
    request_id: str,
) -> status_pb2.Status:
    """A status with its details. `cause`: reason, domain and metadata; `left_out`: violations that were left out already."""
    reason, domain, metadata = cause
    share = _METADATA_BYTES // max(1, len(metadata))
    short = {key: cut(value, share) for key, value in metadata.items()}
    info = error_details_pb2.ErrorInfo(reason=reason, domain=domain, metadata=short)
    others: list[Message] = []
    if retry_after is not None:
        delay = duration_pb2.Duration()
        delay.FromTimedelta(retry_after)
        others.append(error_details_pb2.RetryInfo(retry_delay=delay))
    others.append(error_details_pb2.RequestInfo(request_id=cut(request_id, 64)))
    message = _cut_encoded(message, MAX_MESSAGE_BYTES - _LEFT_OUT_BYTES)
    answer = status_pb2.Status(code=code, message=message, details=_packed([info, *others]))
    shown = _fitting(
        violations, MAX_STATUS_BYTES - answer.ByteSize() - _LEFT_OUT_BYTES - 100
    )  # the type's name, and lengths
    left_out += len(violations) - len(shown)
    if left_out:
        answer.message = f"{message.rstrip('.')}, and {left_out} more."
    if shown:
        del answer.details[:]
        answer.details.extend(_packed([info, error_details_pb2.BadRequest(field_violations=shown), *others]))
    return answer


def cut(text: str, size: int) -> str:
    """The text in `size` bytes of UTF-8, with an ellipsis where it was longer."""
    raw = text.encode("utf-8", "replace")
    return raw.decode() if len(raw) <= size else raw[: size - 3].decode(errors="ignore") + "…"


def _fitting(violations: Sequence[tuple[str, str]], room: int) -> list[error_details_pb2.BadRequest.FieldViolation]:
    shown = []
    for field, description in violations[:MAX_VIOLATIONS]:
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=cut(field, _FIELD_BYTES), description=cut(description, _DESCRIPTION_BYTES)
        )
        room -= violation.ByteSize() + 3
        if room < 0:
            break
        shown.append(violation)
    return shown


def _cut_encoded(text: str, size: int) -> str:
    """The text in `size` bytes as a gRPC header holds it: three bytes for each that is not printable ASCII."""
    text, taken = text.encode("utf-8", "replace").decode(), 0
    for place, character in enumerate(text):
        taken += 1 if " " <= character <= "~" and character != "%" else 3 * len(character.encode())
        if taken > size - 9:
            return text[:place] + "…"
    return text


def _packed(details: Sequence[Message]) -> list[any_pb2.Any]:
    packed = [any_pb2.Any() for _ in details]
    for wrapper, detail in zip(packed, details, strict=True):
        wrapper.Pack(detail)
    return packed
