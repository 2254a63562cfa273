"""Cursors, without a database."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.order.domain.refusals import CursorInvalid
from services.order.feed.cursor import Cursors, Position

OWNER = ("customer", "usr_1")
numbers = st.integers(0, 2**64 - 1)


@given(numbers, numbers, numbers)
def test_a_cursor_is_read_as_it_was_written(xid: int, seq: int, at: int) -> None:
    cursors = Cursors(b"k" * 32)
    cursor = cursors.write(Position(xid, seq, at), OWNER)
    assert cursors.read(cursor, OWNER) == Position(xid, seq, at)
    assert len(cursor) <= 200


@given(st.text(max_size=60))
def test_other_text_is_not_a_cursor(word: str) -> None:
    with pytest.raises(CursorInvalid):
        Cursors(b"k" * 32).read(word, OWNER)


def test_a_cursor_holds_for_its_owner_and_its_key() -> None:
    cursor = Cursors(b"k" * 32).write(Position(1, 2, 3), OWNER)
    for cursors, owner in ((Cursors(b"k" * 32), ("partner", "usr_1")), (Cursors(b"l" * 32), OWNER)):
        with pytest.raises(CursorInvalid):
            cursors.read(cursor, owner)
