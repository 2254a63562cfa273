"""Every query on notes."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, insert, select

from chassis.storage.database import Database, Query, Row, Transaction, oldest_first
from services.note.domain import Note
from services.note.ownership import Owner, of_owner
from services.note.tables import notes

_GET = Query(select(notes).where(of_owner(notes), notes.c.note_id == bindparam("note_id")), name="get note")
_LIST = Query(oldest_first(select(notes).where(of_owner(notes)), notes.c.note_id), name="list notes")
_INSERT = Query(
    insert(notes).values({column.name: bindparam(column.name) for column in notes.columns}), name="insert note"
)


class NoteRepository:
    """The notes of partners."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, owner: Owner, note_id: str) -> Note | None:
        """The owner's note."""
        row = await self._database.first(_GET, note_id=note_id, **owner.values)
        return _read(row) if row else None

    async def list(self, owner: Owner, limit: int, after: str) -> Sequence[Note]:
        """Up to `limit` of the owner's notes after one, oldest first."""
        rows = await self._database.all(_LIST, limit=limit, after=after, **owner.values)
        return [_read(row) for row in rows]

    async def insert(self, tx: Transaction, note: Note) -> None:
        """Insert a note."""
        await tx.run(_INSERT, **_values(note))


def _read(row: Row) -> Note:
    return Note(**row._asdict())


def _values(note: Note) -> dict[str, Any]:
    return {column.name: getattr(note, column.name) for column in notes.columns}
