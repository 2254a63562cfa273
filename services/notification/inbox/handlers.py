"""The RPCs of InboxService: the notifications of the signed-in user."""

from collections.abc import AsyncIterator

from google.protobuf import empty_pb2
from jinja2 import TemplateError
from weft.notification.v1 import inbox_pb2
from weft.notification.v1 import inbox_service_pb2 as pb

from chassis.clock import Clock
from chassis.errors import ServiceUnavailable
from chassis.rpc.call import Call
from chassis.rpc.pagination import Pages
from chassis.telemetry import logs
from chassis.times import timestamp
from chassis.values.plain_text import single_line
from services.notification.channels.email.message import MAX_NAME_LENGTH
from services.notification.inbox.feed import InboxFeed
from services.notification.inbox.repository import InboxItem, InboxRepository
from services.notification.inbox.streams import InboxStreams
from services.notification.recipients import Recipients
from services.notification.templates.language import TemplateWrong
from services.notification.templates.rendering import InboxText, Templates
from services.notification.writing import Stored, Writing

log = logs.logger("inbox")
_NAME_TIMEOUT_S = 1.0
"""For which an inbox waits for the name of its reader."""


class InboxHandlers:
    """weft.notification.v1.InboxService. Items are stored as data and rendered when they are listed."""

    def __init__(
        self,
        inbox: InboxRepository,
        templates: Templates,
        writing: Writing,
        recipients: Recipients,
        feed: InboxFeed,
        streams: InboxStreams,
        pages: Pages,
        clock: Clock,
    ) -> None:
        self._writing = writing
        self._recipients = recipients
        self._feed = feed
        self._streams = streams
        self._inbox = inbox
        self._templates = templates
        self._pages = pages
        self._clock = clock

    async def ListInbox(self, request: pb.ListInboxRequest, call: Call) -> pb.ListInboxResponse:
        """Newest first, in the language of `accept-language`."""
        user_id, filters = call.caller.user_id, {"unread": True} if request.unread_only else {}
        page = self._pages.read(request, {"list": "inbox", "user_id": user_id, **filters})
        rows = await self._inbox.list(user_id, page.limit, page.after, filters)
        locale = self._templates.negotiate_locale(call.header("accept-language"))
        shown = rows[: page.size]
        name = await self._name(user_id) if any(item.template_id for item in shown) else ""
        texts = {item.notification_id: await self._render(item, locale, name) for item in shown}
        items, token = self._pages.split(
            page, rows, lambda item: to_message(item, texts[item.notification_id]), key="notification_id"
        )
        return pb.ListInboxResponse(items=items, next_page_token=token)

    async def CountUnread(self, _: pb.CountUnreadRequest, call: Call) -> pb.CountUnreadResponse:
        """Of the caller's own items."""
        return pb.CountUnreadResponse(count=await self._inbox.count_unread(call.caller.user_id))

    async def MarkRead(self, request: pb.MarkReadRequest, call: Call) -> empty_pb2.Empty:
        """Ignores what is not the caller's."""
        await self._inbox.mark_read(call.caller.user_id, request.notification_ids, self._clock.now())
        self._feed.changed(call.caller.user_id)
        return empty_pb2.Empty()

    async def WatchInbox(self, request: pb.WatchInboxRequest, call: Call) -> AsyncIterator[pb.WatchInboxResponse]:
        """In the language of `accept-language`."""
        locale = self._templates.negotiate_locale(call.header("accept-language"))
        name: str | None = None

        async def render(item: InboxItem) -> inbox_pb2.InboxItem:
            nonlocal name
            if item.template_id and name is None:
                name = await self._name(call.caller.user_id)
            return to_message(item, await self._render(item, locale, name or ""))

        async for message in self._streams.open(request.cursor, call, render):
            yield message

    async def _name(self, user_id: str) -> str:
        """What templates call the reader; empty while the user service is away: the inbox is there all the same."""
        try:
            user = (await self._recipients.look_up([user_id], timeout_s=_NAME_TIMEOUT_S)).get(user_id)
        except ServiceUnavailable:
            return ""
        return single_line(user.display_name, MAX_NAME_LENGTH) if user is not None else ""

    async def _render(self, item: InboxItem, locale: str, name: str) -> InboxText:
        try:
            if item.content_sealed is None:
                return self._templates.inbox_text(item.type, locale, item.data)
            stored = Stored(item.content_sealed, item.template_id, item.template_version)
            said = await self._writing.read(stored, locale, name, ("subject", "text", "short"))
            return InboxText(said.message.subject, said.brief)
        except (TemplateError, TemplateWrong) as error:
            # An old item whose template is gone does not hide the others.
            log.warning("inbox_item_not_rendered", type=item.type, cause=type(error).__name__)
            return InboxText(item.type, "")


def to_message(item: InboxItem, text: InboxText) -> inbox_pb2.InboxItem:
    return inbox_pb2.InboxItem(
        notification_id=item.notification_id,
        type=item.type,
        title=text.title,
        body=text.body,
        subject_id=item.subject_id,
        create_time=timestamp(item.create_time),
        read_time=timestamp(item.read_time),
    )
