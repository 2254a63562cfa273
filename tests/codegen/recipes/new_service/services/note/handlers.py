"""The RPCs of notes."""

import asyncio
from collections.abc import AsyncIterator

from weft.note.v1 import note_service_pb2 as pb

from chassis import ids
from chassis.clock import Clock
from chassis.rpc.call import Call
from chassis.storage.database import Database
from chassis.times import timestamp
from services.note.domain import Note, NoteNotFound
from services.note.ownership import owner_of
from services.note.repository import NoteRepository

MAX_NOTES = 1000
"""In one read; the next one has the rest."""


class NoteHandlers:
    """weft.note.v1.NoteService."""

    def __init__(self, database: Database, notes: NoteRepository, clock: Clock) -> None:
        self._database = database
        self._notes = notes
        self._clock = clock
        # Set when a note is added, and replaced then: who waits has taken it before it looked.
        self._added = asyncio.Event()

    async def CreateNote(self, request: pb.CreateNoteRequest, call: Call) -> pb.Note:
        """The note and the reply are stored in one transaction, so that a repeated call finds both or neither."""
        now, owner = self._clock.now(), owner_of(call.caller)
        note = Note(
            note_id=ids.new("nte", now),
            partner_id=owner.partner_id,
            mode=owner.mode,
            text=request.text,
            created_at=now,
        )
        reply = to_message(note)
        async with self._database.transaction() as tx:
            await self._notes.insert(tx, note)
            await call.remember(tx, reply)
        added, self._added = self._added, asyncio.Event()
        added.set()
        return reply

    async def GetNote(self, request: pb.GetNoteRequest, call: Call) -> pb.Note:
        note = await self._notes.get(owner_of(call.caller), request.note_id)
        if note is None:
            raise NoteNotFound(note_id=request.note_id)
        return to_message(note)

    async def WatchNotes(self, request: pb.WatchNotesRequest, call: Call) -> AsyncIterator[pb.WatchNotesResponse]:
        """The notes that are stored, then those that this process adds, until the deadline of the stream."""
        owner, cursor = owner_of(call.caller), request.cursor
        try:
            async with asyncio.timeout(call.remaining()):
                while True:
                    added = self._added
                    notes = await self._notes.list(owner, MAX_NOTES, cursor)
                    for note in notes:
                        cursor = note.note_id
                        yield pb.WatchNotesResponse(cursor=cursor, note=to_message(note))
                    if len(notes) < MAX_NOTES:
                        await added.wait()
        except TimeoutError:
            return


def to_message(note: Note) -> pb.Note:
    """The message of a note."""
    return pb.Note(note_id=note.note_id, text=note.text, create_time=timestamp(note.created_at))
