"""Where webhooks may go: at registration in every spelling, and at each connection whatever the name resolves to then."""

import socket

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from weft.api.v1 import mode_pb2

from chassis.app import App
from chassis.settings import SettingsError
from chassis.storage.database import Query
from services.notification.__main__ import build
from services.notification.channels.webhook import sender
from services.notification.channels.webhook.addresses import Guard, is_public
from services.notification.channels.webhook.targets import TargetRefused, Targets
from tests.harness import assert_refused
from tests.notification import sample_events as events
from tests.notification.conftest import Service
from tests.notification.webhooks.conftest import Serve
from tests.notification.webhooks.receiver import Partner, Receiver, outcomes

PUBLIC = "93.184.215.14"


class Zone(AbstractResolver):
    """The names of the test: each with its answers one after the other, the last one for ever."""

    def __init__(self, **names: list[str]) -> None:
        self.names = {name.replace("_", "."): list(answers) for name, answers in names.items()}
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int = 0, family=socket.AF_INET) -> list[ResolveResult]:
        self.asked.append(host)
        answers = self.names.get(host.rstrip("."), [])
        if not answers:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        addresses = (answers.pop(0) if len(answers) > 1 else answers[0]).split()
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0, flags=0,
            )
            for address in addresses
        ]  # fmt: skip

    async def close(self) -> None:
        pass

    async def build(self, app: App) -> None:
        await build(app, names=self)


REFUSED = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.8.8.8",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:93.184.215.14",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::5db8:d70e",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:c0a8:101::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "localhost",
    "1.2.3",
    "::ffff:0:127.0.0.1",
]


@pytest.mark.parametrize("address", REFUSED)
def test_what_is_not_on_the_public_internet_is_refused(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", [PUBLIC, "1.1.1.1", "2606:4700:4700::1111", "2a00:1450:4001:82a::200e"])
def test_what_is_public_is_allowed(address: str) -> None:
    assert is_public(address)


SPELLINGS = [
    "127.0.0.1", "127.0.0.1.", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001",
    "１２７.０.０.１", "127。0。0。1", "127.0.0.1%2e", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::127.0.0.1]",
    "[2002:7f00:1::]", "[fe80::1%25eth0]", "[::]", "0", "0.0.0.0", "169.254.169.254", "100.64.0.1", "256.256.256.256", "1.2.3.4.5",
    "private.example", "PRIVATE.example.", "mixed.example", "mapped.example", "ｐrivate.example",
]  # fmt: skip


@pytest.mark.parametrize("text", [
    "", "https://", "https:///hook", "//shop.example/hook", "shop.example", "ftp://shop.example/", "file:///etc/passwd",
    "gopher://shop.example:70/", "https://user@shop.example/", "https://user:word@shop.example/", "https://@shop.example/",
    "https://shop.example\\@127.0.0.1/", "https://shop.example/#part", "https://shop.example/#", "https://shop.example:0/",
    "https://shop.example:99999/", "https://shop.example:x/", "https://shop.example/a b", "https://shop.example/\r\nx: y",
    "https://[::1", "https://" + "a" * 64 + ".example/", "https://" + "a." * 200 + "example/", "javascript:alert(1)", "https://.", "https://a..b/", "HTTPS://[v1.a]/",
])  # fmt: skip
async def test_what_is_no_address_is_refused(text: str) -> None:
    targets = Targets(Guard(), Zone(shop_example=[PUBLIC]))
    with pytest.raises(TargetRefused):
        await targets.accept(text, "TEST")


async def test_every_spelling_of_a_private_address_is_refused_at_registration(serve: Serve) -> None:
    zone = Zone(
        private_example=["10.0.0.1"], mixed_example=[f"{PUBLIC} 127.0.0.1"], mapped_example=["::ffff:127.0.0.1"],
        shop_example=[PUBLIC], **{"xn--bcher-kva.example": [PUBLIC]},
    )  # fmt: skip
    async with serve(build=zone.build, webhook_allowed=[]) as service:
        partner = Partner(service.harness, service.running)
        for host in SPELLINGS:
            await assert_refused(
                partner.create(f"https://{host}/hook"), "REQUEST_INVALID", violations={"url": "must be"}
            )
        endpoint = await partner.create("https://Shop.example:8443/Hook?a=1")
        assert endpoint.url == "https://shop.example:8443/Hook?a=1"
        assert (await partner.create("https://bücher.example/")).url == "https://xn--bcher-kva.example/"
        await partner.create("http://shop.example/")
        call = partner.update(endpoint.endpoint_id, url="https://private.example/")
        await assert_refused(call, "REQUEST_INVALID", violations={"endpoint.url": "must be an address on the public"})
        live = Partner(service.harness, service.running, mode="LIVE")
        call = live.create("http://shop.example/")
        await assert_refused(call, "REQUEST_INVALID", violations={"url": "must begin with https://"})


@pytest.mark.parametrize("private", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "127.0.0.1 ::1"])
async def test_a_name_that_is_bound_again_is_refused_at_the_connection(
    serve: Serve, hooks: Receiver, private: str
) -> None:
    """Public when it is registered, private when it is connected to: refused, counted, and told to the partner."""
    zone = Zone(rebinding_example=[PUBLIC, private])
    async with serve(build=zone.build, webhook_allowed=[], webhook_time_scale=1.0) as service:
        partner = Partner(service.harness, service.running)
        endpoint = await partner.create(f"http://rebinding.example:{hooks.port}/hook")
        before = sender.REFUSED._value.get()
        await service.publish(events.placed("usr_1", partner_id=partner.partner_id, mode=mode_pb2.MODE_TEST))
        delivery = await partner.attempted(endpoint.endpoint_id)
        assert outcomes(delivery) == [(0, "ADDRESS_REFUSED")]
        assert sender.REFUSED._value.get() > before
        assert zone.asked == ["rebinding.example"] * 2
        assert hooks.got == []


async def test_an_address_is_checked_where_the_socket_is_made(sending: Service, hooks: Receiver) -> None:
    """Also one that was stored when it was allowed: the literal needs no resolver."""
    partner = Partner(sending.harness, sending.running)
    endpoint = await partner.create(hooks.url())
    other = hooks.port + 1 if hooks.port < 65535 else hooks.port - 1
    move = Query("UPDATE webhook_endpoints SET url = %(url)s")
    await sending.app.database.run(move, url=f"http://127.0.0.1:{other}/hook")
    await sending.publish(events.placed("usr_1", partner_id=partner.partner_id, mode=mode_pb2.MODE_TEST))
    assert outcomes(await partner.attempted(endpoint.endpoint_id))[0] == (0, "ADDRESS_REFUSED")


async def test_names_and_certificates_that_fail_are_told_apart(serve: Serve, hooks: Receiver) -> None:
    zone = Zone(plain_example=["127.0.0.1"])
    async with serve(build=zone.build) as service:
        partner = Partner(service.harness, service.running)
        await service.publish(events.placed("usr_1"))
        for url, failure in (
            ("http://missing.example/", "NAME"),
            (f"https://plain.example:{hooks.port}/", "TLS"),
            (f"http://plain.example:{hooks.port}/", "UNSPECIFIED"),
        ):
            endpoint = await partner.create(url)
            await service.publish(events.placed("usr_1", partner_id=partner.partner_id, mode=mode_pb2.MODE_TEST))
            assert outcomes(await partner.attempted(endpoint.endpoint_id))[0][1] == failure
        assert hooks.got


@pytest.mark.parametrize("wrong", ["localhost:80", "127.0.0.1:99999", "10.0.0.1/8", "", "127.0.0.1:"])
def test_a_wrong_exception_is_named(wrong: str) -> None:
    with pytest.raises(SettingsError, match="WEFT_WEBHOOK_ALLOWED"):
        Guard([wrong])


def test_an_exception_holds_for_its_port() -> None:
    guard = Guard(["127.0.0.1:8080", "10.1.0.0/16", "[::1]:8080"])
    assert [
        guard.allows(address, port)
        for address, port in (("127.0.0.1", 8080), ("127.0.0.1", 8081), ("10.1.9.9", 5), ("10.2.0.1", 5), ("::1", 8080), ("::1", 1))
    ] == [True, False, True, False, True, False]  # fmt: skip
