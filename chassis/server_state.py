"""What the database server says of itself: how old its transactions are, how far its standbys are behind, and what time it is."""

from prometheus_client import Gauge

from chassis.clock import Clock
from chassis.storage.database import Database, Query

INTERVAL_S = 10.0
TRANSACTION = Gauge(
    "weft_database_oldest_transaction_seconds",
    "Age of the oldest open transaction that the role of the service may see.",
)
REPLICATION = Gauge(
    "weft_database_replication_behind_bytes", "Log that the slowest replication slot has not taken; 0 without slots."
)
OFFSET = Gauge("weft_clock_offset_seconds", "How far the process's clock is ahead of the database's.")

# Of other roles' transactions nobody but `pg_read_all_stats` sees the age; slots are everybody's to see.
_STATE = Query(
    """
    SELECT clock_timestamp() AS now,
      (SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend') AS oldest,
      CASE WHEN pg_is_in_recovery() THEN 0 ELSE
        (SELECT coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)), 0) FROM pg_replication_slots) END AS behind
    """,
    name="server state",
)


class ServerState:
    """Measures the server of a service's database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def measure(self) -> None:
        """Set the gauges of the oldest transaction, the replication lag and the clock offset."""
        row = await self._database.one(_STATE)
        TRANSACTION.set(float(row.oldest))
        REPLICATION.set(float(row.behind))
        OFFSET.set((self._clock.now() - row.now).total_seconds())
