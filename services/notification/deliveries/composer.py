"""Composes the mail of a delivery: the template, the notification's data, and what is only known when it is sent."""

from collections.abc import Mapping
from typing import Any

from weft.user.v1.user_pb2 import User

from chassis.plain_text import single_line
from services.notification.channels.email.message import MAX_NAME_LENGTH, Mail, Sender, compose
from services.notification.deliveries.codes import ABOUT_CODES
from services.notification.deliveries.domain import Delivery, Reason
from services.notification.recipients import Recipients, RequestEnded
from services.notification.templates.rendering import Templates


class NothingToSend(Exception):
    """The delivery has lost its purpose, for a `Reason`."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class Composer:
    """Composes mails; stores nothing."""

    def __init__(self, templates: Templates, recipients: Recipients, sender: Sender) -> None:
        """`sender` is the `From` of every mail."""
        self._templates = templates
        self._recipients = recipients
        self._sender = sender

    async def compose(self, delivery: Delivery, users: Mapping[str, User]) -> Mail:
        """The mail about a requested code, or to one of the users.

        Raises `NothingToSend`, `AddressUnusable`, `UserServiceUnavailable`, `CodeNotIssued` and `jinja2.TemplateError`.
        """
        if delivery.type in ABOUT_CODES:
            return await self._compose_about_code(delivery)
        user = users.get(delivery.user_id)
        if user is None or not user.email:
            raise NothingToSend(Reason.NO_ADDRESS)
        data = {**delivery.data, "name": single_line(user.display_name, MAX_NAME_LENGTH)}
        return self._compose(delivery, delivery.type, data, user.email, user.locale, user.display_name)

    async def _compose_about_code(self, delivery: Delivery) -> Mail:
        """Nobody has proven the address, so the mail contains no text of whoever entered it, not even a name."""
        # The first key is that of an older release, whose jobs may still wait.
        request_id = str(delivery.data.get("sign_up_id", "") or delivery.data.get("code_request_id", ""))
        if not request_id:  # queued by a release that knew no pending sign-ups
            raise NothingToSend(Reason.REQUEST_ENDED)
        try:
            issued = await self._recipients.issue_code(request_id)
        except RequestEnded:
            raise NothingToSend(Reason.REQUEST_ENDED) from None
        template = ABOUT_CODES[delivery.type].get(issued.message)
        if template is None:  # what was requested has become something else meanwhile
            raise NothingToSend(Reason.REQUEST_ENDED)
        data = {"code": issued.code, "expires": f"{issued.expire_time:%Y-%m-%d %H:%M} UTC"}
        return self._compose(delivery, template, data, issued.email, issued.locale, "")

    def _compose(
        self, delivery: Delivery, template: str, data: Mapping[str, Any], address: str, locale: str, name: str
    ) -> Mail:
        return compose(
            self._templates.email(template, locale, data),
            sender=self._sender,
            address=address,
            name=name,
            delivery_id=delivery.delivery_id,
            create_time=delivery.create_time,
        )
