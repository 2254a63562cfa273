"""One exception for each error reason."""

from collections import defaultdict

from google.rpc import code_pb2

from codegen.python_client.source import camel, docstring
from codegen.python_client.source import module as module_text
from contract import Contract, ContractError, Reason

_BASES = {
    code_pb2.INVALID_ARGUMENT: "InvalidArgument",
    code_pb2.OUT_OF_RANGE: "InvalidArgument",
    code_pb2.UNAUTHENTICATED: "Unauthenticated",
    code_pb2.PERMISSION_DENIED: "PermissionDenied",
    code_pb2.NOT_FOUND: "NotFound",
    code_pb2.ALREADY_EXISTS: "AlreadyExists",
    code_pb2.ABORTED: "Aborted",
    code_pb2.FAILED_PRECONDITION: "FailedPrecondition",
    code_pb2.RESOURCE_EXHAUSTED: "RateLimited",
    code_pb2.UNAVAILABLE: "Unavailable",
    code_pb2.DEADLINE_EXCEEDED: "DeadlineExceeded",
    code_pb2.UNIMPLEMENTED: "Unimplemented",
    code_pb2.CANCELLED: "Cancelled",
}


def class_name(reason: Reason) -> str:
    """`OutOfStock`."""
    return camel(reason.name)


def base(reason: Reason) -> str:
    """The base to catch it by."""
    return _BASES.get(reason.code, "Internal")


def module(contract: Contract) -> str:
    """The classes by name; one class serves a name that several services use."""
    named: dict[str, list[Reason]] = defaultdict(list)
    for reason in contract.reasons.values():
        named[class_name(reason)].append(reason)
    blocks = [_class(name, named[name]) for name in sorted(named) if name != base(named[name][0])]
    entries = "\n".join(
        f"    ({reason.domain!r}, {reason.name!r}): {name if name != base(reason) else f'failures.{name}'},"
        for name in sorted(named)
        for reason in named[name]
    )
    names = "\n".join(f"    {name!r}," for name in sorted(named) if name != base(named[name][0]))
    blocks.append(f"failures.BY_REASON.update({{\n{entries}\n}})")
    # Type checkers read a literal __all__ only.
    blocks.append(f"__all__ = [\n{names}\n    'generated_names',\n]\n\ngenerated_names = __all__[:-1]")
    return module_text("The contract's error reasons.", ["from weft_client import failures"], blocks)


def _class(name: str, reasons: list[Reason]) -> str:
    if len({base(reason) for reason in reasons}) > 1:
        domains = " and ".join(reason.domain for reason in reasons)
        raise ContractError(f"{reasons[0].name} has different codes in {domains}: one name is one class for callers.")
    first = reasons[0]
    comments = list(dict.fromkeys(reason.description for reason in reasons))
    lines = [f"class {name}(failures.{base(first)}):", docstring("\n\n".join(comments), 4), ""]
    lines.append(f"    reason = {first.name!r}")
    if len(reasons) == 1:
        lines.append(f"    domain = {first.domain!r}")
    for key in dict.fromkeys(key for reason in reasons for key in reason.metadata):
        lines += ["", "    @property", f"    def {key}(self) -> str:"]
        lines.append(f'        """The metadata `{key}`; empty where the service left it out."""')
        lines.append(f"        return self.metadata.get({key!r}, '')")
    return "\n".join(lines)
