"""Templates that are kept in the database: their texts, versions and rendering."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from chassis.errors import (
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    RequestInvalid,
    ResourceExhausted,
)
from chassis.values import etags, locales
from services.notification.templates import language, limits
from services.notification.templates.language import Source, TemplateWrong

MAX_TEMPLATES = 200
"""Of a partner in a mode, and of the platform."""
MAX_TESTS = 10
"""That a person may send to themselves within `TEST_PERIOD`."""
TEST_PERIOD = timedelta(hours=1)
SAMPLE_NAME = "Ann"
"""Of the recipient where a template is tried, unless the samples or the data have a `name`."""
PARTS = ("subject", "text", "html", "short")


class TemplateNotFound(NotFound):
    """There is no template {template_id}."""


class TemplateNotPublished(FailedPrecondition):
    """The template {template_id} was never published."""


class TemplateLimitReached(FailedPrecondition):
    """There may be at most {limit} templates."""


class TemplateTestLimitReached(ResourceExhausted):
    """You may send yourself at most {limit} templates within an hour."""


class TemplateNotRendered(InvalidArgument):
    """The template cannot be rendered with these values: {cause}."""


@dataclass(frozen=True)
class Text:
    """The sources of a message in one language."""

    locale: str
    subject: str = ""
    text: str = ""
    html: str = ""
    short: str = ""

    def source(self, part: str) -> Source:
        """One of `PARTS`."""
        return Source(getattr(self, part), is_html=part == "html")


@dataclass(frozen=True)
class Branding:
    """How mails look; see `weft.notification.v1.Branding`."""

    sender_name: str = ""
    logo_url: str = ""
    colour: str = ""
    footer: str = ""


@dataclass(frozen=True)
class Rendered:
    """A message in the language that serves its reader best. `html` is without the frame."""

    subject: str
    text: str
    html: str
    short: str
    locale: str
    branding: Branding


@dataclass(frozen=True)
class Version:
    """What is sent: texts, one for each language, and their branding. Never changed once it is published."""

    texts: Sequence[Text]
    branding: Branding = Branding()

    def text_for(self, locale: str) -> Text:
        """The text that serves a reader of a language best (BCP 47), or else the first one."""
        by_locale = {text.locale: text for text in self.texts}
        best = locale if locale in by_locale else locales.best(locale, by_locale) if locale else None
        return by_locale[best] if best is not None else self.texts[0]

    def render(self, locale: str, data: Mapping[str, Any], name: str = "", parts: Sequence[str] = PARTS) -> Rendered:
        """Some of the parts. Raises `TemplateWrong`. `name` is the recipient's; where there is none, the data may have one."""
        text = self.text_for(locale)
        values = {**data, "name": name or data.get("name", ""), "locale": text.locale}
        with limits.bounded():
            made = {part: language.render(text.source(part), values) if part in parts else "" for part in PARTS}
        return Rendered(**made, locale=text.locale, branding=self.branding)

    def check(self, samples: Mapping[str, Any], field_of_texts: str) -> None:
        """Compile every part and render it with the samples. Raises `RequestInvalid`, which names the part."""
        found = []
        seen: set[str] = set()
        for number, text in enumerate(self.texts):
            at = f"{field_of_texts}[{number}]"
            if text.locale in seen:
                found.append((f"{at}.locale", "must not repeat another one"))
            seen.add(text.locale)
            if not (text.text or text.short):
                found.append((f"{at}.text", "must be given, or short"))
            with limits.bounded():
                found += [(f"{at}.{part}", fault) for part in PARTS if (fault := _fault(text, part, samples))]
        if found:
            raise RequestInvalid(violations=found[:20])


def _fault(text: Text, part: str, samples: Mapping[str, Any]) -> str:
    try:
        language.check(text.source(part))
        language.render(text.source(part), {"name": SAMPLE_NAME, **samples, "locale": text.locale})
    except TemplateWrong as error:
        return f"must render with the samples: {error}"
    return ""


@dataclass(frozen=True)
class Template:
    """A template with its draft."""

    template_id: str
    partner_id: str
    mode: str
    title: str
    draft: Version
    samples: Mapping[str, Any]
    published_version: int
    version: int
    created_at: datetime
    updated_at: datetime

    @property
    def etag(self) -> str:
        """Of the state that a caller has seen."""
        return etags.of(self.version)

    def update(self, now: datetime, etag: str, changes: Mapping[str, Any]) -> "Template":
        """`changes`: new values by attribute, also those of the draft. The template itself if nothing changes.

        Raises `EtagMismatch` for a stale etag.
        """
        etags.require(etag, self.version)
        of_draft = {name: value for name, value in changes.items() if name in ("texts", "branding")}
        others = {name: value for name, value in changes.items() if name not in of_draft}
        changes = {**others, "draft": replace(self.draft, **of_draft)}
        if all(getattr(self, name) == value for name, value in changes.items()):
            return self
        return replace(self, version=self.version + 1, updated_at=now, **changes)

    def publish(self, now: datetime) -> "Template":
        """With the draft as its next version."""
        return replace(self, published_version=self.published_version + 1, version=self.version + 1, updated_at=now)


def to_json(version: Version) -> dict[str, Any]:
    """As it is stored."""
    return {"texts": [asdict(text) for text in version.texts], "branding": asdict(version.branding)}


def of_json(stored: Mapping[str, Any]) -> Version:
    """What `to_json` has made."""
    return Version([Text(**text) for text in stored["texts"]], Branding(**stored["branding"]))
