"""The rules of notes."""

from dataclasses import dataclass
from datetime import datetime

from chassis.errors import NotFound


class NoteNotFound(NotFound):
    """There is no note {note_id}."""


@dataclass(frozen=True, slots=True)
class Note:
    """A short text of a partner, in the mode of its client."""

    note_id: str
    partner_id: str
    mode: str
    text: str
    created_at: datetime
