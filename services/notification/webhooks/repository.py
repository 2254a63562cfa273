"""Every query on webhook deliveries but those of the worker: owed with their event, listed and sent once more by their partner."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import bindparam, func, literal_column, select, update
from sqlalchemy.dialects.postgresql import insert

from chassis import ids
from chassis.storage.database import Database, Query, Row, Transaction, arrays, constant
from services.notification.endpoints.domain import Endpoint
from services.notification.endpoints.tables import webhook_endpoints
from services.notification.event_log import repository as event_log
from services.notification.event_log.catalogue import wants
from services.notification.event_log.domain import LoggedEvent
from services.notification.ownership import OF_PARTNER, of_partner
from services.notification.webhooks.domain import FAILED, PENDING
from services.notification.webhooks.tables import suspensions, webhook_deliveries

MAX_RECOVERED = 5000
_MAX_SHOWN_ATTEMPTS = 10
_e = webhook_endpoints.c

# any owner: an event goes to endpoints of its own partner and mode
_FIND_ENDPOINTS = Query(
    "SELECT endpoint_id, partner_id, mode, event_types, disable_reason FROM webhook_endpoints WHERE (partner_id, mode) IN ("
    "SELECT partner_id, mode FROM unnest(%(partner_ids)s::text[], %(modes)s::text[]) AS r(partner_id, mode))",
    name="find endpoints",
)
_INSERT = Query(
    "INSERT INTO webhook_deliveries (delivery_id, endpoint_id, event_id, partner_id, mode, state, due, traceparent, "
    "create_time, update_time) SELECT delivery_id, endpoint_id, event_id, partner_id, mode, state, LEAST(%(now)s, now()), "
    "traceparent, %(now)s, %(now)s FROM unnest(%(delivery_ids)s::text[], %(endpoint_ids)s::text[], %(event_ids)s::text[], "
    "%(partner_ids)s::text[], %(modes)s::text[], %(states)s::text[], %(traceparents)s::text[]"
    ") AS r(delivery_id, endpoint_id, event_id, partner_id, mode, state, traceparent) "
    "ON CONFLICT (endpoint_id, event_id) DO NOTHING",
    name="insert webhook deliveries",
)
# It waits for a worker that stores its results, and holds up the next one: where deliveries are new, the last statement of its
# transaction. A worker locks a lane before its deliveries; so does who changes them. Sorted, so that two transactions do not
# wait for each other.
_WAKE = Query(
    "WITH locked AS (SELECT endpoint_id FROM webhook_lanes WHERE endpoint_id = ANY(%(endpoint_ids)s) ORDER BY endpoint_id "
    "FOR UPDATE) UPDATE webhook_lanes l SET due = GREATEST(LEAST(l.due, %(now)s, now()), l.paused_until) FROM locked "
    # Most are awake, or left alone: nothing is written.
    "WHERE l.endpoint_id = locked.endpoint_id AND l.due > GREATEST(LEAST(%(now)s, now()), l.paused_until)",
    name="wake lanes",
)
_OF_EVENT = "e.type, e.subject_id, e.sequence, e.user_id, e.data, e.occur_time"
_COLUMNS = (
    "d.delivery_id, d.endpoint_id, d.state, d.attempts, d.due, d.create_time, d.update_time, d.event_id, d.partner_id, d.mode, "
    f"{_OF_EVENT}"
)
_ATTEMPTS = (
    "(SELECT jsonb_agg(to_jsonb(a) ORDER BY a.number) FROM (SELECT number, url, http_status, failure, latency_ms, "  # noqa: S608 - our own
    "response_body, EXTRACT(EPOCH FROM create_time)::float8 AS at FROM webhook_attempts a "
    f"WHERE a.delivery_id = d.delivery_id ORDER BY number DESC LIMIT {_MAX_SHOWN_ATTEMPTS}) a) AS shown"
)
_OWN = (
    "(SELECT delivery_id, endpoint_id, state, attempts, due, create_time, update_time, event_id, partner_id, mode "  # noqa: S608 - our own
    f"FROM webhook_deliveries WHERE endpoint_id = %(endpoint_id)s AND {OF_PARTNER}"
)


_FILTERS = {"state": "state = %(state)s", "event_id": "event_id = %(event_id)s"}


@cache
def _list(filters: frozenset[str]) -> Query:
    """One statement for each set of filters in use, so that each has its own plan."""
    wanted = "".join(f" AND {_FILTERS[name]}" for name in sorted(filters))
    return Query(
        f"SELECT {_COLUMNS}, {_ATTEMPTS} FROM {_OWN}{wanted} AND delivery_id < %(after)s "  # noqa: S608 - our own
        # Each event by its key: the planner does not know how long a page is, expects a tenth of all, and would read the whole log.
        # any owner: of deliveries that are the owner's
        "ORDER BY delivery_id DESC LIMIT %(limit)s) d "
        f"CROSS JOIN LATERAL (SELECT {_OF_EVENT} FROM partner_events e WHERE e.event_id = d.event_id OFFSET 0) e "
        "ORDER BY d.delivery_id DESC",
        name="list webhook deliveries",
    )


_GET = Query(
    f"SELECT {_COLUMNS}, {_ATTEMPTS} FROM {_OWN} AND delivery_id = %(delivery_id)s) d "  # noqa: S608 - our own
    "JOIN partner_events e ON e.event_id = d.event_id",
    name="get webhook delivery",
)
_w = webhook_deliveries.c
_once_more = {
    "state": constant(PENDING),
    "tries": 0,
    "replays": _w.replays + 1,
    "due": func.least(bindparam("now"), func.now()),
    "update_time": bindparam("now"),
}
_REPLAY = Query(
    update(webhook_deliveries)
    .where(
        _w.endpoint_id == bindparam("of_endpoint"),
        _w.delivery_id == bindparam("id"),
        of_partner(webhook_deliveries),
    )
    .values(_once_more),
    name="replay webhook delivery",
)
_f = webhook_deliveries.alias("f")
_failed = (
    select(_f.c.delivery_id)
    .where(
        _f.c.endpoint_id == bindparam("of_endpoint"),
        of_partner(_f),
        _f.c.state == constant(FAILED),
        _f.c.delivery_id >= bindparam("since"),
    )
    .order_by(_f.c.delivery_id)
    .limit(literal_column(str(MAX_RECOVERED)))
    .subquery("failed")
)
_RECOVER = Query(
    update(webhook_deliveries)
    .where(_w.delivery_id == _failed.c.delivery_id, _w.state == constant(FAILED))
    .values(_once_more),
    name="recover webhook deliveries",
)
_NEW = insert(suspensions).values({column.name: bindparam(column.name) for column in suspensions.columns})
_SUSPEND = Query(
    _NEW.on_conflict_do_update(
        index_elements=["partner_id"],
        set_={name: _NEW.excluded[name] for name in ("suspended", "sequence", "updated_at")},
        where=suspensions.c.sequence < _NEW.excluded.sequence,
    ),
    name="suspend partner",
)
# Its endpoints start with no failures: earlier ones say nothing about a receiver that was not called for days.
# any owner: of a partner that is reinstated
_RESUME = Query(
    "WITH locked AS (SELECT l.endpoint_id FROM webhook_lanes l JOIN webhook_endpoints e USING (endpoint_id) "
    "WHERE e.partner_id = %(partner_id)s ORDER BY l.endpoint_id FOR UPDATE OF l) UPDATE webhook_lanes l SET failures = 0, "
    "failing_since = NULL, suspect = false, paused_until = '-infinity', due = LEAST(%(now)s, now()) FROM locked "
    "WHERE l.endpoint_id = locked.endpoint_id",
    name="resume lanes of partner",
)
_PARAMETERS = ("delivery_ids", "endpoint_ids", "event_ids", "partner_ids", "modes", "states", "traceparents")


@dataclass(frozen=True)
class Delivery:
    """A delivery with its event and its newest attempts, oldest first, each as its columns."""

    delivery_id: str
    endpoint_id: str
    state: str
    attempts: int
    due: datetime
    create_time: datetime
    update_time: datetime
    event: LoggedEvent
    shown: Sequence[Mapping[str, Any]]


class WebhookRepository:
    """Deliveries of partners' endpoints."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def suspend(self, tx: Transaction, partner_id: str, sequence: int, now: datetime, *, suspended: bool) -> bool:
        """Follow an event about a partner, unless a later one was followed; whether there may be something to send."""
        values = {"partner_id": partner_id, "sequence": sequence, "suspended": suspended}
        changed = await tx.run(_SUSPEND, updated_at=now, **values) == 1
        return changed and not suspended and await tx.run(_RESUME, partner_id=partner_id, now=now) > 0

    async def owe(self, tx: Transaction, events: Sequence[tuple[str, str, str, str, str]], now: datetime) -> bool:
        """Owe events to the endpoints that want them, in the transaction that logs them; whether there is something to send.

        Each event is its id, type, partner, mode and traceparent. What a disabled endpoint would have got has failed, so that
        it can be recovered.
        """
        partner_ids, modes = arrays(sorted({(partner_id, mode) for _, _, partner_id, mode, _ in events}))
        found: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for endpoint in await tx.all(_FIND_ENDPOINTS, partner_ids=partner_ids, modes=modes):
            found[endpoint.partner_id, endpoint.mode].append(endpoint)
        owed = [
            (endpoint, event)
            for event in events
            for endpoint in found.get((event[2], event[3]), ())
            if wants(endpoint.event_types, event[1])
        ]
        rows = [
            (delivery_id, e.endpoint_id, event_id, e.partner_id, e.mode, FAILED if e.disable_reason else PENDING, trace)
            # Sorted ids keep the order of the events within a millisecond.
            for delivery_id, (e, (event_id, _, _, _, trace)) in zip(_new_ids(len(owed), now), owed, strict=True)
        ]
        if not rows:
            return False
        self._insert(tx, rows, now)
        return True

    def owe_to(self, tx: Transaction, endpoint: Endpoint, event_id: str, traceparent: str, now: datetime) -> str:
        """Owe an event to one endpoint; returns the delivery's id."""
        (delivery_id,) = _new_ids(1, now)
        new = (delivery_id, endpoint.endpoint_id, event_id, endpoint.partner_id, endpoint.mode, PENDING, traceparent)
        self._insert(tx, [new], now)
        return delivery_id

    def _insert(self, tx: Transaction, rows: Sequence[tuple[Any, ...]], now: datetime) -> None:
        tx.run_later(_INSERT, **dict(zip(_PARAMETERS, arrays(rows), strict=True)), now=now)
        self._wake(tx, sorted({endpoint_id for _, endpoint_id, _, _, _, state, _ in rows if state == PENDING}), now)

    async def get(self, tx: Transaction, endpoint: Endpoint, delivery_id: str) -> Delivery | None:
        """A delivery of an endpoint."""
        row = await tx.first(_GET, delivery_id=delivery_id, **_owner(endpoint))
        return _read(row) if row else None

    async def list(self, endpoint: Endpoint, limit: int, after: str, filters: Mapping[str, Any]) -> Sequence[Delivery]:
        """Up to `limit` deliveries of an endpoint older than `after`, newest first. `filters`: `state`, `event_id`."""
        values = {"limit": limit, "after": after, **filters, **_owner(endpoint)}
        return [_read(row) for row in await self._database.all(_list(frozenset(filters)), **values)]

    async def replay(self, tx: Transaction, endpoint: Endpoint, delivery_id: str, now: datetime) -> bool:
        """Send a delivery once more; whether there is one."""
        self._wake(tx, [endpoint.endpoint_id], now)
        return await tx.run(_REPLAY, id=delivery_id, now=now, **_of(endpoint)) == 1

    async def recover(self, tx: Transaction, endpoint: Endpoint, since: datetime, now: datetime) -> int:
        """Send up to `MAX_RECOVERED` failed deliveries once more, the oldest first; how many."""
        since_id = ids.first("whd", since)
        self._wake(tx, [endpoint.endpoint_id], now)
        return await tx.run(_RECOVER, since=since_id, now=now, **_of(endpoint))

    def _wake(self, tx: Transaction, endpoint_ids: Sequence[str], now: datetime) -> None:
        tx.run_later(_WAKE, endpoint_ids=list(endpoint_ids), now=now)


def _new_ids(count: int, now: datetime) -> Sequence[str]:
    return sorted(ids.new("whd", now) for _ in range(count))


def _owner(endpoint: Endpoint) -> dict[str, str]:
    return {"endpoint_id": endpoint.endpoint_id, "partner_id": endpoint.partner_id, "mode": endpoint.mode}


def _of(endpoint: Endpoint) -> dict[str, str]:
    return {"of_endpoint": endpoint.endpoint_id, "partner_id": endpoint.partner_id, "mode": endpoint.mode}


def _read(row: Row) -> Delivery:
    return Delivery(
        row.delivery_id,
        row.endpoint_id,
        row.state,
        row.attempts,
        row.due,
        row.create_time,
        row.update_time,
        event_log.read(row),
        row.shown or (),
    )
