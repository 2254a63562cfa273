"""What would have been sent in TEST: composed as it would have been then, when it is listed."""

from collections.abc import Mapping, Sequence

from jinja2 import TemplateError
from weft.notification.v1 import notification_pb2
from weft.user.v1.user_pb2 import User

from chassis.storage.database import Row
from chassis.telemetry import logs
from chassis.times import timestamp
from chassis.values.plain_text import single_line
from services.notification.channels.channel import Channel
from services.notification.channels.email.message import MAX_NAME_LENGTH
from services.notification.deliveries.codes import ABOUT_CODES
from services.notification.recipients import Recipients
from services.notification.requests import messages
from services.notification.templates.domain import PARTS
from services.notification.templates.language import TemplateWrong
from services.notification.templates.rendering import Templates
from services.notification.writing import Writing

log = logs.logger("captured")


class Captured:
    """Renders captured messages; stores nothing."""

    def __init__(self, templates: Templates, recipients: Recipients, writing: Writing) -> None:
        self._templates = templates
        self._recipients = recipients
        self._writing = writing

    async def render(self, rows: Sequence[Row]) -> dict[str, notification_pb2.CapturedMessage]:
        """By delivery. Raises `ServiceUnavailable` where the user service is away."""
        wanted = {row.user_id for row in rows if row.user_id}
        users = await self._recipients.look_up(wanted) if wanted else {}
        return {row.delivery_id: await self._render(row, users) for row in rows}

    async def _render(self, row: Row, users: Mapping[str, User]) -> notification_pb2.CapturedMessage:
        user = users.get(row.user_id)
        address, content = "", notification_pb2.Content()
        if user is not None:
            address = {Channel.EMAIL.value: user.email, Channel.SMS.value: user.phone}.get(row.channel, "")
        try:
            if row.content_sealed:
                name, locale = (user.display_name, user.locale) if user is not None else ("", "")
                said = await self._writing.read(row, locale, single_line(name, MAX_NAME_LENGTH))
                address = said.content.email or said.content.phone or address
                content = notification_pb2.Content(**{part: getattr(said.message, part) for part in PARTS})
            elif row.type not in ABOUT_CODES:
                content = self._of_event(row, user)
        except (TemplateError, TemplateWrong) as error:
            # One that an older release has accepted does not hide the others.
            log.warning("captured_message_not_rendered", type=row.type, cause=type(error).__name__)
        return notification_pb2.CapturedMessage(
            delivery_id=row.delivery_id,
            notification_id=row.notification_id,
            type=row.type,
            channel=messages.channel(row.channel),
            recipient_address=address,
            content=content,
            create_time=timestamp(row.create_time),
        )

    def _of_event(self, row: Row, user: User | None) -> notification_pb2.Content:
        name = single_line(user.display_name, MAX_NAME_LENGTH) if user is not None else ""
        locale = user.locale if user is not None else ""
        if row.channel == Channel.PUSH.value:
            push = self._templates.inbox_text(row.type, locale, row.data)
            return notification_pb2.Content(subject=push.title, short=push.body)
        mail = self._templates.email(row.type, locale, {**row.data, "name": name})
        return notification_pb2.Content(subject=mail.subject, text=mail.text, html=mail.html)
