"""NoteService: a partner's notes."""

import asyncio
from collections.abc import AsyncIterator

from sqlalchemy import bindparam, insert, select
from weft.note.v1 import note_service_pb2 as pb

from chassis import ids
from chassis.rpc.call import Call
from chassis.clock import Clock
from chassis.storage.database import Database, Query, Row
from chassis.errors import NotFound
from services.note.tables import notes

ADD = Query(insert(notes))
BY_ID = Query(
    select(notes).where(notes.c.note_id == bindparam("note_id"), notes.c.partner_id == bindparam("partner_id"))
)
AFTER = Query(
    select(notes)
    .where(notes.c.partner_id == bindparam("partner_id"), notes.c.note_id > bindparam("cursor"))
    .order_by(notes.c.note_id)
)


class NoteNotFound(NotFound):
    """There is no note {note_id}."""


class NoteHandlers:
    """One method for each RPC, in the proto's order."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._added = asyncio.Event()

    async def CreateNote(self, request: pb.CreateNoteRequest, call: Call) -> pb.Note:
        """Note and reply are stored together, so that a repeated call finds both or neither."""
        now = self._clock.now()
        note = pb.Note(note_id=ids.new("nte", now), text=request.text)
        note.create_time.FromDatetime(now)
        async with self._database.transaction() as tx:
            row = {"note_id": note.note_id, "text": note.text, "create_time": now}
            await tx.run(ADD, partner_id=call.caller.partner_id, **row)
            await call.remember(tx, note)
        self._added.set()
        return note

    async def GetNote(self, request: pb.GetNoteRequest, call: Call) -> pb.Note:
        """Only the partner's own."""
        row = await self._database.first(BY_ID, note_id=request.note_id, partner_id=call.caller.partner_id)
        if row is None:
            raise NoteNotFound(note_id=request.note_id)
        return _as_message(row)

    async def WatchNotes(self, request: pb.WatchNotesRequest, call: Call) -> AsyncIterator[pb.WatchNotesResponse]:
        """What is there, and what this process adds until the stream's time is over."""
        cursor = request.cursor
        try:
            async with asyncio.timeout(call.remaining()):
                while True:
                    self._added.clear()
                    for row in await self._database.all(AFTER, partner_id=call.caller.partner_id, cursor=cursor):
                        cursor = row.note_id
                        yield pb.WatchNotesResponse(cursor=cursor, note=_as_message(row))
                    await self._added.wait()
        except TimeoutError:
            return


def _as_message(row: Row) -> pb.Note:
    note = pb.Note(note_id=row.note_id, text=row.text)
    note.create_time.FromDatetime(row.create_time)
    return note
