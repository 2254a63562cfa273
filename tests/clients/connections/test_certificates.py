"""mTLS whose files are renewed under a running client."""

import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
import weft_internal.methods
from weft.user.v1 import user_pb2, user_service_pb2
from weft_client import AsyncWeft, Bearer, MutualTls, errors, testing
from weft_internal import InternalWeft

from deploy.local.state.certificates import Certificates
from tests.clients.wire import wire_to
from tests.servers import until


@pytest.fixture
def issued(tmp_path: Path) -> Certificates:
    """Certificates of a user service and of an order service that calls it."""
    made = Certificates(tmp_path, ["user", "order"])
    made.ensure()
    return made


def _serving(issued: Certificates) -> testing.Fakes:
    pair = (issued.key("user").read_bytes(), issued.certificate("user").read_bytes())
    credentials = grpc.ssl_server_credentials([pair], issued.ca.read_bytes(), require_client_auth=True)
    fakes = testing.Fakes(known=weft_internal.methods.BY_NAME, credentials=credentials)
    users = [user_pb2.User(user_id="usr_1")]
    fakes.reply("users.batch_get_users", user_service_pb2.BatchGetUsersResponse(users=users))
    return fakes


@pytest.fixture
def fakes(issued: Certificates) -> Iterator[testing.Fakes]:
    """The user service, as its certificate names it."""
    with _serving(issued) as served:
        yield served


def _as_order(issued: Certificates) -> MutualTls:
    return MutualTls(issued.certificate("order"), issued.key("order"), issued.ca)


@pytest_asyncio.fixture
async def weft(fakes: testing.Fakes, issued: Certificates) -> AsyncIterator[InternalWeft]:
    """The order service's client."""
    async with InternalWeft({"user": [fakes.address]}, tls=_as_order(issued)) as client:
        yield client


async def test_services_know_each_other_by_certificate(weft: InternalWeft) -> None:
    found = await weft.users.batch_get_users(user_ids=["usr_1"])
    assert [user.user_id for user in found.users] == ["usr_1"]


async def test_a_server_with_another_service_s_certificate_is_not_trusted(
    fakes: testing.Fakes, issued: Certificates
) -> None:
    async with InternalWeft({"notification": [fakes.address]}, tls=_as_order(issued)) as client:
        with pytest.raises(errors.Unavailable):
            await client.events.publish_events(events=[])
    assert fakes.calls("events.publish_events") == []


async def test_a_renewed_certificate_is_used_without_a_failed_call(weft: InternalWeft, issued: Certificates) -> None:
    await weft.users.batch_get_users(user_ids=["usr_1"])
    connection = weft._peer("user")
    first = connection._channel
    issued.renew()

    async def swapped() -> bool:
        await weft.users.batch_get_users(user_ids=["usr_1"])
        return connection._channel is not first

    await until(swapped, "the renewed certificate to be used")


async def test_after_a_change_of_authority_the_new_certificate_opens_the_door(
    issued: Certificates, fakes: testing.Fakes, tmp_path: Path
) -> None:
    others = Certificates(tmp_path / "others", ["user", "order"])
    others.folder.mkdir()
    others.ensure()
    async with wire_to(fakes.address) as wire, InternalWeft({"user": [wire.address]}, tls=_as_order(issued)) as weft:
        await weft.users.batch_get_users(user_ids=["usr_1"])
        with _serving(others) as served:
            wire.lead_to(served.address)
            with pytest.raises(errors.Unavailable):
                await weft.users.batch_get_users(user_ids=["usr_1"])
            for name in ("order.crt", "order.key", "ca.crt"):
                os.replace(_written(tmp_path / "new", (others.folder / name).read_bytes()), tmp_path / name)

            async def let_in() -> bool:
                with contextlib.suppress(errors.Unavailable):
                    await weft.users.batch_get_users(user_ids=["usr_1"])
                return bool(served.calls("users.batch_get_users"))

            await until(let_in, "the new certificate to be used")


async def test_a_certificate_without_its_key_waits_for_it(
    weft: InternalWeft, issued: Certificates, tmp_path: Path
) -> None:
    """The two files are renamed one after the other; a call in between must not fail."""
    await weft.users.batch_get_users(user_ids=["usr_1"])
    connection = weft._peer("user")
    first = connection._channel
    old_key = issued.key("order").read_bytes()
    issued.renew()
    new_key = issued.key("order").read_bytes()
    os.replace(_written(tmp_path / "old.key", old_key), issued.key("order"))
    connection.check(0.0)  # sees the change
    os.replace(_written(tmp_path / "new.key", new_key), issued.key("order"))
    connection.check(0.0)  # sees another: not settled yet
    assert connection._channel is first
    connection.check(0.0)
    assert connection._channel is not first
    await weft.users.batch_get_users(user_ids=["usr_1"])


async def test_a_missing_file_leaves_the_old_certificate_in_use(weft: InternalWeft, issued: Certificates) -> None:
    await weft.users.batch_get_users(user_ids=["usr_1"])
    issued.key("order").unlink()
    connection = weft._peer("user")
    for _ in range(3):
        connection.check(0.0)
    await weft.users.batch_get_users(user_ids=["usr_1"])


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": "user.weft.internal", "trusted": False}, "not signed by an authority that this client trusts"),
        ({"name": "other.example", "trusted": True}, "for another name"),
    ],
)
async def test_a_server_that_is_not_trusted_is_told_once_and_in_one_sentence(
    fakes: testing.Fakes, issued: Certificates, tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    (tmp_path / "strange").mkdir()
    strange = Certificates(tmp_path / "strange", [])
    strange.ensure()
    ca = issued.ca if options["trusted"] else strange.ca
    tls = MutualTls(issued.certificate("order"), issued.key("order"), ca)
    async with AsyncWeft(fakes.address, tls=tls, server_name=options["name"], auth=Bearer("test")) as weft:
        with pytest.raises(errors.UntrustedServer, match=said) as raised:
            await weft.orders.get_order(order_id="ord_1")
    assert raised.value.attempts == 1


async def test_plain_text_from_where_tls_was_expected_says_so() -> None:
    with testing.Fakes() as plain:
        async with AsyncWeft(plain.address, auth=Bearer("test")) as weft:
            with pytest.raises(errors.UntrustedServer, match="does not speak TLS"):
                await weft.orders.get_order(order_id="ord_1")
