"""Puts a delivery into words: the template, the facts, and what only the moment of sending knows."""

from weft.user.v1.user_pb2 import User

from services.chassis.plain_text import single_line
from services.notification.deliveries.domain import Delivery
from services.notification.deliveries.recipients import Recipients
from services.notification.mail.message import LONGEST_NAME, Mail, Sender, compose
from services.notification.observers.users import VERIFICATION
from services.notification.rendering import Templates


class Writer:
    """Writes mails that nobody keeps."""

    def __init__(self, templates: Templates, recipients: Recipients, sender: Sender) -> None:
        """`sender` is the `From` of every mail."""
        self._templates = templates
        self._recipients = recipients
        self._sender = sender

    async def write(self, delivery: Delivery, user: User) -> Mail:
        """The mail. Raises `NothingToSend`, `Unreachable`, `AddressUnusable` and `jinja2.TemplateError`."""
        facts = {**delivery.facts, "name": single_line(user.display_name, LONGEST_NAME)}
        if delivery.type == VERIFICATION:
            issued = await self._recipients.issue_code(user.user_id)
            facts |= {"code": issued.code, "expires": f"{issued.expires:%Y-%m-%d %H:%M} UTC"}
        return compose(
            self._templates.letter(delivery.type, user.locale, facts),
            sender=self._sender,
            address=user.email,
            name=user.display_name,
            delivery_id=delivery.delivery_id,
            created=delivery.create_time,
        )
