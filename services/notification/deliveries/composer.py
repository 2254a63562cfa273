"""Composes the message of a delivery: the template, the notification's data, and what is only known when it is sent."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from weft.user.v1.user_pb2 import User

from chassis.clock import Clock
from chassis.values.plain_text import single_line
from services.notification.channels.email.dkim import Dkim
from services.notification.channels.email.message import MAX_NAME_LENGTH, Mail, Sender, compose
from services.notification.channels.sms.twilio import Text
from services.notification.deliveries.codes import ABOUT_CODES, NothingToSend, issue
from services.notification.deliveries.digest_items import DIGEST, Items
from services.notification.deliveries.domain import Delivery, Reason
from services.notification.preferences.unsubscribing import UnsubscribeLinks, Unsubscription
from services.notification.recipients import Recipients, belongs
from services.notification.templates.rendering import EmailContent, Templates
from services.notification.writing import Stored, Writing


class Composer:
    """Composes mails; stores nothing."""

    def __init__(
        self,
        templates: Templates,
        recipients: Recipients,
        sender: Sender,
        writing: Writing,
        links: UnsubscribeLinks,
        lookup: Callable[[str], bytes],
        dkim: Dkim | None,
        clock: Clock,
        *,
        named_to_sendgrid: bool = False,
    ) -> None:
        """`named_to_sendgrid`: mails tell SendGrid their delivery, for its events.

        `sender` is the `From` of every mail; `links` are in those whose category can be muted: of a person, or of the
        keyed hash of an address, which `lookup` makes.
        """
        self._writing = writing
        self._items = Items(templates, writing)
        self._links = links
        self._dkim = dkim
        self._clock = clock
        self._named_to_sendgrid = named_to_sendgrid
        self._lookup = lookup
        self._templates = templates
        self._recipients = recipients
        self._sender = sender

    async def compose(self, delivery: Delivery, users: Mapping[str, User]) -> Mail:
        """The mail about a requested code, or to one of the users.

        Raises `NothingToSend`, `AddressUnusable`, `UserServiceUnavailable`, `CodeNotIssued` and `jinja2.TemplateError`.
        """
        if len(delivery.members) > 1:
            return await self._compose_digest(delivery, users)
        if delivery.type in ABOUT_CODES:
            template, data, issued = await issue(delivery, self._recipients)
            return self._compose(delivery, template, data, issued.email, issued.locale, "")
        user = recipient_of(delivery, users)
        if delivery.content_sealed is not None:
            return await self._compose_requested(delivery, delivery.content_sealed, user)
        if user is None or not user.email:
            raise NothingToSend(Reason.NO_ADDRESS)
        named = {**delivery.data, "name": single_line(user.display_name, MAX_NAME_LENGTH)}
        return self._compose(delivery, delivery.type, named, user.email, user.locale, user.display_name)

    def _compose(
        self, delivery: Delivery, template: str, data: Mapping[str, Any], address: str, locale: str, name: str
    ) -> Mail:
        return self._mail(delivery, self._templates.email(template, locale, data), address, name)

    async def _compose_digest(self, digest: Delivery, users: Mapping[str, User]) -> Mail:
        user = recipient_of(digest, users)
        if user is None or not user.email:
            raise NothingToSend(Reason.NO_ADDRESS)
        items = [await self._items.render(member, user) for member in digest.members]
        data = {
            "name": single_line(user.display_name, MAX_NAME_LENGTH),
            "category": digest.category.value,
            "items": [item.text for item in items],
        }
        content = self._templates.email(DIGEST, user.locale, data)
        sender_name = next((item.sender_name for item in reversed(items) if item.sender_name), "")
        return self._mail(digest, content, user.email, user.display_name, sender_name)

    async def _compose_requested(self, delivery: Delivery, sealed: bytes, user: User | None) -> Mail:
        name, locale = (user.display_name, user.locale) if user is not None else ("", "")
        stored = Stored(sealed, delivery.template_id, delivery.template_version)
        said = await self._writing.read(stored, locale, single_line(name, MAX_NAME_LENGTH), ("subject", "text", "html"))
        address = said.content.email or (user.email if user is not None else "")
        if not address:
            raise NothingToSend(Reason.NO_ADDRESS)
        mail = self._templates.written_email(said.message, framed=said.of_template)
        return self._mail(delivery, mail, address, name or said.reader_name, said.sender_name)

    def _mail(self, delivery: Delivery, content: EmailContent, address: str, name: str, sender_name: str = "") -> Mail:
        mail = compose(
            content,
            sender=self._sender.named(sender_name) if sender_name else self._sender,
            address=address,
            name=name,
            delivery_id=delivery.delivery_id,
            create_time=delivery.create_time,
            unsubscribe=self._unsubscribe(delivery, address),
            named_to_sendgrid=self._named_to_sendgrid,
        )
        return mail if self._dkim is None else replace(mail, content=self._dkim.sign(mail.content, self._clock.now()))

    def _unsubscribe(self, delivery: Delivery, address: str) -> str:
        if delivery.category.is_critical:
            return ""
        if delivery.user_id:
            return self._links.url(Unsubscription(delivery.category, delivery.user_id))
        return self._links.url(Unsubscription(delivery.category, address_lookup=self._lookup(address)))


def recipient_of(delivery: Delivery, users: Mapping[str, User]) -> User | None:
    """The user, unless they are not a customer of the partner that has sent the message."""
    user = users.get(delivery.user_id)
    if user is None or delivery.content_sealed is None or not delivery.partner_id:
        return user
    return user if belongs(user, delivery.partner_id, delivery.mode) else None


class TextComposer:
    """Composes text messages; stores nothing."""

    def __init__(
        self, templates: Templates, recipients: Recipients, writing: Writing, callback: Callable[[str], str]
    ) -> None:
        """`callback`: the URL where the provider says what became of a delivery, by its id."""
        self._callback = callback
        self._writing = writing
        self._templates = templates
        self._recipients = recipients

    async def compose(self, delivery: Delivery, users: Mapping[str, User]) -> Text:
        """The message about a requested code, or what was sent on request: of users, to numbers that they have proven.

        Raises `NothingToSend`, `TextTooLong`, `UserServiceUnavailable`, `CodeNotIssued` and `jinja2.TemplateError`.
        """
        if delivery.type in ABOUT_CODES:
            template, data, issued = await issue(delivery, self._recipients)
            return self._text(delivery, issued.phone, self._templates.text_message(template, issued.locale, data))
        if delivery.content_sealed is not None:
            user = recipient_of(delivery, users)
            name, locale = (user.display_name, user.locale) if user is not None else ("", "")
            stored = Stored(delivery.content_sealed, delivery.template_id, delivery.template_version)
            said = await self._writing.read(stored, locale, single_line(name, MAX_NAME_LENGTH), ("text", "short"))
            phone = said.content.phone or (user.phone if user is not None and user.phone_verified else "")
            if phone:
                return self._text(delivery, phone, " ".join(said.brief.split()) if said.of_template else said.brief)
        raise NothingToSend(Reason.NO_ADDRESS)

    def _text(self, delivery: Delivery, phone: str, body: str) -> Text:
        return Text(phone, body, self._callback(delivery.delivery_id))
