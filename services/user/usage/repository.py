"""Every query on usage."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import ARRAY, bindparam, func, select
from sqlalchemy.dialects.postgresql import insert

from chassis.clock import Clock
from chassis.storage.database import Database, Query, Row, arrays, newest_first
from chassis.telemetry.usage import Counted, Report
from services.user.ownership import ClientOwner, of_partner_in
from services.user.usage.tables import usage, usage_reports

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MARK = Query(
    insert(usage_reports)
    .values(report_id=bindparam("report_id"), created_at=bindparam("now"))
    .on_conflict_do_nothing(),
    name="mark usage report",
)
_columns = {column.name: column.type for column in usage.columns}
_rows = (
    func.unnest(*(bindparam(name, type_=ARRAY(kind)) for name, kind in _columns.items()))
    .table_valued(*_columns)
    .render_derived("given")
)
_add = insert(usage).from_select(
    list(_columns), select(*(_rows.c[name] for name in _columns)).order_by(_rows.c.partner_id, _rows.c.usage_key)
)
# any owner: of the partners whose calls were counted
_ADD = Query(
    _add.on_conflict_do_update(
        index_elements=["partner_id", "usage_key"], set_={"calls": usage.c.calls + _add.excluded.calls}
    ),
    name="add usage",
)
_FILTERS = {
    "first_day": usage.c.usage_key >= bindparam("first_day"),
    "end_day": usage.c.usage_key < bindparam("end_day"),
}


@cache
def _list(filters: frozenset[str]) -> Query:
    """One statement for each set of filters in use, so that each has its own plan."""
    found = select(usage).where(of_partner_in(usage), *(_FILTERS[name] for name in sorted(filters)))
    return Query(newest_first(found, usage.c.usage_key), name="list usage")


class UsageRepository:
    """Counts of calls."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def add(self, report: Report) -> None:
        """Add the counts of a report, once."""
        counts: dict[Counted, int] = {}
        for key, calls in report.rows:
            counts[key] = counts.get(key, 0) + calls
        found = []
        for key, calls in counts.items():
            day = _EPOCH + timedelta(days=key.day)
            usage_key = f"{day:%Y-%m-%d} {key.client_id} {key.method} {key.outcome}"
            found.append((key.partner_id, usage_key, day, key.client_id, key.mode, key.method, key.outcome, calls))
        async with self._database.transaction() as tx:
            if await tx.run(_MARK, report_id=report.report_id, now=self._clock.now()) and found:
                await tx.run(_ADD, **dict(zip(_columns, arrays(found), strict=True)))

    async def list(self, owner: ClientOwner, limit: int, after: str, filters: Mapping[str, Any]) -> Sequence[Row]:
        """Up to `limit` counts before `after`, newest day first. `filters`: `first_day` (`2026-11-27`) and `end_day`, which is not in it."""
        query = _list(frozenset(filters))
        return await self._database.all(query, limit=limit, after=after, **filters, **owner.values)
