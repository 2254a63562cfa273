"""Templates: complete in every locale, strict, sandboxed, and escaped where necessary."""

import time

import pytest
from jinja2 import TemplateNotFound, UndefinedError
from jinja2.exceptions import SecurityError

from services.notification.channels.sms import segments
from services.notification.deliveries.codes import ABOUT_CODES
from services.notification.observers import OBSERVERS
from services.notification.observers.users import VERIFICATION
from services.notification.templates.rendering import BUILTIN, InboxText, Templates

TEMPLATES = Templates()
NAMES = sorted(path.stem for path in (BUILTIN / "en").glob("*.jinja"))
NAMELESS = {"user.invited", *(name for templates in ABOUT_CODES.values() for name in templates.values())}
"""Mails to addresses that may not be proven: they contain no text of a stranger."""
DATA = {
    "order_id": "ord_01",
    "total": {"amount_minor": 4200, "currency": "EUR"},
    "amount": {"amount_minor": 1700, "currency": "EUR"},
    "complete": False,
    "carrier": "DHL",
    "tracking_number": "00340434161094",
    "name": "Ann",
    "partner": "Acme",
    "code": "12345678",
    "expires": "2026-11-24 12:00 UTC",
    "by_reset": True,
    "time": "2026-11-24 12:00 UTC",
    "by_operator": True,
    "remaining": 9,
    "device": "Firefox on Windows",
    "failures": 10,
    "endpoint_id": "whk_01",
    "host": "hooks.example.com",
    "gone": True,
    "test": True,
    "category": "ORDERS",
    "items": [InboxText("Order expired", "It was not paid."), InboxText("Order cancelled", "")],
}


def _parts(locale, name):
    return set(TEMPLATES._plain.get_template(f"{locale}/{name}.jinja").blocks)


@pytest.mark.parametrize("locale", sorted(TEMPLATES.locales))
@pytest.mark.parametrize("name", NAMES)
def test_every_template_is_there_in_every_locale_with_the_same_parts_and_renders(locale, name):
    parts = _parts(locale, name)
    assert parts == _parts("en", name)
    if parts == {"sms"}:
        text = TEMPLATES.text_message(name, locale, DATA)
        assert "12345678" in text
        assert segments.count(text) == 1
        return
    assert parts in ({"subject", "text", "html"}, {"title", "body"}, {"subject", "text", "html", "title", "body"})
    if "subject" in parts:
        content = TEMPLATES.email(name, locale, DATA)
        assert content.subject
        assert "\n" not in content.subject
        assert ("Ann" in content.text) == (name not in NAMELESS)
        assert "<p>" in content.html
        assert content.locale == locale
    if "title" in parts:
        assert all(TEMPLATES.inbox_text(name, locale, DATA))


def test_the_verification_mail_contains_the_code_and_its_expiry_in_both_parts_and_not_in_the_subject():
    content = TEMPLATES.email(VERIFICATION, "en", DATA)
    for part in (content.text, content.html):
        assert "12345678" in part
        assert "2026-11-24 12:00 UTC" in part
    assert "12345678" not in content.subject


def test_a_shipment_is_told_with_what_is_known_of_it():
    part = TEMPLATES.email("order.shipped", "en", DATA)
    assert part.subject == "Part of your order ord_01 is on its way"
    assert part.text == (
        "Hello Ann,\n\npart of your order ord_01 has left and is on its way to you.\n\n"
        "Carrier: DHL\nTracking number: 00340434161094\n"
    )
    for known in ({"carrier": ""}, {"tracking_number": ""}, {"carrier": "", "tracking_number": ""}):
        whole = TEMPLATES.email("order.shipped", "de", {**DATA, "complete": True, **known})
        assert whole.subject == "Ihre Bestellung ord_01 ist unterwegs"
        for name, words in (("carrier", "Versand mit: DHL"), ("tracking_number", "Sendungsnummer: 00340434161094")):
            assert [words in text for text in (whole.text, whole.html)] == [name not in known] * 2
        assert "\n\n\n" not in whole.text
    assert "<b>" not in TEMPLATES.email("order.shipped", "en", {**DATA, "carrier": "<b>"}).html


def test_a_locale_falls_back_to_its_language_and_then_to_english():
    for german in ("de", "DE", "de-AT", "de_AT", "de-AT-1996", "gsw", "de" + "-aa" * 80_000):
        assert TEMPLATES.inbox_text("user.verified", german, {}).title == "Willkommen bei Weft"
    for english in ("en", "fr-CA", "", "../../etc", "a" * 240_000, "-" * 240_000):
        assert TEMPLATES.inbox_text("user.verified", english, {}).title == "Welcome to Weft"


def test_a_template_that_is_not_translated_yet_is_english(tmp_path):
    for locale in ("en", "de"):
        (tmp_path / locale).mkdir()
    (tmp_path / "en" / "new.jinja").write_text(
        "{% block title %}{{ locale }}{% endblock %}{% block body %}{% endblock %}"
    )
    assert Templates(tmp_path).inbox_text("new", "de", {}).title == "en"


def test_a_locale_of_any_length_costs_nothing():
    for locale in ("en" + "-aa" * 80_000, "a" * 240_000, "-" * 240_000):
        started = time.process_time()
        TEMPLATES.email("order.confirmed", locale, DATA)
        assert time.process_time() - started < 0.05


def test_a_name_is_escaped_in_html_and_unchanged_in_text():
    content = TEMPLATES.email("order.confirmed", "en", {**DATA, "name": "<script>&co"})
    assert "Hello <script>&co," in content.text
    assert "Hello &lt;script&gt;&amp;co," in content.html
    assert "<script>" not in content.html


def test_a_value_is_never_read_as_a_template():
    assert "{{ code }}" in TEMPLATES.email("order.confirmed", "en", {**DATA, "name": "{{ code }}"}).text


def test_a_missing_fact_or_template_is_an_error_and_not_a_gap():
    with pytest.raises(UndefinedError, match="total"):
        TEMPLATES.email("order.confirmed", "en", {"order_id": "ord_01", "name": ""})
    with pytest.raises(TemplateNotFound):
        TEMPLATES.email("order.eaten", "de", {})
    with pytest.raises(TemplateNotFound, match="no block subject"):
        TEMPLATES.email("order.placed", "en", DATA)


def test_a_template_cannot_leave_its_sandbox(tmp_path):
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "escape.jinja").write_text(
        "{% block title %}{{ ''.__class__.__mro__ }}{% endblock %}{% block body %}{% endblock %}"
    )
    with pytest.raises(SecurityError):
        Templates(tmp_path).inbox_text("escape", "en", {})


def test_every_type_that_an_observer_can_ask_for_has_its_template():
    # The observers' own tests have the types; here every file is used.
    assert {VERIFICATION, "user.sign_up_repeated", "user.verified"} <= set(NAMES)
    orders = {name for name in NAMES if name.partition(".")[0] in ("order", "payment")}
    assert all(OBSERVERS.names_for(name) for name in orders)
