"""Renders the templates `builtin/<locale>/<type>.jinja`, with the blocks `subject`, `text` and `html` of a mail, `title`
and `body` of an inbox item, and `sms` of a text message. Sandboxed; a missing variable is an error; only the `html` block is escaped.
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import FileSystemLoader, StrictUndefined, Template, TemplateNotFound, pass_context
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from chassis.values import locales
from services.notification.templates import money
from services.notification.templates.domain import Branding, Rendered

BUILTIN = Path(__file__).parent / "builtin"
DEFAULT_LOCALE = "en"


class EmailContent(NamedTuple):
    """The parts of a mail, and the locale that they were rendered in."""

    subject: str
    text: str
    html: str
    locale: str


class InboxText(NamedTuple):
    """The parts of an inbox item."""

    title: str
    body: str


class Templates:
    """Templates from a folder with one subfolder for each locale; HTML is escaped, plain text is not."""

    def __init__(self, folder: Path = BUILTIN) -> None:
        self._folder = folder
        self._plain = _environment(folder, autoescape=False)
        self._markup = _environment(folder, autoescape=True)

    @cached_property
    def locales(self) -> frozenset[str]:
        """Those with a folder of templates."""
        return frozenset(path.name for path in self._folder.iterdir() if path.is_dir())

    def match_locale(self, wanted: str) -> str:
        """The locale that serves readers of `wanted`, a language tag or any other text."""
        return wanted if wanted in self.locales else locales.best(wanted, self.locales) or DEFAULT_LOCALE

    def negotiate_locale(self, accept_language: str) -> str:
        """The locale that fits an `accept-language` header best."""
        return locales.accept_language(accept_language, self.locales, DEFAULT_LOCALE)

    def email(self, type: str, locale: str, data: Mapping[str, Any]) -> EmailContent:
        """Render a mail. Raises `jinja2.TemplateError` where the template or a variable of it is missing."""
        plain, found = self._find(self._plain, type, locale)
        markup, _ = self._find(self._markup, type, locale)
        values = {**data, "locale": found}
        subject = _block(plain, "subject", values)
        content = Markup(_block(markup, "html", values))  # noqa: S704 - escaped by its own environment
        html = self._frame(content, subject, found, Branding())
        return EmailContent(subject, _block(plain, "text", values) + "\n", html, found)

    def written_email(self, written: Rendered, *, framed: bool) -> EmailContent:
        """A mail that somebody else has written. Its HTML is whole, unless it is `framed`; without HTML it is made of the text."""
        html, locale = written.html, written.locale or DEFAULT_LOCALE
        if not html or framed:
            content = Markup(html) if html else _paragraphs(written.text)  # noqa: S704 - escaped by its own environment
            html = self._frame(content, written.subject, locale, written.branding)
        return EmailContent(written.subject, written.text, html, locale)

    def _frame(self, content: Markup, subject: str, locale: str, branding: Branding) -> str:
        layout = self._markup.get_template("layout.html")
        return layout.render(content=content, subject=subject, locale=locale, branding=branding)

    def text_message(self, type: str, locale: str, data: Mapping[str, Any]) -> str:
        """Render a text message, on one line. Raises as `email` does."""
        plain, found = self._find(self._plain, type, locale)
        return " ".join(_block(plain, "sms", {**data, "locale": found}).split())

    def inbox_text(self, type: str, locale: str, data: Mapping[str, Any]) -> InboxText:
        """Render an inbox item. Raises as `email` does."""
        plain, found = self._find(self._plain, type, locale)
        values = {**data, "locale": found}
        return InboxText(_block(plain, "title", values), _block(plain, "body", values))

    def _find(self, environment: ImmutableSandboxedEnvironment, type: str, locale: str) -> tuple[Template, str]:
        locale = self.match_locale(locale)
        try:
            return environment.get_template(f"{locale}/{type}.jinja"), locale
        except TemplateNotFound:  # not translated yet
            return environment.get_template(f"{DEFAULT_LOCALE}/{type}.jinja"), DEFAULT_LOCALE


def _paragraphs(text: str) -> Markup:
    parts = [Markup("<p>{}</p>").format(part.strip()) for part in text.split("\n\n") if part.strip()]
    return Markup("\n").join(part.replace("\n", Markup("<br>\n")) for part in parts)


def _environment(folder: Path, *, autoescape: bool) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(folder),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters["money"] = _money
    return environment


def _block(template: Template, name: str, values: Mapping[str, Any]) -> str:
    if name not in template.blocks:
        raise TemplateNotFound(f"{template.name} has no block {name}")
    return "".join(template.blocks[name](template.new_context(dict(values)))).strip()


@pass_context
def _money(context: Context, value: Mapping[str, Any]) -> str:
    return money.format_amount(int(value["amount_minor"]), str(value["currency"]), str(context["locale"]))
