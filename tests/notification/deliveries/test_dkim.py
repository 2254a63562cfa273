"""Signatures hold for another implementation, and not for a mail that was changed on its way."""

import base64
from datetime import UTC, datetime

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from chassis import ids
from chassis.settings import SettingsError
from services.notification.channels.email.dkim import Dkim
from tests.notification import sample_events as events
from tests.notification.conftest import Start

NOW = datetime(2026, 11, 27, tzinfo=UTC)
RSA, SMALL, ED = generate_private_key(65537, 2048), generate_private_key(65537, 1024), Ed25519PrivateKey.generate()
HOSTILE = 'Ann "\r\nTo: eve@example.com\r\n =?utf-8?b?VG86IHg=?= ' + "ü" * 60


def pem(key: object) -> str:
    assert isinstance(key, type(RSA) | Ed25519PrivateKey)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def record(name: bytes, timeout: int = 5) -> bytes:
    """The TXT record of the key."""
    assert name == b"s1._domainkey.weft.local."
    public = RSA.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)


async def test_a_mail_is_signed_whatever_its_recipient_is_called(start: Start) -> None:
    async with start(dkim_key=pem(RSA), dkim_selector="s1") as service:
        await service.publish(events.expired(service.users.add(ids.new("usr"), display_name=HOSTILE)))
        await service.wait_until_idle()
    (raw,), (mail,) = service.receiver.raw, service.receiver.mails
    assert len(mail.get_all("To")) == len(mail.get_all("DKIM-Signature")) == 1
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert dkim.verify(raw, dnsfunc=record)
    for before, after in (
        (b"From: Weft", b"From: Waft"),
        (b"expired", b"paid"),
        (b"\r\nTo: ", b"\r\nTo: x@y.z\r\nTo: "),
    ):
        assert before in raw
        assert not dkim.verify(raw.replace(before, after), dnsfunc=record)


@pytest.mark.parametrize("body", [b"", b"\r\n\r\n", b"a \t b \r\n\r\n\r\n", b"a\r\n.\r\n b"])
def test_blanks_are_taken_as_the_standard_says(body: bytes) -> None:
    mail = b"From:  a@weft.local\r\nSUBJECT: a\r\n\tfolded  \t line\r\n\r\n" + body
    assert dkim.verify(Dkim(pem(RSA), "s1", "weft.local").sign(mail, NOW), dnsfunc=record)


def test_keys_that_receivers_refuse_are_refused() -> None:
    assert b"a=ed25519-sha256" in Dkim(pem(ED), "s1", "weft.local").sign(b"From: a@weft.local\r\n\r\n", NOW)
    for key, selector in ((pem(SMALL), "s1"), ("no key", "s1"), (pem(RSA), ""), (pem(RSA), "a b")):
        with pytest.raises(SettingsError):
            Dkim(key, selector, "weft.local")
