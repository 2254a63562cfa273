"""A large set of texts in one small file, read by mmap: only what is asked for is in memory, once for all processes.

A text is stored as 40 bits of its BLAKE2b hash, so it cannot be read from the file. A text that is not in the set is found
with a probability of `count / 2**40`. The file is `HEADER`, 65,537 offsets (unsigned 32 bits, little-endian) by the first
16 bits, and the other 24 bits of each hash, sorted.
"""

import hashlib
import mmap
import struct
from collections.abc import Iterable
from pathlib import Path

HEADER = b"weft text set 1\n"
_BUCKETS = 1 << 16
_INDEX = struct.Struct(f"<{_BUCKETS + 1}I")
_BOUNDS = struct.Struct("<2I")
_FIRST_RECORD = len(HEADER) + _INDEX.size
_RECORD_BYTES = 3


class TextSet:
    """The texts of a file that `write` made; `text in texts`."""

    def __init__(self, file: Path) -> None:
        """Raises `ValueError` for another file."""
        with file.open("rb") as stream:
            self._content = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        records = len(self._content) - _FIRST_RECORD
        if self._content[: len(HEADER)] != HEADER or records != len(self) * _RECORD_BYTES:
            raise ValueError(f"{file} is no set of texts")

    def __len__(self) -> int:
        return int.from_bytes(self._content[_FIRST_RECORD - 4 : _FIRST_RECORD], "little")

    def __contains__(self, text: str) -> bool:
        bucket, record = _hash(text)
        begin, end = _BOUNDS.unpack_from(self._content, len(HEADER) + 4 * bucket)
        records = self._content[_FIRST_RECORD + begin * _RECORD_BYTES : _FIRST_RECORD + end * _RECORD_BYTES]
        return any(records[at : at + _RECORD_BYTES] == record for at in range(0, len(records), _RECORD_BYTES))


def write(file: Path, texts: Iterable[str]) -> int:
    """Write a set; returns the number of its texts. The same texts make the same file."""
    hashes = sorted({_hash(text) for text in texts})
    offsets, at = [], 0
    for bucket in range(_BUCKETS + 1):
        while at < len(hashes) and hashes[at][0] < bucket:
            at += 1
        offsets.append(at)
    file.write_bytes(HEADER + _INDEX.pack(*offsets) + b"".join(record for _, record in hashes))
    return len(hashes)


def _hash(text: str) -> tuple[int, bytes]:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=5).digest()
    return int.from_bytes(digest[:2], "big"), digest[2:]
