"""The RPCs of notes."""

import asyncio
from collections.abc import AsyncIterator

from weft.note.v1 import note_service_pb2 as pb

from chassis import ids
from chassis.clock import Clock
from chassis.errors import NotFound
from chassis.rpc.call import Call
from chassis.storage.database import Database, Row
from services.note.ownership import owner_of
from services.note.repository import NoteRepository

MAX_NOTES = 1000
"""In one read; the next one has the rest."""


class NoteNotFound(NotFound):
    """There is no note {note_id}."""


class NoteHandlers:
    """weft.note.v1.NoteService."""

    def __init__(self, database: Database, notes: NoteRepository, clock: Clock) -> None:
        self._database = database
        self._notes = notes
        self._clock = clock
        self._added = asyncio.Event()

    async def CreateNote(self, request: pb.CreateNoteRequest, call: Call) -> pb.Note:
        """The note and the reply are stored in one transaction, so that a repeated call finds both or neither."""
        now = self._clock.now()
        note = pb.Note(note_id=ids.new("nte", now), text=request.text)
        note.create_time.FromDatetime(now)
        async with self._database.transaction() as tx:
            values = {"note_id": note.note_id, "text": note.text, "create_time": now}
            await self._notes.insert(tx, owner_of(call.caller), **values)
            await call.remember(tx, note)
        self._added.set()
        return note

    async def GetNote(self, request: pb.GetNoteRequest, call: Call) -> pb.Note:
        row = await self._notes.get(owner_of(call.caller), request.note_id)
        if row is None:
            raise NoteNotFound(note_id=request.note_id)
        return to_message(row)

    async def WatchNotes(self, request: pb.WatchNotesRequest, call: Call) -> AsyncIterator[pb.WatchNotesResponse]:
        """The notes that are stored, then those that this process adds, until the deadline of the stream."""
        owner, cursor = owner_of(call.caller), request.cursor
        try:
            async with asyncio.timeout(call.remaining()):
                while True:
                    self._added.clear()
                    rows = await self._notes.list(owner, MAX_NOTES, cursor)
                    for row in rows:
                        cursor = row.note_id
                        yield pb.WatchNotesResponse(cursor=cursor, note=to_message(row))
                    if len(rows) < MAX_NOTES:
                        await self._added.wait()
        except TimeoutError:
            return


def to_message(row: Row) -> pb.Note:
    note = pb.Note(note_id=row.note_id, text=row.text)
    note.create_time.FromDatetime(row.create_time)
    return note
