"""What can stop the mesh from running, each with one sentence."""

import errno
from pathlib import Path


class MeshError(Exception):
    """The mesh cannot go on. The message is one sentence: what is wrong, and what to do about it."""


_ELSEWHERE = "choose another folder with WEFT_HOME."
_OF_FILES = {
    errno.ENOSPC: "The disk of {} is full: make room, or choose another disk with WEFT_HOME.",
    errno.EDQUOT: "Your share of the disk of {} is used up: make room, or choose another disk with WEFT_HOME.",
    errno.EFBIG: "{} would be larger than this process may write: raise the limit (ulimit -f).",
    errno.EROFS: "{} is on a disk that can only be read: " + _ELSEWHERE,
    errno.EACCES: "{} may not be written by you: give yourself the right, or " + _ELSEWHERE,
    errno.ENAMETOOLONG: "{} is too long a path: choose a shorter one with WEFT_HOME.",
    errno.ENOTDIR: "{} is not a folder: move it away, or " + _ELSEWHERE,
    errno.EISDIR: "{} is a folder where a file belongs: move it away, or " + _ELSEWHERE,
    errno.ELOOP: "{} is a link that leads to itself: remove it, or " + _ELSEWHERE,
    errno.ENOENT: "{} is gone: start the mesh again, or " + _ELSEWHERE,
}
_OF_FILES |= {errno.EPERM: _OF_FILES[errno.EACCES], errno.EEXIST: _OF_FILES[errno.ENOTDIR]}
_OF_MACHINE = {
    errno.EMFILE: "Too many files are open: raise the limit (ulimit -n).",
    errno.ENFILE: "Too many files are open on this machine: end some of what runs on it.",
    errno.ENOMEM: "This machine has no memory left: end some of what runs on it.",
    errno.EAGAIN: "No more processes can be started: raise the limit (ulimit -u), or end some of what runs.",
}


def describe(error: OSError, where: Path) -> str:
    """One sentence for what the operating system refused, with its remedy. `where` is named if the error names no file."""
    if error.errno in _OF_MACHINE:
        return _OF_MACHINE[error.errno]
    file = str(error.filename2 or error.filename or where)
    file = file if len(file) <= 200 else f"{file[:200]}…"
    if error.errno in _OF_FILES:
        return _OF_FILES[error.errno].format(file)
    return f"{file} cannot be used ({error.strerror or error}): see to that, or {_ELSEWHERE}"
