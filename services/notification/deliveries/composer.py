"""Composes the mail of a delivery: the template, the notification's data, and what is only known when it is sent."""

from collections.abc import Mapping
from typing import Any

from weft.user.v1.user_pb2 import User

from chassis.plain_text import single_line
from services.notification.channels.email.message import MAX_NAME_LENGTH, Mail, Sender, compose
from services.notification.deliveries.domain import Delivery, Reason
from services.notification.observers.users import ACCOUNT_EXISTS, VERIFICATION
from services.notification.recipients import Recipients, SignUpEnded
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
        """The mail to a pending sign-up or to one of the users.

        Raises `NothingToSend`, `AddressUnusable`, `UserServiceUnavailable`, `CodeNotIssued` and `jinja2.TemplateError`.
        """
        if delivery.type == VERIFICATION:
            return await self._compose_to_sign_up(delivery)
        user = users.get(delivery.user_id)
        if user is None or not user.email:
            raise NothingToSend(Reason.NO_ADDRESS)
        data = {**delivery.data, "name": single_line(user.display_name, MAX_NAME_LENGTH)}
        return self._compose(delivery, delivery.type, data, user.email, user.locale, user.display_name)

    async def _compose_to_sign_up(self, delivery: Delivery) -> Mail:
        """Nobody has proven the address, so the mail contains no text of whoever entered it, not even a name."""
        sign_up_id = str(delivery.data.get("sign_up_id", ""))
        if not sign_up_id:  # queued by an older release, which knew no pending sign-ups
            raise NothingToSend(Reason.SIGN_UP_ENDED)
        try:
            sign_up = await self._recipients.issue_code(sign_up_id)
        except SignUpEnded:
            raise NothingToSend(Reason.SIGN_UP_ENDED) from None
        template = delivery.type if sign_up.code else ACCOUNT_EXISTS
        data = {"code": sign_up.code, "expires": f"{sign_up.expire_time:%Y-%m-%d %H:%M} UTC"}
        return self._compose(delivery, template, data, sign_up.email, sign_up.locale, "")

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
