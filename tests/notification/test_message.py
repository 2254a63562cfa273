"""No text that a person, a server or a partner chose can bend a mail."""

from datetime import UTC, datetime
from email import message_from_bytes, policy

from hypothesis import given
from hypothesis import strategies as st

from services.notification.mail.message import compose, message_id
from services.notification.mail.smtp import redacted
from services.notification.rendering import Letter

WHEN = datetime(2026, 11, 24, tzinfo=UTC)
HEADERS = ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"]
TEXTS = st.text(max_size=100)


@given(name=TEXTS, subject=TEXTS, text=TEXTS)
def test_a_mail_has_its_own_headers_and_one_recipient_whatever_its_texts_say(name, subject, text):
    letter = Letter(subject, text, f"<p>{text}</p>", "en")
    made = compose(
        letter,
        sender="Weft <no-reply@weft.local>",
        address="ann@example.com",
        name=name,
        delivery_id="dlv_1",
        created=WHEN,
    )
    parsed = message_from_bytes(bytes(made), policy=policy.default)
    assert sorted(parsed.keys()) == sorted([*HEADERS, "Content-Language"])
    assert [address.addr_spec for address in parsed["To"].addresses] == ["ann@example.com"]
    assert parsed["Message-ID"] == "<dlv_1@weft.local>"


@given(before=TEXTS, local=st.from_regex(r"[a-z.+]{1,20}", fullmatch=True), after=TEXTS)
def test_a_kept_answer_never_holds_an_address(before, local, after):
    assert f"{local}@example.com" not in redacted(f"{before} <{local}@example.com> {after}")


def test_a_message_id_ends_in_the_senders_domain():
    assert message_id("dlv_1", "Shop <post@shop.example>") == "<dlv_1@shop.example>"
    assert message_id("dlv_1", "nobody") == "<dlv_1@weft.local>"
