"""The e-mail channel against a real SMTP server."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from chassis.settings import SettingsError
from services.notification.channels.email.message import AddressUnusable, Sender, compose
from services.notification.channels.email.smtp import Mailer, Server, parse_smtp_url, redact
from services.notification.channels.outcome import Outcome
from services.notification.templates.rendering import EmailContent
from tests.notification.smtp import HANG_UP, receiving, until

CONTENT = EmailContent("A subject with ü", "Hello Ann,\n\n.a line with a dot\n", "<p>Hello Ann,</p>", "en")
SENDER = Sender.of("Weft <no-reply@weft.local>")
WHEN = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def mail(delivery_id="dlv_1", address="ann@example.com", name="Ann"):
    return compose(CONTENT, sender=SENDER, address=address, name=name, delivery_id=delivery_id, create_time=WHEN)


def mailer(receiver, **options):
    starttls = options.pop("starttls", "offered")
    login = options.pop("login", "")
    return Mailer(parse_smtp_url(f"smtp://{login}127.0.0.1:{receiver.port}?starttls={starttls}"), **options)


async def test_a_mail_arrives_whole():
    async with receiving() as receiver:
        response = await mailer(receiver).send(mail())
        assert (response.outcome, response.code, response.text, response.provider_available) == (
            Outcome.ACCEPTED,
            250,
            "accepted",
            True,
        )
        assert receiver.envelopes == [("no-reply@weft.local", ["ann@example.com"])]
        got = receiver.mails[0]
        assert {name: got[name] for name in ("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted")} == {
            "From": "Weft <no-reply@weft.local>",
            "To": "Ann <ann@example.com>",
            "Subject": "A subject with ü",
            "Date": "Tue, 24 Nov 2026 12:00:00 +0000",
            "Message-ID": "<dlv_1@weft.local>",
            "Auto-Submitted": "auto-generated",
        }
        assert got["Content-Language"] == "en"
        assert receiver.text() == "Hello Ann,\n\n.a line with a dot\n"
        assert got.get_body(("html",)).get_content().strip() == "<p>Hello Ann,</p>"


async def test_a_connection_is_reused_and_closed_with_quit():
    async with receiving() as receiver:
        sending = mailer(receiver)
        for number in range(5):
            assert (await sending.send(mail(f"dlv_{number}"))).outcome is Outcome.ACCEPTED
        assert len(receiver.connections) == 1
        await sending.close()
        await until(lambda: receiver.closed == 1)


async def test_mails_share_a_bounded_number_of_connections():
    async with receiving() as receiver:
        sending = mailer(receiver, connections=3)
        responses = await asyncio.gather(*(sending.send(mail(f"dlv_{n}")) for n in range(12)))
        assert {response.outcome for response in responses} == {Outcome.ACCEPTED}
        assert sorted(receiver.ids) == sorted(f"<dlv_{n}@weft.local>" for n in range(12))
        assert len(receiver.connections) <= 3
        await sending.close()


@pytest.mark.parametrize("waits_for", [b"DATA\r\n", b"MAIL FROM:<no-reply@weft.local>\r\n"])
async def test_the_envelope_is_one_write_where_the_server_offers_it(waits_for):
    """A server that answers nothing before it has seen the last command of a group; with a reply of several lines."""
    seen = []

    async def serve(reader, writer):
        offered = b"PIPELINING" if waits_for.startswith(b"DATA") else b"HELP"
        writer.write(b"220 mail.test\r\n")
        await reader.readline()
        writer.write(b"250-mail.test\r\n250 " + offered + b"\r\n")
        seen.append(await reader.readuntil(waits_for))
        if waits_for.startswith(b"DATA"):
            writer.write(b"250 a\r\n250-b\r\n250 b\r\n354 c\r\n")
        else:
            writer.write(b"250 a\r\n")
            seen.append(await reader.readline())
            writer.write(b"251-b\r\n251 b\r\n")
            seen.append(await reader.readline())
            writer.write(b"354 c\r\n")
        await reader.readuntil(b"\r\n.\r\n")
        writer.write(b"250-2.0.0\r\n250 kept\r\n")
        await writer.drain()
        writer.write(b"421 idle for too long\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    sending = Mailer(parse_smtp_url(f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"), timeout=5)
    for _ in range(2):  # on a new connection, as the first one was closed
        got = await sending.send(mail())
        assert (got.outcome, got.text) == (Outcome.ACCEPTED, "2.0.0 kept")
    assert b"".join(seen) == b"MAIL FROM:<no-reply@weft.local>\r\nRCPT TO:<ann@example.com>\r\nDATA\r\n" * 2
    await sending.close()
    server.close()


async def test_a_server_that_closed_idle_connections_is_connected_to_again_without_losing_an_attempt():
    async with receiving() as receiver:
        sending = mailer(receiver)
        await sending.send(mail("dlv_1"))
        receiver.hang_up()
        await until(lambda: receiver.closed == 1)
        assert (await sending.send(mail("dlv_2"))).outcome is Outcome.ACCEPTED
        assert receiver.ids == ["<dlv_1@weft.local>", "<dlv_2@weft.local>"]
        await sending.close()


@pytest.mark.parametrize(
    ("response", "outcome", "code", "text", "available"),
    [
        ("450 4.2.1 mailbox busy", Outcome.DEFERRED, 450, "4.2.1 mailbox busy", True),
        ("550 5.1.1 <ann@example.com> unknown", Outcome.UNREACHABLE, 550, "5.1.1 <…> unknown", True),
        ("421 4.3.0 closing", Outcome.DEFERRED, 421, "4.3.0 closing", False),
        ("530 5.7.0 authenticate first", Outcome.DEFERRED, 530, "5.7.0 authenticate first", False),
    ],
)
@pytest.mark.parametrize("pipelining", [True, False])
async def test_the_response_to_the_recipient_decides(response, outcome, code, text, available, pipelining):
    async with receiving() as receiver:
        receiver.recipient_responses, receiver.pipelining = [response], pipelining
        sending = mailer(receiver)
        got = await sending.send(mail())
        assert (got.outcome, got.code, got.text, got.provider_available) == (outcome, code, text, available)
        assert receiver.mails == []
        assert (await sending.send(mail())).outcome is Outcome.ACCEPTED
        await sending.close()


@pytest.mark.parametrize(
    ("response", "outcome", "code", "available"),
    [
        ("451 4.3.2 later", Outcome.DEFERRED, 451, True),
        ("554 5.6.0 not this", Outcome.REFUSED, 554, True),
        (HANG_UP, Outcome.LOST, 0, False),
    ],
)
async def test_the_response_to_the_content_decides(response, outcome, code, available):
    async with receiving() as receiver:
        receiver.data_responses = [response]
        got = await mailer(receiver).send(mail())
        assert (got.outcome, got.code, got.provider_available) == (outcome, code, available)


@pytest.mark.parametrize("stage", ["recipient_responses", "data_responses"])
async def test_a_response_in_broken_bytes_is_stored_as_text(stage):
    async with receiving() as receiver:
        getattr(receiver, stage).append(b"550 gr\xfc\xdfe \x00\x1b[2J an ann@example.com " + b"x" * 400)
        sending = mailer(receiver)
        got = await sending.send(mail())
        assert (got.outcome, got.code) == (Outcome.REFUSED, 550)
        assert got.text.startswith("gr\ufffd\ufffde [2J an <…> xxx")
        assert len(got.text) == 200
        await sending.close()


async def test_no_response_to_the_content_leaves_open_whether_it_was_sent():
    async with receiving() as receiver:
        receiver.stalled = asyncio.Event()
        got = await mailer(receiver, timeout=1.0).send(mail())
        assert (got.outcome, got.text, got.provider_available) == (Outcome.LOST, "TimeoutError while data", False)
        receiver.stalled.set()


async def test_a_server_that_is_not_there_certainly_did_not_send():
    async with receiving() as receiver:
        sending = mailer(receiver)
    got = await sending.send(mail())
    assert (got.outcome, got.code, got.provider_available) == (Outcome.DEFERRED, 0, False)


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # that is what is tested
async def test_a_login_is_used_and_a_wrong_one_is_not_the_mails_fault():
    async with receiving(login=True) as receiver:
        sending = mailer(receiver, login="weft:correct%20horse@")
        assert (await sending.send(mail())).outcome is Outcome.ACCEPTED
        assert receiver.users == ["weft"]
        await sending.close()
        got = await mailer(receiver, login="weft:wrong@").send(mail())
        assert (got.outcome, got.code, got.provider_available) == (Outcome.DEFERRED, 535, False)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Contexts of a server and of a client that trusts it."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    pem.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return server, ssl.create_default_context(cafile=pem)


@pytest.mark.parametrize(("starttls", "secure"), [("offered", True), ("required", True), ("off", False)])
async def test_starttls_is_used_as_the_setting_says(certificate, starttls, secure):
    async with receiving(tls=certificate[0]) as receiver:
        sending = mailer(receiver, starttls=starttls, tls=certificate[1])
        assert (await sending.send(mail())).outcome is Outcome.ACCEPTED
        assert receiver.secure == [secure]
        await sending.close()


async def test_required_starttls_is_not_done_without():
    async with receiving() as receiver:
        got = await mailer(receiver, starttls="required").send(mail())
        assert (got.outcome, got.provider_available) == (Outcome.DEFERRED, False)
        assert receiver.mails == []


async def test_a_certificate_of_an_unknown_authority_is_not_trusted(certificate):
    async with receiving(tls=certificate[0]) as receiver:
        got = await mailer(receiver).send(mail())
        assert (got.outcome, got.provider_available) == (Outcome.DEFERRED, False)
        assert receiver.mails == []


def test_a_url_is_parsed():
    assert parse_smtp_url("smtp://mail.test") == Server("mail.test", 25, None, None, False, None)
    assert parse_smtp_url("smtp://u:p%40ss@mail.test?starttls=required") == Server(
        "mail.test", 587, "u", "p@ss", False, True
    )
    assert parse_smtp_url("smtps://mail.test") == Server("mail.test", 465, None, None, True, False)
    assert "p@ss" not in repr(parse_smtp_url("smtp://u:p%40ss@mail.test"))


@pytest.mark.parametrize(
    "url", ["", "http://mail.test", "smtp://", "smtp://mail.test:99999", "smtp://h?starttls=maybe"]
)
def test_a_url_that_is_invalid_is_refused_with_the_remedy(url):
    with pytest.raises(SettingsError, match="WEFT_SMTP_URL: write smtp://"):
        parse_smtp_url(url)


@pytest.mark.parametrize(
    "address",
    ["", "nobody", "a@b\r\nBcc: c@d", "ä@example.com", "a@b@c", "kim..x@docomo.example", "a@example.com, b@c"],
)
def test_an_address_that_cannot_be_in_a_mail_is_refused(address):
    with pytest.raises(AddressUnusable):
        mail(address=address)


def test_responses_are_stored_without_addresses():
    assert (
        redact("5.1.1 <ann@example.com>:\r\n no such user ann@example.com here") == "5.1.1 <…>: no such user <…> here"
    )
    assert len(redact("x" * 500)) == 200
