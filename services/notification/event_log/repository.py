"""Every query on the event log: written with the event, read in the order of its transactions."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import bindparam, select
from weft.api.v1.event_pb2 import Event

from chassis import times
from chassis.security import modes
from chassis.storage.database import Database, Query, Row, Transaction, arrays
from services.notification.event_log import catalogue
from services.notification.event_log.domain import LoggedEvent
from services.notification.event_log.tables import partner_events
from services.notification.ownership import OF_PARTNER, Owner, of_partner

_NAMES = ("event_id", "partner_id", "mode", "type", "subject_id", "sequence", "user_id", "data", "occur_time")
_COLUMNS = ", ".join(_NAMES)
_INSERT = Query(
    f"INSERT INTO partner_events ({_COLUMNS}, create_time) SELECT event_id, partner_id, mode, type, subject_id, sequence, "  # noqa: S608 - our columns
    # An event that comes late does not bring back whose order it was.
    "CASE WHEN subject_id <> user_id AND EXISTS (SELECT FROM erased_persons e WHERE e.user_id = r.user_id) THEN '' "
    "ELSE user_id END, data, occur_time, %(now)s FROM unnest("
    "%(event_ids)s::text[], %(partner_ids)s::text[], %(modes)s::text[], %(types)s::text[], %(subject_ids)s::text[], "
    "%(sequences)s::bigint[], %(user_ids)s::text[], %(data)s::text[], %(occur_times)s::timestamptz[]"
    f") AS r({_COLUMNS}) ON CONFLICT (event_id) DO NOTHING",
    name="insert partner events",
)
_PARAMETERS = (
    "event_ids", "partner_ids", "modes", "types", "subject_ids", "sequences", "user_ids", "data", "occur_times",
)  # fmt: skip
_e = partner_events.c
_GET = Query(
    select(*(_e[name] for name in _NAMES)).where(_e.event_id == bindparam("event_id"), of_partner(partner_events)),
    name="get event",
)
_GET_POSITION = Query(
    f"SELECT xid::text AS xid, seq FROM partner_events WHERE event_id = %(event_id)s AND {OF_PARTNER}",  # noqa: S608
    name="find event",
)
_FILTERS = {"type": "type = %(type)s", "types": "type = ANY(%(types)s)", "subject_id": "subject_id = %(subject_id)s"}


@cache
def _list(filters: frozenset[str]) -> Query:
    """One statement for each set of filters in use, so that each has its own plan."""
    where = " AND ".join([OF_PARTNER, *(_FILTERS[name] for name in sorted(filters))])
    return Query(
        f"SELECT {_COLUMNS}, xid::text || '/' || seq AS position FROM partner_events WHERE {where} "  # noqa: S608
        "AND (xid, seq) > (%(xid)s::xid8, %(seq)s::bigint) AND xid < pg_snapshot_xmin(pg_current_snapshot()) "
        "ORDER BY xid, seq LIMIT %(limit)s",
        name="list events",
    )


START = "0/0"
"""The position before the first event."""


class EventLogRepository:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, owner: Owner, event_id: str) -> LoggedEvent | None:
        """One of the owner's."""
        row = await self._database.first(_GET, event_id=event_id, **owner.values)
        return read(row) if row else None

    def insert_rows(self, tx: Transaction, rows: Sequence[tuple[object, ...]], now: datetime) -> None:
        """The same with events whose columns are given."""
        tx.run_later(_INSERT, **dict(zip(_PARAMETERS, arrays(rows), strict=True)), now=now)

    async def list(self, owner: Owner, limit: int, after: str, filters: Mapping[str, Any]) -> Sequence[Row]:
        """Up to `limit` events after a position; each is a `LoggedEvent` and its `position`. `filters`: `type` or `types`, `subject_id`.

        Ends before the oldest transaction that still runs: what is listed stays complete.
        """
        xid, _, seq = after.partition("/")
        values = {**filters, **owner.values, "xid": xid, "seq": int(seq)}
        return await self._database.all(_list(frozenset(filters)), limit=limit, **values)

    async def get_position(self, owner: Owner, event_id: str) -> str | None:
        """Where an event is in the log, as `list` takes it; None where there is none."""
        row = await self._database.first(_GET_POSITION, event_id=event_id, **owner.values)
        return f"{row.xid}/{row.seq}" if row else None

    def insert(self, tx: Transaction, events: Sequence[Event], now: datetime) -> None:
        """Log events, in the transaction that takes them."""
        rows = [
            (
                event.event_id,
                event.partner_id,
                modes.of_message(event.mode),
                event.type,
                event.aggregate_id,
                event.sequence,
                event.user_id,
                catalogue.data_of(event),
                times.clamped(event.occur_time),
            )
            for event in events
        ]
        self.insert_rows(tx, rows, now)


def read(row: Row) -> LoggedEvent:
    """The event of a row, which may have other columns, too."""
    return LoggedEvent(**{name: value for name, value in row._asdict().items() if name in _NAMES})
