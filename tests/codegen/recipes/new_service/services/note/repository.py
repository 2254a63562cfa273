"""Every query on notes."""

from collections.abc import Sequence

from sqlalchemy import bindparam, insert, select

from chassis.security.identity import Identity
from chassis.storage.database import Database, Query, Row, Transaction
from services.note.ownership import of_partner, owner_of
from services.note.tables import notes

_INSERT = Query(insert(notes), name="insert note")
_GET = Query(select(notes).where(of_partner(notes), notes.c.note_id == bindparam("note_id")), name="get note")
_LIST = Query(
    select(notes).where(of_partner(notes), notes.c.note_id > bindparam("after")).order_by(notes.c.note_id),
    name="list notes",
)


class NoteRepository:
    """The notes of partners; each is seen by its own partner only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, note_id: str, caller: Identity) -> Row | None:
        """The partner's note; None where it has none of that id."""
        return await self._database.first(_GET, note_id=note_id, **owner_of(caller))

    async def list(self, caller: Identity, after: str) -> Sequence[Row]:
        """The partner's notes whose id is greater than `after`, oldest first."""
        return await self._database.all(_LIST, after=after, **owner_of(caller))

    async def insert(self, tx: Transaction, **values: object) -> None:
        """Insert a row with the columns of the table."""
        await tx.run(_INSERT, **values)
