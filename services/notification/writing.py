"""What a notification that was sent on request says to its reader: as it was written, or by the version of a template."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from chassis.storage.database import Row
from services.notification.content import Content
from services.notification.sealed_content import Contents
from services.notification.templates.domain import PARTS, Branding, Rendered
from services.notification.templates.repository import TemplateRepository


class Said(NamedTuple):
    """The message, and what is known of its recipient."""

    content: Content
    message: Rendered
    of_template: bool

    @property
    def sender_name(self) -> str:
        """Whom a mail names as its sender; empty for the platform."""
        return self.message.branding.sender_name or self.content.sender_name

    @property
    def reader_name(self) -> str:
        """Of who has it where no customer is its recipient; empty where none is known."""
        return str(self.content.data.get("name", ""))

    @property
    def brief(self) -> str:
        """For a text message and the inbox."""
        return self.message.short or self.message.text


class Writing:
    """Opens contents, and renders those that have a template."""

    def __init__(self, contents: Contents, templates: TemplateRepository) -> None:
        self._contents = contents
        self._templates = templates

    async def read(self, of: "Row | Stored", locale: str, name: str = "", parts: Sequence[str] = PARTS) -> Said:
        """The parts that are wanted; the others of a template are empty. Raises `TemplateWrong`."""
        content = self._contents.open(of.content_sealed)
        if not of.template_id:
            written = {part: getattr(content, part) for part in PARTS}
            rendered = Rendered(**written, locale=str(content.data.get("locale", locale)), branding=Branding())
            return Said(content, rendered, of_template=False)
        version = await self._templates.get_version(of.template_id, of.template_version)
        await asyncio.sleep(0)  # others have their turn between two of a list
        return Said(content, version.render(locale, content.data, name, parts), of_template=True)


class Stored(NamedTuple):
    """What a notification holds of its message."""

    content_sealed: bytes
    template_id: str
    template_version: int
