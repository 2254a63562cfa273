"""The statements of ListUsers: one for each combination of filters, each with a plan of its own.

Each reads an index from the newest row on. Several states are one such read each, merged: no more rows than a page has are
read of any. A statement returns no more than `MAX_LIST_BYTES` of profiles, which is more than a page has.
"""

from datetime import datetime, timedelta
from functools import cache

from sqlalchemy import ARRAY, LargeBinary, any_, bindparam, func, select, union_all

from chassis import ids
from chassis.storage.database import Query, constant, newest_first
from services.user.ownership import of_partner
from services.user.users.domain import DELETED
from services.user.users.tables import users

MAX_LIST_BYTES = 2 * 1024 * 1024
_u = users.c
_FILTERS = {
    "partner_id": of_partner(users),
    "mode": _u.mode == bindparam("mode"),
    "email_lookups": _u.email_lookup == any_(bindparam("email_lookups", type_=ARRAY(LargeBinary))),
    "external_reference": _u.external_reference == bindparam("external_reference"),
    # Ids begin with a time, which bounds the scan of the index.
    "created_from": (_u.created_at >= bindparam("created_from")) & (_u.user_id >= bindparam("first_id")),
    "created_to": (_u.created_at < bindparam("created_to")) & (_u.user_id < bindparam("last_id")),
}


@cache
def query(names: frozenset[str], states: tuple[str, ...] = ()) -> Query:
    """A page by the given filters, newest first. Parameters of times are those of `bounds`, too.

    States are written into the statement, not bound: only so does the planner know that few users are LOCKED, and does not
    look through all of them from the newest on.
    """
    conditions = [_FILTERS[name] for name in sorted(names)]
    if states:
        pages = [
            newest_first(select(users).where(_u.state == constant(state), *conditions), _u.user_id) for state in states
        ]
        merged = union_all(*(select(page.subquery()) for page in pages)).subquery("merged")
        found = select(merged).order_by(merged.c.user_id.desc()).limit(bindparam("limit"))
    else:
        found = newest_first(select(users).where(_u.state != constant(DELETED), *conditions), _u.user_id)
    rows = found.subquery("rows")
    size = func.coalesce(func.octet_length(rows.c.profile_sealed), 0)
    so_far = func.sum(size).over(order_by=rows.c.user_id.desc())
    sized = select(rows, (so_far - size).label("before")).subquery("sized")
    columns = [sized.c[each.name] for each in users.columns]
    return Query(
        select(*columns).where(sized.c.before < MAX_LIST_BYTES).order_by(sized.c.user_id.desc()), name="list users"
    )


def bounds(created_from: datetime | None, created_to: datetime | None) -> dict[str, str]:
    """The ids between which users of these times are; an id has the millisecond of its time."""
    found = {}
    if created_from is not None:
        found["first_id"] = _id_at(created_from - timedelta(milliseconds=1))
    if created_to is not None:
        found["last_id"] = _id_at(created_to + timedelta(milliseconds=2))
    return found


def _id_at(time: datetime) -> str:
    """The smallest user id of a time's millisecond."""
    return "usr_" + ids.encode(max(0, int(time.timestamp() * 1000)) << 80)
