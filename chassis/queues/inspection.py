"""The queues of a service as operators see them: their jobs, which of them are dead, and what becomes of those.

All queues of the service's tables are there, whether or not this process works on them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, TypeVar

from sqlalchemy import MetaData

from chassis.clock import Clock
from chassis.errors import NotFound
from chassis.storage.database import Database, Query, Row
from chassis.telemetry.logs import logger

log = logger("queues")
Found = TypeVar("Found")
MAX_JOBS = 1000
"""That one call replays or discards."""

_COUNT = """
SELECT '{name}' AS queue, (SELECT count(*) FROM {name} WHERE state = 'ready') AS ready,
  (SELECT count(*) FROM {name} WHERE state = 'dead') AS dead,
  (SELECT min(due) FROM {name} WHERE state = 'ready' AND due <= {now}) AS oldest,
  p.paused_at, COALESCE(p.reason, '') AS reason
FROM (SELECT) one LEFT JOIN paused_queues p ON p.queue = '{name}'
"""
_COUNT_LANES = """
SELECT '{name}' AS queue, (SELECT count(*) FROM {name} WHERE due < 'infinity') AS ready, 0 AS dead,
  (SELECT min(due) FROM {name} WHERE due <= {now}) AS oldest, p.paused_at, COALESCE(p.reason, '') AS reason
FROM (SELECT) one LEFT JOIN paused_queues p ON p.queue = '{name}'
"""
_LIST = """
SELECT id, kind, COALESCE(key, '') AS key, state, greatest(attempts - excused, 0) AS attempts, error, created_at, due,
  finished_at, payload FROM {name}
WHERE state = '{state}' AND id > %(after)s AND (%(kind)s = '' OR kind = %(kind)s)
  AND (%(error)s = '' OR strpos(error, %(error)s) > 0)
ORDER BY id LIMIT %(limit)s
"""
_MATCH = """
SELECT id FROM {name} WHERE state = 'dead' AND (%(ids)s::bigint[] = '{{}}' OR id = ANY(%(ids)s))
  AND (%(kind)s = '' OR kind = %(kind)s) AND (%(error)s = '' OR strpos(error, %(error)s) > 0)
  AND finished_at >= COALESCE(%(after)s::timestamptz, '-infinity') AND finished_at < COALESCE(%(before)s::timestamptz, 'infinity')
ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
"""
_REPLAY = """
UPDATE {name} SET state = 'ready', excused = attempts, overruns = 0, due = {now}, leased_until = NULL, finished_at = NULL
WHERE id IN ({match}) AND state = 'dead'
"""
_PAUSE = Query(
    "INSERT INTO paused_queues (queue, reason, paused_at) VALUES (%(queue)s, %(reason)s, %(now)s) "
    "ON CONFLICT (queue) DO UPDATE SET reason = excluded.reason",
    name="pause queue",
)
_RESUME = Query("DELETE FROM paused_queues WHERE queue = %(queue)s", name="resume queue")
STATES = ("ready", "done", "dead")


@dataclass(frozen=True)
class Filter:
    """Dead jobs that match everything that is set."""

    ids: Sequence[int] = ()
    kind: str = ""
    error: str = ""
    after: datetime | None = None
    before: datetime | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it matches every dead job."""
        return self == Filter()


class QueueNotFound(NotFound):
    """There is no queue {queue}; there are {queues}."""


class _Statements(NamedTuple):
    list: dict[str, Query]
    replay: Query
    discard: Query


class Inspection:
    """Every queue of `metadata`, which has the table of paused queues; and lanes, which have no jobs but can be paused."""

    def __init__(self, database: Database, metadata: MetaData, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        queues = sorted(table.name for table in metadata.sorted_tables if table.info.get("queue"))
        lanes = sorted(table.name for table in metadata.sorted_tables if table.info.get("lanes"))
        self._with_jobs = {name: _statements(name, clock.sql) for name in queues}
        counts = dict.fromkeys(queues, _COUNT) | dict.fromkeys(lanes, _COUNT_LANES)
        self._states = {
            name: Query(counts[name].format(name=name, now=clock.sql), name=f"inspect {name}")
            for name in sorted(counts)
        }

    async def queues(self) -> list[Row]:
        """Name, jobs that are ready and dead, the oldest due time, and since when and why it is paused."""
        return [await self.queue(name) for name in self._states]

    async def queue(self, name: str) -> Row:
        """The same of one queue. Raises `QueueNotFound` where there is none of this name, as all methods do."""
        return await self._database.one(self._find(name, self._states), now=self._clock.now())

    async def jobs(self, name: str, state: str, *, kind: str, error: str, after: int, limit: int) -> Sequence[Row]:
        """Up to `limit` jobs after one, the oldest first."""
        query = self._find(name, self._with_jobs).list[state]
        return await self._database.all(query, kind=kind, error=error, after=after, limit=limit)

    async def replay(self, name: str, which: Filter, by: str) -> int:
        """Make up to `MAX_JOBS` dead jobs ready, with all attempts before them; returns how many."""
        found = self._find(name, self._with_jobs)
        count = await self._database.run(found.replay, **_values(which), now=self._clock.now())
        await self._notify(name)
        log.info("jobs_replayed", queue=name, jobs=count, by=by)
        return count

    async def discard(self, name: str, which: Filter, by: str) -> int:
        """Delete up to `MAX_JOBS` dead jobs; returns how many."""
        count = await self._database.run(self._find(name, self._with_jobs).discard, **_values(which))
        log.info("jobs_discarded", queue=name, jobs=count, by=by)
        return count

    async def pause(self, name: str, reason: str, by: str) -> None:
        """Lease no more jobs, in any replica; those of the release before go on."""
        self._find(name, self._states)
        await self._database.run(_PAUSE, queue=name, reason=reason, now=self._clock.now())
        log.info("queue_paused", queue=name, by=by)

    async def resume(self, name: str, by: str) -> None:
        """Lease jobs again."""
        self._find(name, self._states)
        await self._database.run(_RESUME, queue=name)
        await self._notify(name)
        log.info("queue_resumed", queue=name, by=by)

    async def _notify(self, name: str) -> None:
        await self._database.run(Query(f"NOTIFY {name}", name=f"notify {name}"))

    def _find(self, name: str, among: Mapping[str, Found]) -> Found:
        if name not in among:
            raise QueueNotFound(queue=name, queues=", ".join(among))
        return among[name]


def _statements(name: str, now: str) -> _Statements:
    match = _MATCH.format(name=name)
    return _Statements(
        list={state: Query(_LIST.format(name=name, state=state), name=f"list {name}") for state in STATES},
        replay=Query(_REPLAY.format(name=name, now=now, match=match), name=f"replay dead {name}"),
        discard=Query(f"DELETE FROM {name} WHERE id IN ({match}) AND state = 'dead'", name=f"discard {name}"),  # noqa: S608 - our own table
    )


def _values(which: Filter) -> dict[str, object]:
    return {
        "ids": list(which.ids),
        "kind": which.kind,
        "error": which.error,
        "after": which.after,
        "before": which.before,
        "limit": MAX_JOBS,
    }
