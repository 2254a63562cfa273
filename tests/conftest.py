"""Fixtures for every test: real servers for a session, and a database of its own for each test."""

import gc
import os
import secrets
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import psycopg
import pytest
import pytest_asyncio  # noqa: F401  (its fixtures are asked for by name)
from hypothesis import HealthCheck, settings

import contract
from chassis.clock import FixedClock
from chassis.storage import database, migrations
from deploy.local.state.certificates import Certificates
from services.user.passwords import passwords
from tests import forks, servers
from tests.harness import Harness, Issuer, package

# Each process of a run compiles hundreds of modules otherwise: a sixth of the CPU of a run.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# A child between fork and exec is none of gRPC's, which would write into its log what it finds closed there.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
# A busy machine is not a fault: no example has a time limit of its own.
settings.register_profile("weft", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("weft")
pytest_plugins = [
    "tests.mesh",
    "tests.plugins.reasons",
    "tests.plugins.logged",
    "tests.plugins.schedule",
    "tests.blocking",
]


def pytest_collection_finish() -> None:
    """Collect garbage as a service's process does: not what lives as long as the run, and less often (a sixth of the CPU)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """A folder that the database's unprivileged user can enter, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="weft-test-", dir=servers.data_place()))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords() -> None:
    """Hashes in this process cost a hundredth: a fifth of the suite's time otherwise. The mesh's processes have the real cost."""
    passwords.MEMORY_KIB, passwords.PASSES = 64, 1


@pytest.fixture(scope="session", autouse=True)
def names_of_examples() -> Iterator[None]:
    """Names that RFC 6761 reserves for examples resolve to nothing at once: a name server may take seconds to say so."""
    asked = socket.getaddrinfo

    def answer(host: Any, *args: Any, **more: Any) -> Any:
        if isinstance(host, str) and host.rstrip(".").endswith((".example", ".invalid")):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return asked(host, *args, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", answer)
        yield


@pytest.fixture(scope="session")
def postgres_url(folder: Path) -> Iterator[str]:
    """A PostgreSQL server of this session."""
    with servers.postgres(folder / "postgres") as url:
        yield url


@pytest.fixture(scope="session")
def valkey_url(folder: Path) -> Iterator[str]:
    """A Valkey server of this session."""
    with servers.valkey_server(folder / "valkey") as url:
        yield url


@pytest.fixture(scope="session")
def commands(folder: Path) -> Iterator[forks.Host]:
    """Runs commands of services as processes."""
    with forks.host(folder) as host:
        yield host


@pytest.fixture(scope="session")
def certificates(folder: Path) -> Certificates:
    """Certificates of every service, of the chassis's probe, of the edge and of `internal`."""
    path = folder / "certs"
    path.mkdir()
    made = Certificates(path, sorted({name.split(".")[1] for name in contract.load().packages} | {"probe"}))
    made.ensure()
    return made


@pytest.fixture(scope="session")
def issuer() -> Issuer:
    """Signs access tokens that the harness's services accept."""
    return Issuer()


@pytest.fixture(scope="session")
def template(postgres_url: str) -> Callable[[str], str]:
    """Migrates a service's database once in a session; the name of the template to clone."""
    made: dict[str, str] = {}

    def migrated(service: str) -> str:
        if service not in made:
            prefix = f"template_{secrets.token_hex(3)}"
            url = database.of_service(postgres_url, prefix, service)
            module = import_module(f"{package(service)}.tables")
            folder = Path(str(module.__file__)).parent / "migrations"
            migrations.migrate(url, folder, module.metadata)
            made[service] = f"{prefix}_{service}"
        return made[service]

    return migrated


@pytest.fixture(scope="session")
def dropping(postgres_url: str) -> Iterator[Callable[[list[str]], None]]:
    """Drops databases while the next tests run: the server waits up to three seconds for a connection that was given up."""

    def drop(names: list[str]) -> None:
        with psycopg.connect(postgres_url, dbname="postgres", autocommit=True) as connection:
            for name in names:
                connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    pool = ThreadPoolExecutor(1)

    def later(names: list[str]) -> None:
        pool.submit(drop, names)

    yield later
    pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="session")
def cloning(
    postgres_url: str, template: Callable[[str], str], dropping: Callable[[list[str]], None]
) -> Callable[[], AbstractContextManager[Callable[[str], str]]]:
    """`with cloning() as clone:` gives databases away that are dropped at its end; see `service_database`."""

    @contextmanager
    def cloned() -> Iterator[Callable[[str], str]]:
        names: list[str] = []

        def clone(service: str) -> str:
            prefix = f"t{secrets.token_hex(4)}"
            with psycopg.connect(postgres_url, dbname="postgres", autocommit=True) as connection:
                connection.execute(
                    f"CREATE DATABASE {prefix}_{service} TEMPLATE {template(service)} STRATEGY FILE_COPY"
                )
            names.append(f"{prefix}_{service}")
            return prefix

        yield clone
        dropping(names)

    return cloned


@pytest.fixture
def service_database(
    cloning: Callable[[], AbstractContextManager[Callable[[str], str]]],
) -> Iterator[Callable[[str], str]]:
    """`service_database("order")` clones the migrated template; the prefix for `WEFT_DATABASE_PREFIX`."""
    with cloning() as clone:
        yield clone


@pytest.fixture
def clock() -> FixedClock:
    """Stands at the present second until it is advanced."""
    return FixedClock(datetime.now(UTC).replace(microsecond=0))


@pytest.fixture
def harness(
    postgres_url: str,
    valkey_url: str,
    certificates: Certificates,
    issuer: Issuer,
    service_database: Callable[[str], str],
) -> Harness:
    """Starts a service of ours on a real socket, with the whole chain."""
    return Harness(postgres_url, valkey_url, certificates, issuer, service_database)
