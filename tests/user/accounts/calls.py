"""Calls of a sign-up, as tests make them."""

import secrets

from tests.user.world import World


def elsewhere() -> str:
    """An address in a neighbourhood that no other test has."""
    return f"2001:{secrets.token_hex(2)}:{secrets.token_hex(2)}::9"


async def touches(world: World) -> dict[str, int]:
    """How often each table was read or written to, by the one connection; without what a process looks at by itself."""
    await world.rows("SELECT pg_stat_force_next_flush()")
    rows = await world.rows(
        "SELECT relname, coalesce(seq_scan, 0) + coalesce(idx_scan, 0) + n_tup_ins + n_tup_upd + n_tup_del AS count "
        "FROM pg_stat_user_tables WHERE relname NOT IN ('revocations', 'alembic_version')"
    )
    return {row.relname: row.count for row in rows}


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**8:08}"
