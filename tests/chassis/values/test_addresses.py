"""One rule for addresses: what is taken can be mailed."""

from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.values.addresses import _of as asked
from chassis.values.addresses import problem


@pytest.mark.parametrize(
    "address",
    ["a@b.example", "kim.x@docomo.example", "o'hara+tag@example.org", "a@xn--bcher-kva.example", "a@mail.corp.local",
     "a" * 64 + "@example.com", "a@x.test"],
)  # fmt: skip
def test_these_are_taken(address: str) -> None:
    assert problem(address) == ""


@pytest.mark.parametrize(
    "address",
    ["kim..x@docomo.example", ".kim@docomo.example", "kim.@docomo.example", "a" * 65 + "@example.com",
     "ü@example.com", "a@bücher.example", "a@xn--zzzz.example", "a@[127.0.0.1]", "a@127.0.0.1", "a@localhost", "a@b.invalid",
     '"a b"@example.com', "Ann <a@example.com>", "a@b@example.com", "a@-b.example", "a@b.example.", "a@b..example", "a@",
     "@b.example", "", "a@b.example\n", "a\r\nb@example.com", "=?utf-8?q?a?=@b.example", "a@" + "b" * 64 + ".example", "a@" + "b.c" * 90 + ".example"],
)  # fmt: skip
def test_these_are_not(address: str) -> None:
    assert problem(address)


PLAIN = st.from_regex(r"[a-zA-Z0-9._+-]{1,66}", fullmatch=True)
DOMAINS = st.from_regex(
    r"[a-zA-Z0-9.-]{1,8}\.(example|com|invalid|test)|[a-z-]{1,70}\.com|([a-z]{60}\.){3}[a-z]{1,12}", fullmatch=True
)


@given(PLAIN, DOMAINS)
def test_plain_addresses_are_taken_where_the_library_takes_them(local: str, domain: str) -> None:
    assert problem(f"{local}@{domain}") == asked(f"{local}@{domain}")


@given(st.emails() | st.from_regex(r"[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9.-]+", fullmatch=True))
def test_what_is_taken_can_stand_in_a_mail(address: str) -> None:
    if problem(address):
        return
    mail = EmailMessage(policy=SMTP)
    mail["To"] = Address("", addr_spec=address)
    assert mail["To"].addresses[0].addr_spec == address
