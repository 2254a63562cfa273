"""The peers' engine and sessions: asyncpg, a pool of the right size, prepared statements (the dialect's default)."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from bench.peers.models import Base, Product, User
from bench.peers.settings import Settings

Sessions = async_sessionmaker[AsyncSession]


def connect(settings: Settings) -> tuple[AsyncEngine, Sessions, Sessions]:
    """The engine, sessions that write, and sessions that read in autocommit, which spares two round trips each."""
    engine = create_async_engine(settings.database_url, pool_size=settings.pool_size, max_overflow=0)
    writes = async_sessionmaker(engine, expire_on_commit=False)
    reads = async_sessionmaker(engine.execution_options(isolation_level="AUTOCOMMIT"), expire_on_commit=False)
    return engine, writes, reads


async def prepare(url: str, products: Sequence[dict[str, object]], users: Sequence[dict[str, object]]) -> None:
    """Creates the tables and puts the catalogue and the customers in: rows as keywords of `Product` and `User`."""
    engine = create_async_engine(url)
    now = datetime.now(UTC)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
        await connection.execute(insert(Product), list(products))
        await connection.execute(insert(User), [{"create_time": now, "update_time": now, **user} for user in users])
    await engine.dispose()


def prepare_now(url: str, products: Sequence[dict[str, object]], users: Sequence[dict[str, object]]) -> None:
    """`prepare`, outside a running loop."""
    asyncio.run(prepare(url, products, users))
