"""Puts a delivery into words: the template, the facts, and what only the moment of sending knows."""

from collections.abc import Mapping
from typing import Any

from weft.user.v1.user_pb2 import User

from chassis.plain_text import single_line
from services.notification.channels.email.message import LONGEST_NAME, Mail, Sender, compose
from services.notification.deliveries.domain import Delivery, Reason
from services.notification.observers.users import ACCOUNT_EXISTS
from services.notification.recipients import NothingToSend, Recipients
from services.notification.templates.rendering import Templates


class Writer:
    """Writes mails that nobody keeps."""

    def __init__(self, templates: Templates, recipients: Recipients, sender: Sender) -> None:
        """`sender` is the `From` of every mail."""
        self._templates = templates
        self._recipients = recipients
        self._sender = sender

    def write(self, delivery: Delivery, user: User) -> Mail:
        """A mail to a user. Raises `AddressUnusable` and `jinja2.TemplateError`."""
        facts = {**delivery.facts, "name": single_line(user.display_name, LONGEST_NAME)}
        return self._compose(delivery, delivery.type, facts, user.email, user.locale, user.display_name)

    async def write_to_sign_up(self, delivery: Delivery) -> Mail:
        """The mail to a pending sign-up. Raises as `write`, and `NothingToSend` and `Unreachable`.

        Nobody has proven the address: no word of whoever asked stands in it, not even a name.
        """
        sign_up_id = str(delivery.facts.get("sign_up_id", ""))
        if not sign_up_id:  # put by the release before, which knew no pending sign-ups
            raise NothingToSend(Reason.SIGN_UP_ENDED)
        sign_up = await self._recipients.issue_code(sign_up_id)
        template = delivery.type if sign_up.code else ACCOUNT_EXISTS
        facts = {"code": sign_up.code, "expires": f"{sign_up.expires:%Y-%m-%d %H:%M} UTC"}
        return self._compose(delivery, template, facts, sign_up.email, sign_up.locale, "")

    def _compose(
        self, delivery: Delivery, template: str, facts: Mapping[str, Any], address: str, locale: str, name: str
    ) -> Mail:
        return compose(
            self._templates.letter(template, locale, facts),
            sender=self._sender,
            address=address,
            name=name,
            delivery_id=delivery.delivery_id,
            created=delivery.create_time,
        )
