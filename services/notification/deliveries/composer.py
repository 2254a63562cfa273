"""Composes the message of a delivery: the template, the notification's data, and what is only known when it is sent."""

from collections.abc import Mapping
from typing import Any

from weft.user.v1.user_pb2 import User

from chassis.plain_text import single_line
from services.notification.channels.email.message import MAX_NAME_LENGTH, Mail, Sender, compose
from services.notification.channels.sms.twilio import Text
from services.notification.deliveries.codes import ABOUT_CODES, NothingToSend, issue
from services.notification.deliveries.domain import Delivery, Reason
from services.notification.preferences.unsubscribing import UnsubscribeLinks, Unsubscription
from services.notification.recipients import Recipients
from services.notification.templates.rendering import Templates


class Composer:
    """Composes mails; stores nothing."""

    def __init__(self, templates: Templates, recipients: Recipients, sender: Sender, links: UnsubscribeLinks) -> None:
        """`sender` is the `From` of every mail; `links` are in those whose category can be muted."""
        self._links = links
        self._templates = templates
        self._recipients = recipients
        self._sender = sender

    async def compose(self, delivery: Delivery, users: Mapping[str, User]) -> Mail:
        """The mail about a requested code, or to one of the users.

        Raises `NothingToSend`, `AddressUnusable`, `UserServiceUnavailable`, `CodeNotIssued` and `jinja2.TemplateError`.
        """
        if delivery.type in ABOUT_CODES:
            template, data, issued = await issue(delivery, self._recipients)
            return self._compose(delivery, template, data, issued.email, issued.locale, "")
        user = users.get(delivery.user_id)
        if user is None or not user.email:
            raise NothingToSend(Reason.NO_ADDRESS)
        named = {**delivery.data, "name": single_line(user.display_name, MAX_NAME_LENGTH)}
        return self._compose(delivery, delivery.type, named, user.email, user.locale, user.display_name)

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
            unsubscribe=self._unsubscribe(delivery),
        )

    def _unsubscribe(self, delivery: Delivery) -> str:
        if delivery.category.is_critical or not delivery.user_id:
            return ""
        return self._links.url(Unsubscription(delivery.category, delivery.user_id))


class TextComposer:
    """Composes text messages; stores nothing."""

    def __init__(self, templates: Templates, recipients: Recipients) -> None:
        self._templates = templates
        self._recipients = recipients

    async def compose(self, delivery: Delivery, _: Mapping[str, User]) -> Text:
        """The message about a requested code; there is no other one yet.

        Raises `NothingToSend`, `TextTooLong`, `UserServiceUnavailable`, `CodeNotIssued` and `jinja2.TemplateError`.
        """
        if delivery.type in ABOUT_CODES:
            template, data, issued = await issue(delivery, self._recipients)
            return Text(issued.phone, self._templates.text_message(template, issued.locale, data))
        raise NothingToSend(Reason.NO_ADDRESS)
