"""The statements of a queue (`queue.py`). `{now}` is the database's clock, or a test's."""

from typing import NamedTuple

from chassis.storage.database import Query

_INSERT = """
INSERT INTO {name} (kind, key, payload, traceparent, due, created_at) VALUES
(%(kind)s, %(key)s, %(payload)s, %(traceparent)s, COALESCE(%(due)s::timestamptz, {now}), {now}) ON CONFLICT (key) DO NOTHING
"""

# As an array, of which the planner expects ten. It does not know the limit: of the rows it expects a tenth of all that are ready, and reads
# the whole table where many are.
_LEASE = """
UPDATE {name} j SET leased_until = {now} + make_interval(secs => %(seconds)s), attempts = attempts + 1 WHERE j.id = ANY(ARRAY(
  SELECT id FROM {name} WHERE state = 'ready' AND due <= {now} AND {which}{paused}
  ORDER BY due LIMIT %(limit)s FOR UPDATE SKIP LOCKED
))
RETURNING j.id, j.kind, j.key, j.payload, j.traceparent, j.attempts AS lease, j.excused, j.overruns
"""
_IS_NOT_PAUSED = " AND NOT EXISTS (SELECT FROM paused_queues WHERE queue = '{name}')"
_IS_NOT_SUSPECT = "leased_until IS NULL AND overruns = 0"
_IS_SUSPECT = "(leased_until < {now} OR (leased_until IS NULL AND overruns > 0))"

_FINISH = """
UPDATE {name} j SET
  state = r.state, error = r.error, payload = CASE WHEN r.state = 'done' THEN '' ELSE j.payload END, excused = j.excused + r.excused, leased_until = NULL,
  due = CASE WHEN r.state = 'ready' THEN {now} + make_interval(secs => r.wait) ELSE j.due END,
  finished_at = CASE WHEN r.state = 'ready' THEN NULL ELSE {now} END
FROM unnest(
  %(ids)s::bigint[], %(leases)s::int[], %(states)s::text[], %(errors)s::text[], %(waits)s::float8[], %(excused)s::int[]
) AS r(id, lease, state, error, wait, excused)
WHERE j.id = r.id AND j.attempts = r.lease AND j.state = 'ready'
"""

_FORGET = """
DELETE FROM {name} j USING unnest(%(ids)s::bigint[], %(leases)s::int[]) AS r(id, lease)
WHERE j.id = r.id AND j.attempts = r.lease AND j.state = 'ready'
"""


def deleting(name: str, done: str) -> str:
    """SQL that deletes jobs that are done, for a statement that stores their results: `done` has their `key` and `lease`."""
    return f"DELETE FROM {name} j USING {done} WHERE j.key = done.key AND j.attempts = done.lease AND j.state = 'ready'"  # noqa: S608


_RELEASE = """
UPDATE {name} j SET leased_until = NULL, excused = j.excused + 1
FROM unnest(%(ids)s::bigint[], %(leases)s::int[]) AS r(id, lease)
WHERE j.id = r.id AND j.attempts = r.lease AND j.state = 'ready' AND j.leased_until IS NOT NULL
"""

_REPLAY = """
UPDATE {name} SET state = 'ready', excused = attempts, overruns = 0, due = {now}, leased_until = NULL, finished_at = NULL
WHERE id = ANY(%(ids)s) AND state = 'dead'
"""


class Statements(NamedTuple):
    insert: Query
    lease: Query
    lease_suspect: Query
    finish: Query
    forget: Query
    overran: Query
    release: Query
    replay: Query
    measure: Query


def of(name: str, now: str, *, pausable: bool) -> Statements:
    """The statements of the table `name`, with `now` as the current time. `pausable`: there is a table of paused queues."""
    paused = _IS_NOT_PAUSED.format(name=name) if pausable else ""

    def query(verb: str, sql: str, which: str = "") -> Query:
        return Query(sql.format(name=name, now=now, which=which.format(now=now), paused=paused), name=f"{verb} {name}")

    return Statements(
        insert=query("put", _INSERT),
        lease=query("lease", _LEASE, _IS_NOT_SUSPECT),
        lease_suspect=query("lease suspect", _LEASE, _IS_SUSPECT),
        finish=query("finish", _FINISH),
        forget=query("forget", _FORGET),
        overran=query(
            "overran", "UPDATE {name} SET overruns = overruns + 1 WHERE id = ANY(%(ids)s) AND state = 'ready'"
        ),
        release=query("release", _RELEASE),
        replay=query("replay", _REPLAY),
        measure=query(
            "count",
            "SELECT count(*) AS ready, COALESCE(EXTRACT(EPOCH FROM {now} - min(due)), 0) AS lag "
            "FROM {name} WHERE state = 'ready'",
        ),
    )
