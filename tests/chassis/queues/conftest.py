"""The database of the queue's tests."""

from collections.abc import AsyncIterator

import psycopg
import pytest
from sqlalchemy import create_engine

from chassis.storage.database import Database
from chassis.telemetry.tracing import Tracer
from tests.chassis.queues.jobs import METADATA


@pytest.fixture
async def database(postgres_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    name = f"work_{abs(hash(request.node.name)) % 10**8}"
    with psycopg.connect(postgres_url, dbname="postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url = psycopg.conninfo.make_conninfo(postgres_url, dbname=name)
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url))
    METADATA.create_all(engine)
    engine.dispose()
    opened = Database(url, 4, Tracer(None, 0))
    await opened.open()
    yield opened
    await opened.close()
