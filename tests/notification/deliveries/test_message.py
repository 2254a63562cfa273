"""No text that a person, a server or a partner chose can change the structure of a mail."""

import re
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.settings import SettingsError
from chassis.values.plain_text import single_line
from services.notification.channels.email.message import (
    MAX_NAME_LENGTH,
    MAX_SUBJECT_LENGTH,
    AddressUnusable,
    Sender,
    compose,
    message_id,
)
from services.notification.channels.email.smtp import redact
from services.notification.templates.rendering import EmailContent
from tests.notification.deliveries.mails import HEADERS, INJECTION

WHEN = datetime(2026, 11, 24, tzinfo=UTC)
HEADERS += ["MIME-Version", "Content-Type"]
SENDER = Sender.of("Weft <no-reply@weft.local>")
PIECES = st.sampled_from(
    [
        *(
            "=?utf-8?q?",
            "=?utf-8?b?eA0KQmNjOiB5?=",
            "?=",
            "=0D=0A",
            "\r\n",
            "\n",
            " ",
            "\t",
            ",",
            ";",
            '"',
            "\\",
            "<",
            ">",
        ),
        *(
            "@",
            "(",
            ")",
            ":",
            "x",
            "Bcc: y@z.example",
            "é",
            "علی\u200cرضا",
            "👨\u200d👩\u200d👧",
            "\u202e",
            "\x00",
            "\udcff",
        ),
    ]
)
HOSTILE = st.one_of(st.just(INJECTION), st.text(max_size=300), st.lists(PIECES, max_size=60).map("".join))


def composed(name: str = "Ann", subject: str = "Hello", address: str = "ann@example.com", text: str = "x\n") -> bytes:
    content = EmailContent(subject, text, "<p>html</p>", "en")
    return compose(content, sender=SENDER, address=address, name=name, delivery_id="dlv_1", create_time=WHEN).content


def read(content: bytes) -> EmailMessage:
    return message_from_bytes(content, policy=policy.default)


@given(name=HOSTILE, subject=HOSTILE)
def test_a_mail_has_its_own_headers_and_shows_name_and_subject_literally(name: str, subject: str) -> None:
    content = composed(name, subject)
    parsed = read(content)
    assert sorted(parsed.keys()) == sorted(HEADERS)
    assert [part.get_content_type() for part in parsed.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    (recipient,) = parsed["To"].addresses
    assert recipient.addr_spec == "ann@example.com"
    assert parsed["Message-ID"] == "<dlv_1@weft.local>"
    # As any mail program reads them: the words of RFC 2047 are decoded once.
    raw = message_from_bytes(content)
    assert shown(raw["Subject"]) == single_line(subject, MAX_SUBJECT_LENGTH)
    assert shown(raw["To"].removesuffix("<ann@example.com>")) == (
        single_line(name, MAX_NAME_LENGTH) or "ann@example.com"
    )
    assert all(len(line) <= 998 and line.isascii() for line in content.partition(b"\r\n\r\n")[0].decode().split("\r\n"))


def shown(header: str) -> str:
    unfolded = header.replace("\r\n", "")
    return str(make_header(decode_header(unfolded))).strip(" ")


def test_an_encoded_word_in_a_name_is_shown_and_not_read() -> None:
    parsed = read(composed(name=INJECTION))
    assert sorted(parsed.keys()) == sorted(HEADERS)
    assert shown(message_from_bytes(composed(name=INJECTION))["To"]) == f"{INJECTION} <ann@example.com>"
    assert parsed.get_content_type() == "multipart/alternative"


@pytest.mark.parametrize("name", ["علی\u200cرضا", "👨\u200d👩\u200d👧", "山田\u3000太郎", "O'Neill, Ann", '"Ann" (x)'])
def test_a_name_arrives_as_it_was_given(name: str) -> None:
    assert read(composed(name=name))["To"].addresses[0].display_name == name


@given(
    address=st.one_of(
        HOSTILE,
        st.tuples(HOSTILE, st.just("@example.com")).map("".join),
        st.tuples(st.just("ann@"), HOSTILE).map("".join),
    )
)
def test_an_address_is_the_one_recipient_or_refused(address: str) -> None:
    try:
        content = composed(address=address)
    except AddressUnusable:
        return
    parsed = read(content)
    assert sorted(parsed.keys()) == sorted(HEADERS)
    assert [found.addr_spec for found in parsed["To"].addresses] == [address]


@given(
    text=st.one_of(
        HOSTILE, st.sampled_from(["--=_weft--\r\n", ".\n.\n", "a \t\nb ", "x" * 3000, "é" * 900, "你好" * 500])
    )
)
def test_a_text_arrives_in_its_part_in_short_lines_of_ascii(text: str) -> None:
    content = composed(text=text)
    assert content.isascii() and max(map(len, content.split(b"\r\n"))) <= 76
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n", content)
    parsed = read(content)
    sent = text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n") + "\n"
    got = parsed.get_payload(0).get_payload(decode=True).decode().replace("\r\n", "\n")
    assert got == sent.encode(errors="replace").decode()
    assert sorted(parsed.keys()) == sorted(HEADERS)
    assert [part.get_content_type() for part in parsed.walk()] == ["multipart/alternative", "text/plain", "text/html"]


@given(before=HOSTILE, local=st.from_regex(r"[a-z.+]{1,20}", fullmatch=True), after=HOSTILE)
def test_a_stored_response_never_contains_an_address(before: str, local: str, after: str) -> None:
    stored = redact(f"{before[:100]} <{local}@example.com> {after}")
    assert f"{local}@example.com" not in stored
    assert len(stored) <= 200
    stored.encode()


def test_a_message_id_ends_in_the_senders_domain() -> None:
    assert message_id("dlv_1", Sender.of("Shop <post@shop.example.org>")) == "<dlv_1@shop.example.org>"
    assert Sender.of("Größe Shop <post@shop.example.org>").address == "post@shop.example.org"


@pytest.mark.parametrize("setting", ["", "nobody", "Weft <a@b@c>", "a@b.example.org\r\nBcc: c@d.example.org"])
def test_a_sender_that_cannot_be_one_is_refused_with_the_remedy(setting: str) -> None:
    with pytest.raises(SettingsError, match="WEFT_MAIL_FROM: write an address"):
        Sender.of(setting)
