"""Which fields an update takes (AIP-134): those of its mask, or without one those that are present in the resource.

What can be updated follows from the resource: every field that is not OUTPUT_ONLY, `etag` aside. `make lint` sees to it
that each of them has presence, so that `false`, `0` and an empty text are values like others.
"""

from typing import Any

from chassis.errors import RequestInvalid
from contract.rules import updatable


def fields(request: Any, resource: str) -> frozenset[str]:
    """The fields of `resource` that an update request is to change; an empty mask counts as none, `*` names all.

    Raises `RequestInvalid` for a path that cannot be updated, and for a field that is named, has no value and cannot be
    cleared.
    """
    message, paths = getattr(request, resource), set(request.update_mask.paths)
    allowed = updatable(message.DESCRIPTOR)
    present = {field.name for field, _ in message.ListFields()} & allowed.keys()
    if not paths:
        return frozenset(present)
    if not paths <= {*allowed, "*"}:
        raise RequestInvalid(
            violations=[("update_mask", f"must name only {', '.join(allowed)}, or `*` for all of them")]
        )
    named = set(allowed) if "*" in paths else paths
    missing = [name for name, clearable in allowed.items() if name in named - present and not clearable]
    if missing:
        raise RequestInvalid(violations=[(f"{resource}.{name}", "must be given, as it is updated") for name in missing])
    return frozenset(named)
