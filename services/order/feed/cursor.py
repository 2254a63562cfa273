"""Where a watcher stands in the feed of changes, and the cursor that says it.

The feed is sorted by transaction and, within one, by sequence. Transactions commit out of order, so readers stop short
of the oldest that still runs (`pg_snapshot_xmin`): everything before it is there to stay, and nothing is passed over.

A position is always a change that was committed, never a number that a transaction was about to have: after a crash of
PostgreSQL the numbers of transactions that left nothing behind are given again (docs/decisions/0064).
"""

import base64
import hmac
import struct
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from services.order.domain.order import CursorInvalid

_MAC = 8
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_PLACE = struct.Struct(">QQQ")


class Position(NamedTuple):
    """Behind change `seq` of transaction `xid`, which was made `at` so many microseconds after 1970.

    The time tells the change from another one that has its numbers, in a database that was put back to an earlier time.
    """

    xid: int
    seq: int
    at: int

    @property
    def time(self) -> datetime:
        """When the change was made."""
        return _EPOCH + self.at * _MICROSECOND


def behind(xid: str, seq: int, changed_at: datetime) -> Position:
    """The position of a row of the feed."""
    return Position(int(xid), seq, (changed_at - _EPOCH) // _MICROSECOND)


START = Position(0, 0, 0)
"""Before all changes."""


class Cursors:
    """Writes positions as opaque words that hold for one owner, so that a mixed-up cursor is noticed."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def write(self, position: Position, owner: tuple[str, str]) -> str:
        """The cursor of a position."""
        place = _PLACE.pack(*position)
        return base64.urlsafe_b64encode(self._mac(place, owner) + place).decode()

    def read(self, cursor: str, owner: tuple[str, str]) -> Position:
        """The position of a cursor. Raises `CursorInvalid` for one that is not ours or not this owner's."""
        try:
            raw = base64.b64decode(cursor, altchars=b"-_", validate=True)
        except ValueError:
            raise CursorInvalid() from None
        mac, place = raw[:_MAC], raw[_MAC:]
        if len(place) != _PLACE.size or not hmac.compare_digest(mac, self._mac(place, owner)):
            raise CursorInvalid()
        return Position(*_PLACE.unpack(place))

    def _mac(self, place: bytes, owner: tuple[str, str]) -> bytes:
        return hmac.digest(self._key, "\n".join(owner).encode() + b"\n" + place, "sha256")[:_MAC]
