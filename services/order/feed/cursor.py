"""Positions in the feed of changes, and the cursors that hold them.

The feed is sorted by transaction and, within one, by sequence. Transactions commit out of order, so readers stop before
the oldest one that still runs (`pg_snapshot_xmin`): everything before it is final, and nothing is missed.

A position is always a committed change, never a number that a transaction was about to have: after a crash of PostgreSQL
the numbers of transactions that wrote nothing are used again (docs/decisions/0064).
"""

import struct
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from chassis.security.signed_token import SignedToken
from services.order.domain.refusals import CursorInvalid

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FORMAT = struct.Struct(">QQQ")


class Position(NamedTuple):
    """After change `seq` of transaction `xid`, which was made `at` microseconds after 1970.

    The time distinguishes the change from another one with the same numbers, in a database that was restored to an earlier
    time.
    """

    xid: int
    seq: int
    at: int

    @property
    def time(self) -> datetime:
        return _EPOCH + self.at * _MICROSECOND


def after(xid: str, seq: int, changed_at: datetime) -> Position:
    """The position after a row of the feed."""
    return Position(int(xid), seq, (changed_at - _EPOCH) // _MICROSECOND)


START = Position(0, 0, 0)
"""Before all changes."""


class Cursors:
    """Writes positions as opaque signed text, valid for one owner."""

    def __init__(self, key: bytes) -> None:
        self._tokens = SignedToken(key)

    def write(self, position: Position, owner: tuple[str, str]) -> str:
        packed = _FORMAT.pack(*position)
        return self._tokens.write(packed, _context(owner))

    def read(self, cursor: str, owner: tuple[str, str]) -> Position:
        """Raises `CursorInvalid` for a cursor that was not written by us, or not for this owner."""
        try:
            packed = self._tokens.read(cursor, _context(owner))
        except ValueError:
            raise CursorInvalid() from None
        return Position(*_FORMAT.unpack(packed))


def _context(owner: tuple[str, str]) -> bytes:
    return "\n".join(owner).encode()
