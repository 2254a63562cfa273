"""Composes push messages to the devices of a person: of events as they stand in the inbox, or what was sent on request."""

import json
from collections.abc import Mapping

from weft.user.v1.user_pb2 import User

from chassis.clock import Clock
from chassis.values.plain_text import single_line
from services.notification.channels.email.message import MAX_NAME_LENGTH
from services.notification.channels.push.web_push import MAX_PAYLOAD_BYTES, Push
from services.notification.deliveries.codes import NothingToSend
from services.notification.deliveries.composer import recipient_of
from services.notification.deliveries.domain import Delivery, Reason
from services.notification.devices.repository import DeviceRepository
from services.notification.templates.rendering import InboxText, Templates
from services.notification.writing import Stored, Writing

MAX_TTL_S = 24 * 3600
"""For which a push service keeps a message for a device that is off."""
MAX_TITLE_CHARACTERS = 200
"""As many as a subject may have that is written; that of a template may come out longer, and leave no room for a body."""


class PushComposer:
    """Composes push messages; stores nothing."""

    def __init__(self, templates: Templates, devices: DeviceRepository, writing: Writing, clock: Clock) -> None:
        self._templates = templates
        self._devices = devices
        self._writing = writing
        self._clock = clock

    async def compose(self, delivery: Delivery, users: Mapping[str, User]) -> Push:
        """Raises `NothingToSend` where the person has no device, and `jinja2.TemplateError`."""
        user = recipient_of(delivery, users)
        devices = await self._devices.list(user.user_id) if user is not None else []
        if user is None or not devices:
            raise NothingToSend(Reason.NO_ADDRESS)
        said = await self._say(delivery, user)
        ttl_s = MAX_TTL_S
        if delivery.expire_at is not None:
            ttl_s = max(0, min(ttl_s, int((delivery.expire_at - self._clock.now()).total_seconds())))
        about = {"type": delivery.type, "subjectId": delivery.subject_id} if delivery.subject_id else {}
        payload = to_payload({"deliveryId": delivery.delivery_id, **about}, said.title, said.body)
        return Push(delivery.user_id, delivery.delivery_id, payload, ttl_s, devices)

    async def _say(self, delivery: Delivery, user: User) -> InboxText:
        if delivery.content_sealed is None:
            return self._templates.inbox_text(delivery.type, user.locale, delivery.data)
        stored = Stored(delivery.content_sealed, delivery.template_id, delivery.template_version)
        name = single_line(user.display_name, MAX_NAME_LENGTH)
        said = await self._writing.read(stored, user.locale, name, ("subject", "text", "short"))
        return InboxText(said.message.subject, said.brief)


def to_payload(about: Mapping[str, str], title: str, body: str) -> bytes:
    """What the service worker of a page gets: JSON, whose body is cut where it is too long for a push service."""
    title = single_line(title, MAX_TITLE_CHARACTERS)
    while len(payload := _dump(about, title, body)) > MAX_PAYLOAD_BYTES:
        body = body[: len(body) - 2 - (len(payload) - MAX_PAYLOAD_BYTES) // 12].rstrip("\N{HORIZONTAL ELLIPSIS}")
        body += "\N{HORIZONTAL ELLIPSIS}"
    return payload


def _dump(about: Mapping[str, str], title: str, body: str) -> bytes:
    message = {**about, "title": title, "body": body}
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
