"""What can be sent on request, and by whom."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from weft.user.v1.user_pb2 import User

from chassis.errors import FailedPrecondition, NotFound, PermissionDenied, RequestInvalid
from chassis.values import addresses
from services.notification.categories import Category
from services.notification.channels.channel import Channel
from services.notification.channels.sms import segments
from services.notification.content import Content
from services.notification.templates.domain import SAMPLE_NAME, Version
from services.notification.templates.language import TemplateWrong

MESSAGE = "message"
"""The type of what was sent on request."""
MAX_AHEAD = timedelta(days=366)
MAX_SEGMENTS = 3


class NotificationNotFound(NotFound):
    """There is no notification {notification_id}."""


class NotificationNotCancellable(FailedPrecondition):
    """The notification is {state}: there is nothing left to cancel."""


class CategoryNotAllowed(PermissionDenied):
    """Partners may not send {category}."""


@dataclass(frozen=True)
class To:
    """One of the three, or a user at an address."""

    user_id: str = ""
    email: str = ""
    phone: str = ""

    def unreachable_by(self, user: User | None) -> frozenset[Channel]:
        """The channels for which there is no address. Whether a user has devices is not known here."""
        has = {Channel.INBOX, Channel.PUSH} if self.user_id else set()
        if self.email or (user is not None and user.email):
            has.add(Channel.EMAIL)
        if self.phone or (user is not None and user.phone_verified):
            has.add(Channel.SMS)
        return frozenset(Channel) - has


@dataclass(frozen=True)
class NewMessage:
    """A message to send; `send_at` is not in the past."""

    recipients: Sequence[To]
    channels: Sequence[Channel]
    every_channel: bool
    category: Category
    content: Content
    send_at: datetime | None
    expire_at: datetime | None
    dedupe_window: timedelta
    template_id: str = ""
    template_version: int = 0
    version: Version | None = None
    """Of the template, which the content has variables for."""
    type: str = MESSAGE

    def check(self, now: datetime, *, by_operator: bool) -> None:
        """Raises `CategoryNotAllowed` and `RequestInvalid`."""
        if self.category is Category.ACCOUNT and not by_operator:
            raise CategoryNotAllowed(category=self.category.value)
        if found := [*self._content_faults(), *self._time_faults(now), *self._recipient_faults()]:
            raise RequestInvalid(violations=found[:20])

    def _content_faults(self) -> list[tuple[str, str]]:
        return self._template_faults(self.version) if self.version is not None else self._written_faults()

    def _template_faults(self, version: Version) -> list[tuple[str, str]]:
        """Every language has the parts that the channels need, and renders with the data."""
        for text in version.texts:
            lacks = [part for part in ("subject", "text") if Channel.EMAIL in self.channels and not getattr(text, part)]
            if lacks:
                return [("template_id", f"must have a {lacks[0]} in {text.locale} for mails")]
            try:
                version.render(text.locale, self.content.data, SAMPLE_NAME)
            except TemplateWrong as error:
                return [("data", f"must have what the template needs in {text.locale}: {error}")]
        return []

    def _written_faults(self) -> list[tuple[str, str]]:
        content, found = self.content, []
        titled = {Channel.EMAIL, Channel.INBOX, Channel.PUSH}
        if titled & set(self.channels) and not content.subject.strip():
            found.append(("content.subject", "must be given for mails, the inbox and push messages"))
        if Channel.EMAIL in self.channels and not content.text.strip():
            found.append(("content.text", "must be given for mails"))
        if Channel.PUSH in self.channels and not content.brief.strip():
            found.append(("content.short", "must be given for push messages"))
        if Channel.SMS in self.channels:
            part = "content.short" if content.short else "content.text"
            if not content.brief.strip():
                found.append(("content.short", "must be given for text messages"))
            elif (count := segments.count(content.brief)) > MAX_SEGMENTS:
                found.append((part, f"must have at most {MAX_SEGMENTS} segments as a text message, and has {count}"))
        return found

    def _time_faults(self, now: datetime) -> list[tuple[str, str]]:
        found = []
        if self.send_at is not None and self.send_at > now + MAX_AHEAD:
            found.append(("send_at", "must be at most a year from now"))
        if self.expire_at is not None and self.send_at is not None and self.expire_at < self.send_at:
            found.append(("expire_at", "must not be earlier than when it is sent"))
        return found

    def _recipient_faults(self) -> list[tuple[str, str]]:
        found = []
        for number, to in enumerate(self.recipients):
            field = f"recipients[{number}]"
            if to.email and (problem := addresses.problem(to.email)):
                found.append((f"{field}.email", f"is no address that a mail can be sent to: {problem}"))
        return found
