"""Why a call fails: the values of each package's `ErrorReason`, with what comes with them."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import EnumDescriptor
from google.rpc import code_pb2
from weft.api.v1 import reason_pb2


@dataclass(frozen=True)
class Reason:
    """One error reason.

    `domain` is the package that it belongs to (`ErrorInfo.domain`), `code` its gRPC code, `metadata` the keys of
    `ErrorInfo.metadata`; with `retry` the error may carry `RetryInfo`.
    """

    name: str
    domain: str
    code: int
    metadata: tuple[str, ...]
    retry: bool
    comment: str

    @property
    def description(self) -> str:
        """The comment, and what comes with the error."""
        parts = [self.comment]
        if self.metadata:
            parts.append(f"Metadata: {', '.join(f'`{key}`' for key in self.metadata)}.")
        if self.retry:
            parts.append("`RetryInfo` says when to try again.")
        return " ".join(parts)


def read(enum: EnumDescriptor, comment: Callable[[str], str]) -> Iterator[Reason]:
    """The reasons of one `ErrorReason`, in its order."""
    for value in enum.values:
        if value.number:
            options = descriptor_pb2.EnumValueOptions.FromString(value.GetOptions().SerializeToString())
            policy = options.Extensions[reason_pb2.reason]
            yield Reason(
                value.name,
                enum.file.package,
                policy.code,
                tuple(policy.metadata),
                policy.retry,
                comment(f"{enum.full_name}.{value.name}"),
            )


def faults(reason: Reason) -> Iterator[str]:
    """A sentence for each thing that is invalid in a reason, with what to write."""
    name = f"{reason.domain}.ErrorReason.{reason.name}"
    if reason.code == code_pb2.OK:
        yield f"{name} has no code: write [(weft.api.v1.reason) = {{code: NOT_FOUND}}] or another."
    for key in sorted({key for key in reason.metadata if reason.metadata.count(key) > 1}):
        yield f"{name} names the metadata key {key!r} twice: once is enough."
    for key in reason.metadata:
        if not re.fullmatch(r"[a-z]+(_[a-z]+)*", key):
            yield f"{name} has the metadata key {key!r}: write it as `order_id`."
    if re.search(r"\b[Mm]etadata: |No metadata|RetryInfo", reason.comment):
        yield f"{name} lists metadata or `RetryInfo` in its comment: write `metadata` and `retry` in its option."
