"""What a digest says of each of its members: what the inbox does, on one line."""

from typing import NamedTuple

from jinja2 import TemplateError
from weft.user.v1.user_pb2 import User

from chassis.telemetry.logs import logger
from chassis.values.plain_text import single_line
from services.notification.deliveries.domain import Delivery
from services.notification.templates.language import TemplateWrong
from services.notification.templates.rendering import InboxText, Templates
from services.notification.writing import Stored, Writing

log = logger("digests")
DIGEST = "digest"
"""Its template."""
MAX_TITLE_CHARACTERS = 200
MAX_BODY_CHARACTERS = 500


class Item(NamedTuple):
    """A member; `sender_name` is that of its template."""

    text: InboxText
    sender_name: str = ""


class Items:
    """Renders members; stores nothing."""

    def __init__(self, templates: Templates, writing: Writing) -> None:
        self._templates = templates
        self._writing = writing

    async def render(self, member: Delivery, user: User) -> Item:
        """In the language of the user. One whose template is gone does not hold up the others, and is named by its type."""
        try:
            text, sender_name = await self._render(member, user)
        except (TemplateError, TemplateWrong) as error:
            log.warning("digest_item_not_rendered", type=member.type, cause=type(error).__name__)
            text, sender_name = InboxText(member.type, ""), ""
        title, body = single_line(text.title, MAX_TITLE_CHARACTERS), single_line(text.body, MAX_BODY_CHARACTERS)
        return Item(InboxText(title, body), sender_name)

    async def _render(self, member: Delivery, user: User) -> tuple[InboxText, str]:
        if member.content_sealed is None:
            return self._templates.inbox_text(member.type, user.locale, member.data), ""
        stored = Stored(member.content_sealed, member.template_id, member.template_version)
        name = single_line(user.display_name, 100)
        said = await self._writing.read(stored, user.locale, name, ("subject", "text", "short"))
        return InboxText(said.message.subject, said.brief), said.sender_name
