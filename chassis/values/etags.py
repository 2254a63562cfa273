"""Etags: the version of a resource, which counts its changes. A caller who sends one back changes only what it has read."""

from chassis.errors import EtagMismatch


def of(version: int) -> str:
    """The etag of a version, such as `3`. To callers it is opaque."""
    return str(version)


def require(given: str, version: int) -> None:
    """Raise `EtagMismatch` for an etag of another version than the current one; an empty one is none."""
    if given and given != of(version):
        raise EtagMismatch(etag=of(version))
