"""The note service."""

from pathlib import Path

from chassis import process
from chassis.app import App
from services.note import tables
from services.note.handlers import NoteHandlers


async def build(weft: App) -> None:
    """Wire the service."""
    weft.serve("weft.note.v1.NoteService", NoteHandlers(weft.database, weft.clock))


if __name__ == "__main__":
    process.main("note", build, metadata=tables.metadata, migrations=Path(__file__).parent / "migrations")
