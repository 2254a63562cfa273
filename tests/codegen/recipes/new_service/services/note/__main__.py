"""The note service."""

from pathlib import Path

from chassis import process
from chassis.app import App
from services.note import tables
from services.note.handlers import NoteHandlers
from services.note.repository import NoteRepository


async def build(app: App) -> None:
    """Wire the service."""
    app.add_service("weft.note.v1.NoteService", NoteHandlers(app.database, NoteRepository(app.database), app.clock))


if __name__ == "__main__":
    process.main("note", build, metadata=tables.metadata, migrations=Path(__file__).parent / "migrations")
