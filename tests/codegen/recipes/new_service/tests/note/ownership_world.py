"""Who calls the note service in the ownership matrix, and what each owns."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from weft.note.v1 import note_service_pb2 as pb
from weft.note.v1 import note_service_pb2_grpc

from chassis import ids
from tests.contract.ownership.actors import SCOPES, TEST, actors, mode_of
from tests.contract.ownership.ownership import Ids, World
from tests.harness import Harness


@asynccontextmanager
async def world(harness: Harness) -> AsyncIterator[World]:
    """Two partners with notes, one of them in TEST as well. A stream begins with a note that is there."""
    owners = {group: ("", ids.new("prt")) for group in ("acme", "zenith")}
    owners["acme" + TEST] = owners["acme"]
    async with harness.running("note", work=False) as running:
        notes: Any = note_service_pb2_grpc.NoteServiceStub(running.channel)

        async def create(group: str) -> Ids:
            token = harness.issuer.partner(owners[group][1], SCOPES, mode=mode_of(group))
            note = await notes.CreateNote(pb.CreateNoteRequest(text=group), metadata=[("authorization", token)])
            return {"note_id": note.note_id}

        for group in owners:
            await create(group)
        yield World(running, actors(harness, owners), create)
