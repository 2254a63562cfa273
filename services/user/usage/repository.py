"""Every query on usage."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import ARRAY, bindparam, func, select
from sqlalchemy.dialects.postgresql import insert

from chassis.clock import Clock
from chassis.rpc.pagination import NEWEST
from chassis.storage.database import Database, Query, Row, arrays
from chassis.telemetry.usage import Counted, Report
from services.user.ownership import of_partner_in
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
_LIST = Query(
    select(usage)
    .where(
        of_partner_in(usage),
        usage.c.usage_key < bindparam("after"),
        usage.c.usage_key >= bindparam("from_key"),
        usage.c.usage_key < bindparam("to_key"),
    )
    .order_by(usage.c.usage_key.desc())
    .limit(bindparam("limit")),
    name="list usage",
)


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

    async def list(
        self, partner_id: str, modes: Sequence[str], limit: int, after: str, days: tuple[str, str]
    ) -> Sequence[Row]:
        """Up to `limit` counts, newest day first, of the days from the first (`2026-11-27`) up to before the last."""
        return await self._database.all(
            _LIST,
            partner_id=partner_id,
            modes=modes,
            limit=limit,
            after=after,
            from_key=days[0],
            to_key=days[1] or NEWEST,
        )
