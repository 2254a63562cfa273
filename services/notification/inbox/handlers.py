"""InboxService: the notices of the signed-in user."""

from google.protobuf import empty_pb2
from jinja2 import TemplateError
from weft.notification.v1 import inbox_pb2, inbox_service_pb2

from chassis.clock import Clock
from chassis.rpc.call import Call
from chassis.rpc.pagination import Pages
from chassis.telemetry import logs
from services.notification.inbox.repository import LAST, InboxRepository, Item
from services.notification.templates.rendering import Notice, Templates

log = logs.logger("inbox")


class InboxHandlers:
    """The caller's own inbox; what is stored are facts, which are put into words here."""

    def __init__(self, inbox: InboxRepository, templates: Templates, pages: Pages, clock: Clock) -> None:
        self._inbox = inbox
        self._templates = templates
        self._pages = pages
        self._clock = clock

    async def ListInbox(
        self, request: inbox_service_pb2.ListInboxRequest, call: Call
    ) -> inbox_service_pb2.ListInboxResponse:
        """Newest first, in the language of `accept-language`."""
        owner, unread_only = call.caller.user_id, request.unread_only
        page = self._pages.read(request, query={"owner": owner, "unread_only": unread_only})
        found = await self._inbox.page(owner, page.limit, page.after or LAST, unread_only=unread_only)
        locale = self._templates.accepted(_header(call, "accept-language"))
        items, token = self._pages.split(page, found, lambda item: self._item(item, locale), key="notification_id")
        return inbox_service_pb2.ListInboxResponse(items=items, next_page_token=token)

    async def CountUnread(
        self, _: inbox_service_pb2.CountUnreadRequest, call: Call
    ) -> inbox_service_pb2.CountUnreadResponse:
        """Of the caller's own."""
        return inbox_service_pb2.CountUnreadResponse(count=await self._inbox.count_unread(call.caller.user_id))

    async def MarkRead(self, request: inbox_service_pb2.MarkReadRequest, call: Call) -> empty_pb2.Empty:
        """Passes over what is not the caller's."""
        await self._inbox.mark_read(call.caller.user_id, request.notification_ids, self._clock.now())
        return empty_pb2.Empty()

    def _item(self, item: Item, locale: str) -> inbox_pb2.InboxItem:
        words = self._words(item, locale)
        message = inbox_pb2.InboxItem(
            notification_id=item.notification_id,
            type=item.type,
            title=words.title,
            body=words.body,
            subject_id=item.subject_id,
        )
        message.create_time.FromDatetime(item.create_time)
        if item.read_time is not None:
            message.read_time.FromDatetime(item.read_time)
        return message

    def _words(self, item: Item, locale: str) -> Notice:
        try:
            return self._templates.notice(item.type, locale, item.facts)
        except TemplateError as error:
            # An old notice whose template is gone does not hide the others.
            log.warning("notice_unreadable", type=item.type, cause=repr(error))
            return Notice(item.type, "")


def _header(call: Call, wanted: str) -> str:
    return next((str(value) for name, value in call.context.invocation_metadata() or () if name == wanted), "")
