"""Every query on comparisons and their differences."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import ARRAY, Text, any_, bindparam, select, update
from sqlalchemy.dialects.postgresql import insert

from chassis import ids
from chassis.storage import pg_arrays
from chassis.storage.database import Database, Query, Row, newest_first
from services.order.payments.tables import payment_discrepancies, payments, reconciliations
from services.order.reconciliation.differences import Books, Difference

TAKEOVER_TIME = timedelta(hours=1)
"""After it another replica takes over a comparison that has not finished."""

_r, _d = reconciliations.c, payment_discrepancies.c
_insert = insert(reconciliations).values(
    provider=bindparam("provider"), day=bindparam("day"), started_at=bindparam("now")
)
_CLAIM = Query(
    _insert.on_conflict_do_update(
        index_elements=["provider", "day"],
        set_={"started_at": _insert.excluded.started_at},
        where=_r.finished_at.is_(None) & (_r.started_at < bindparam("before")),
    ).returning(_r.day),
    name="claim reconciliation",
)
_FINISH = Query(
    update(reconciliations)
    .where(_r.provider == bindparam("of_provider"), _r.day == bindparam("of_day"))
    .values(finished_at=bindparam("now"), charges=bindparam("charges"), differences=bindparam("differences")),
    name="finish reconciliation",
)
# Ids begin with a time. What has just changed is compared the next day. What came or went by bank transfer is not the
# provider's: its movements have references that begin with `bank:`.
# any owner: a comparison of all payments
_LIST_BOOKS = Query(
    """
SELECT p.payment_id, p.attempt, p.currency, p.captured_minor - m.captured_by_hand AS captured_minor,
       p.refunded_minor - m.refunded_by_hand AS refunded_minor, p.charged_back_minor,
       m.net - m.captured_by_hand + m.refunded_by_hand AS ledger_minor
  FROM payments p JOIN orders o ON o.order_id = p.order_id
  CROSS JOIN LATERAL (
    SELECT sum(CASE kind WHEN 'CAPTURED' THEN amount_minor WHEN 'REFUNDED' THEN -amount_minor ELSE 0 END)::bigint AS net,
           COALESCE(sum(amount_minor) FILTER (WHERE kind = 'CAPTURED' AND provider_reference LIKE 'bank:%%'), 0)::bigint
             AS captured_by_hand,
           COALESCE(sum(amount_minor) FILTER (WHERE kind = 'REFUNDED' AND provider_reference LIKE 'bank:%%'), 0)::bigint
             AS refunded_by_hand
      FROM payment_movements WHERE payment_movements.payment_id = p.payment_id) m
 WHERE p.payment_id >= %(first_id)s AND p.payment_id < %(last_id)s AND p.updated_at < %(settled)s
   AND o.mode = ANY(%(modes)s::text[])
 ORDER BY p.payment_id LIMIT %(limit)s
""",
    name="read books",
)
# any owner: it only says which payments of a provider's list are ours
_LIST_KNOWN = Query(
    select(payments.c.payment_id).where(payments.c.payment_id == any_(bindparam("payment_ids", type_=ARRAY(Text)))),
    name="find known payments",
)
# any owner: of payments that were compared
# An open difference is updated. Those of compared payments that were not found any more are resolved.
_STORE = Query(
    """
WITH found AS MATERIALIZED (
  SELECT id, payment_id, kind, ours, theirs, currency, reference FROM unnest(
    %(ids)s::text[], %(payments)s::text[], %(kinds)s::text[], %(ours)s::bigint[], %(theirs)s::bigint[],
    %(currencies)s::text[], %(references)s::text[]) AS t(id, payment_id, kind, ours, theirs, currency, reference)),
resolved AS (
  UPDATE payment_discrepancies d SET resolved_at = %(now)s
   WHERE d.provider = %(provider)s AND d.resolved_at IS NULL AND d.payment_id = ANY(%(compared)s::text[])
     AND NOT EXISTS (SELECT 1 FROM found WHERE found.payment_id = d.payment_id AND found.kind = d.kind)),
notified AS (
  INSERT INTO payment_work (kind, payload, due, created_at)
  SELECT DISTINCT 'find', convert_to(p.payment_id, 'UTF8'), LEAST(%(now)s, now()), %(now)s::timestamptz
    FROM found JOIN payments p USING (payment_id))
INSERT INTO payment_discrepancies (discrepancy_id, provider, payment_id, kind, ours_minor, theirs_minor, currency,
                                   provider_reference, created_at)
SELECT id, %(provider)s, payment_id, kind, ours, theirs, currency, reference, %(now)s FROM found ORDER BY payment_id, kind
ON CONFLICT (provider, payment_id, kind) WHERE resolved_at IS NULL
DO UPDATE SET ours_minor = EXCLUDED.ours_minor, theirs_minor = EXCLUDED.theirs_minor,
              provider_reference = EXCLUDED.provider_reference
""",
    name="store discrepancies",
)
_FILTERS = {"open": _d.resolved_at.is_(None)}


@cache
def _list(filters: frozenset[str]) -> Query:
    """One statement for each set of filters in use, so that each has its own plan."""
    found = select(payment_discrepancies).where(*(_FILTERS[name] for name in sorted(filters)))
    return Query(newest_first(found, _d.discrepancy_id), name="list discrepancies")


class ReconciliationRepository:
    """Comparisons and their differences in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, provider: str, day: date, now: datetime) -> bool:
        """Whether the comparison of a day is the caller's to make: nobody else has made it, or is making it."""
        values = {"provider": provider, "day": day, "now": now, "before": now - TAKEOVER_TIME}
        return await self._database.first(_CLAIM, **values) is not None

    async def finish(self, provider: str, day: date, now: datetime, charges: int, differences: int) -> None:
        """Store that the comparison of a day is done."""
        values = {"of_provider": provider, "of_day": day, "charges": charges, "differences": differences}
        await self._database.run(_FINISH, now=now, **values)

    async def list_books(
        self, until: datetime, modes: Sequence[str], settled: datetime, limit: int, after: str
    ) -> Sequence[Books]:
        """Our payments after an id, placed before a time and unchanged since `settled`, oldest first."""
        values = {"first_id": after, "last_id": id_at(until), "modes": [*modes], "settled": settled, "limit": limit}
        return [Books(**row._asdict()) for row in await self._database.all(_LIST_BOOKS, **values)]

    async def list_known(self, payment_ids: Sequence[str]) -> set[str]:
        """Those that are payments of ours."""
        return {row.payment_id for row in await self._database.all(_LIST_KNOWN, payment_ids=[*payment_ids])}

    async def upsert(self, provider: str, compared: Sequence[str], found: Sequence[Difference], now: datetime) -> None:
        """Store what was found, have those charges fetched, and resolve what was not found any more of `compared`."""
        await self._database.run(
            _STORE,
            provider=provider,
            now=now,
            compared=pg_arrays.texts(compared),
            ids=pg_arrays.names([ids.new("dsc", now) for _ in found]),
            payments=pg_arrays.texts([d.payment_id for d in found]),
            kinds=pg_arrays.names([d.kind for d in found]),
            ours=pg_arrays.numbers([d.ours_minor for d in found]),
            theirs=pg_arrays.numbers([d.theirs_minor for d in found]),
            currencies=pg_arrays.texts([d.currency for d in found]),
            references=pg_arrays.texts([d.reference for d in found]),
        )

    async def list(self, limit: int, after: str, filters: Mapping[str, Any]) -> Sequence[Row]:
        """Up to `limit` differences older than `after`, newest first. `filters`: `open` (not resolved)."""
        return await self._database.all(_list(frozenset(filters)), limit=limit, after=after, **filters)


def id_at(time: datetime) -> str:
    """The smallest payment id of a time's millisecond."""
    return "pay_" + ids.encode(max(0, int(time.timestamp() * 1000)) << 80)
