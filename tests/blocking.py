"""Fixtures for pytest-grpc: a plain blocking client against our own server, with the whole chain, in a loop of its own.

pytest-grpc's server knows neither asyncio nor the chain; only its `grpc_addr`, `grpc_channel` and `grpc_stub` are used.
A test module sets `SERVICE = "order"` and `STUB`, the generated class; `SETTINGS` where its server needs others.
"""

import asyncio
import secrets
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import grpc
import psycopg
import pytest

from deploy.local.state.certificates import Certificates
from tests.harness import Harness, Issuer, Running
from tests.servers import free_ports


class Loop:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """The result of a coroutine that runs in the loop, waited for up to 20 seconds."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    def close(self) -> None:
        """Stop the loop and its thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    """The loop in which the server runs."""
    made = Loop()
    yield made
    made.close()


@pytest.fixture(scope="module")
def module_harness(
    request: pytest.FixtureRequest,
    postgres_url: str,
    valkey_url: str,
    certificates: Certificates,
    issuer: Issuer,
    template: Callable[[str], str],
) -> Iterator[Harness]:
    """As `harness`, for a module: pytest-grpc's fixtures live as long."""
    service, prefix = request.module.SERVICE, f"t{secrets.token_hex(4)}"
    with psycopg.connect(postgres_url, dbname="postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {prefix}_{service} TEMPLATE {template(service)} STRATEGY FILE_COPY")
        yield Harness(postgres_url, valkey_url, certificates, issuer, lambda _: prefix)
        connection.execute(f"DROP DATABASE {prefix}_{service} WITH (FORCE)")


@pytest.fixture(scope="module")
def grpc_addr() -> str:
    """A free address."""
    return f"127.0.0.1:{free_ports(1)[0]}"


@pytest.fixture(scope="module")
def grpc_server(
    request: pytest.FixtureRequest, grpc_addr: str, module_harness: Harness, loop: Loop
) -> Iterator[Running]:
    """The service of the module, serving at `grpc_addr`."""
    settings = getattr(request.module, "SETTINGS", {})
    running = module_harness.running(request.module.SERVICE, listen=grpc_addr, **settings)
    yield loop.run(running.__aenter__())
    loop.run(running.__aexit__(None, None, None))


@pytest.fixture(scope="module")
def grpc_create_channel(
    request: pytest.FixtureRequest, grpc_addr: str, grpc_server: Running, certificates: Certificates
) -> Callable[..., grpc.Channel]:
    """Makes blocking channels with the `internal` identity's certificate."""

    def create(credentials: Any = None, options: Any = None) -> grpc.Channel:
        made = grpc.ssl_channel_credentials(
            certificates.ca.read_bytes(),
            certificates.key("internal").read_bytes(),
            certificates.certificate("internal").read_bytes(),
        )
        name = ("grpc.ssl_target_name_override", f"{request.module.SERVICE}.weft.internal")
        return grpc.secure_channel(grpc_addr, made, options=[name])

    return create


@pytest.fixture(scope="module")
def grpc_stub_cls(request: pytest.FixtureRequest) -> Any:
    """The class of `grpc_stub`."""
    return request.module.STUB
