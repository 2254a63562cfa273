"""TestTemplate: a draft as a mail to who has written it."""

from datetime import timedelta

from weft.notification.v1 import notification_pb2
from weft.notification.v1 import template_service_pb2 as pb
from weft.user.v1.user_pb2 import User

from chassis import ids
from chassis.clock import Clock
from chassis.errors import RequestInvalid
from chassis.rpc.call import Call
from chassis.storage.database import Database
from chassis.values.plain_text import single_line
from services.notification.categories import Category
from services.notification.channels.channel import Channel
from services.notification.channels.email.message import MAX_NAME_LENGTH
from services.notification.content import Content
from services.notification.ownership import owner_of
from services.notification.persons.domain import RecipientNotFound
from services.notification.recipients import Recipients
from services.notification.requests import messages
from services.notification.requests.domain import NewMessage, To
from services.notification.requests.repository import RequestRepository
from services.notification.requests.sending import Sender, Sending
from services.notification.sealed_content import Contents
from services.notification.templates.domain import (
    MAX_TESTS,
    TEST_PERIOD,
    Rendered,
    TemplateNotFound,
    TemplateNotRendered,
    TemplateTestLimitReached,
)
from services.notification.templates.handlers import read_data
from services.notification.templates.language import TemplateWrong
from services.notification.templates.rendering import Templates
from services.notification.templates.repository import TemplateRepository

TYPE = "template.test"
_MARK = "[Test] "


class TemplateTestHandlers:
    """The part of weft.notification.v1.TemplateService that sends."""

    def __init__(
        self,
        database: Database,
        stored: TemplateRepository,
        templates: Templates,
        records: RequestRepository,
        sender: Sender,
        contents: Contents,
        recipients: Recipients,
        clock: Clock,
    ) -> None:
        """`templates` has the frame of mails."""
        self._database = database
        self._stored = stored
        self._templates = templates
        self._records = records
        self._sender = sender
        self._contents = contents
        self._recipients = recipients
        self._clock = clock

    async def TestTemplate(self, request: pb.TestTemplateRequest, call: Call) -> notification_pb2.Notification:
        """Rendered now: the draft may change before the mail is sent."""
        template = await self._stored.get(owner_of(call.caller), request.template_id)
        if template is None:
            raise TemplateNotFound(template_id=request.template_id)
        data = read_data(request.data, "data") if request.HasField("data") else template.samples
        caller, now = await self._caller(call), self._clock.now()
        locale = request.locale or caller.locale
        try:
            made = template.draft.render(locale, data, single_line(caller.display_name, MAX_NAME_LENGTH))
        except TemplateWrong as error:
            raise TemplateNotRendered(cause=str(error)) from None
        message = self._message(template.template_id, made, caller)
        async with self._database.transaction() as tx:
            if (
                await self._records.count_own(tx, caller.user_id, TYPE, ids.first("ntf", now - TEST_PERIOD))
                >= MAX_TESTS
            ):
                raise TemplateTestLimitReached(limit=str(MAX_TESTS), retry_after=timedelta(minutes=5))
            stored = await self._sender.store(tx, message, Sending.of(call.caller), now)
            (row,) = await self._records.get_updated(tx, stored)
            reply = messages.to_message(row, self._contents)
            await call.remember(tx, reply)
        return reply

    async def _caller(self, call: Call) -> User:
        """Who has an account has proven the address."""
        found = (await self._recipients.look_up([call.caller.user_id])).get(call.caller.user_id)
        if found is None or not found.email:
            raise RecipientNotFound(user_id=call.caller.user_id)
        return found

    def _message(self, template_id: str, made: Rendered, to: User) -> NewMessage:
        for part in ("subject", "text"):
            if not getattr(made, part).strip():
                raise RequestInvalid(violations=[("template_id", f"must have a {part} in {made.locale} for a mail")])
        mail = self._templates.written_email(made, framed=True)
        return NewMessage(
            recipients=[To(user_id=to.user_id, email=to.email)],
            channels=[Channel.EMAIL],
            every_channel=True,
            category=Category.ACCOUNT,
            content=Content(
                subject=_MARK + mail.subject,
                text=mail.text,
                html=mail.html,
                sender_name=made.branding.sender_name,
                metadata={"templateId": template_id},
                data={"name": to.display_name, "locale": made.locale},
            ),
            send_at=None,
            expire_at=None,
            dedupe_window=timedelta(),
            type=TYPE,
        )
