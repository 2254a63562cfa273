"""Mails: looked up, composed, sent over connections that are kept, and noted."""

import asyncio
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime

from aiosmtplib import SMTP, SMTPServerDisconnected
from sqlalchemy import select, update

from bench.peers.database import Sessions
from bench.peers.taskiq_background.people import People, Person
from bench.peers.taskiq_background.rendering import block
from bench.peers.taskiq_background.settings import Settings
from bench.peers.taskiq_background.tables import Delivery

CONNECTIONS = 4


class Mailer:
    """A few connections to the mail server, opened when they are first needed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._free: asyncio.LifoQueue[SMTP] = asyncio.LifoQueue()
        for _ in range(CONNECTIONS):
            self._free.put_nowait(SMTP(hostname="127.0.0.1", port=settings.mail_port, start_tls=False))

    async def send(self, message: EmailMessage) -> str:
        """Sends a mail: the server's response. Raises `SMTPException`."""
        connection = await self._free.get()
        try:
            if not connection.is_connected:
                await self._open(connection)
            try:
                return (await connection.send_message(message))[1]
            except SMTPServerDisconnected:
                # It hangs up on those that have long been idle.
                await self._open(connection)
                return (await connection.send_message(message))[1]
        finally:
            self._free.put_nowait(connection)

    async def _open(self, connection: SMTP) -> None:
        await connection.connect()
        await connection.login("weft", self._settings.mail_password)

    async def close(self) -> None:
        """Hangs up."""
        for _ in range(CONNECTIONS):
            (await self._free.get()).close()


class Sender:
    """Sends deliveries."""

    def __init__(self, settings: Settings, writes: Sessions, reads: Sessions, people: People, mailer: Mailer) -> None:
        self._settings, self._writes, self._reads = settings, writes, reads
        self._people, self._mailer = people, mailer

    async def send(self, event_id: str) -> None:
        """Sends the mail about an event, unless it is sent."""
        async with self._reads() as session:
            delivery = (await session.scalars(select(Delivery).where(Delivery.event_id == event_id))).one()
        if delivery.state != "QUEUED":
            return
        message = self._compose(delivery, await self._people.find(delivery.user_id))
        response = await self._mailer.send(message)
        values = {"state": "SENT", "response": response, "update_time": datetime.now(UTC)}
        async with self._reads() as session:
            await session.execute(update(Delivery).where(Delivery.event_id == event_id).values(values))

    def _compose(self, delivery: Delivery, person: Person) -> EmailMessage:
        data = {**delivery.data, "name": person.name}
        message = EmailMessage()
        message["From"] = self._settings.mail_from
        message["To"] = person.email
        message["Subject"] = block(delivery.type, "subject", data)
        message["Date"] = format_datetime(delivery.create_time)
        message["Message-ID"] = f"<{delivery.delivery_id}@shop.example>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(block(delivery.type, "text", data))
        message.add_alternative(block(delivery.type, "html", data), subtype="html")
        return message
