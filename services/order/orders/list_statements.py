"""The statements that list orders: for each set of filters one that reads an index in the order of the list.

In the order of the ids alone, a rare state is found at the end of all orders. So a list of states takes the newest of each state, from
an index whose key has the state and the id, and of these the newest.
"""

from collections.abc import Sequence

from services.order.order_rows import state_key

_FILTERS = {
    "states": "o.state = ANY(%(states)s::text[])",
    "payment_states": "o.payment_state = ANY(%(payment_states)s::text[])",
    "fulfilment_states": "o.fulfilment_state = ANY(%(fulfilment_states)s::text[])",
    "customer_id": "o.customer_id = %(customer_id)s",
    # The second half matches the condition of the index.
    "external_reference": "o.external_reference = %(external_reference)s AND o.external_reference <> ''",
    "order_number": "o.order_number = %(order_number)s AND o.order_number <> ''",
    "created_from": "o.created_at >= %(created_from)s",
    "created_to": "o.created_at < %(created_to)s",
}
# Ids begin with a time, which bounds the scan of the index.
_IDS = {"created_from": ">= %(first_id)s::text", "created_to": "< %(last_id)s::text"}
_STATES = {"fulfilment_states": "fulfilment_state", "payment_states": "payment_state", "states": "state"}
"""Filters whose columns have an index of all orders and one of partners' orders: the first says more."""
_FEW = {"customer_id", "external_reference", "order_number"}
"""Filters that leave few orders, and have an index that leads to them."""


def select(columns: str, of_owner: str, kind: str, filters: frozenset[str]) -> str:
    """SQL: the orders of an owner of this kind that pass the filters, the newest first, `limit` of them."""
    by = _by_state(kind, filters)
    wanted = [_FILTERS[name] for name in sorted(filters & _FILTERS.keys() - {by})]
    ids = ["< %(after)s::text", *(_IDS[name] for name in sorted(filters & _IDS.keys()))]
    newest = "ORDER BY o.order_id DESC LIMIT %(limit)s"
    if not by:
        where = " AND ".join([of_owner, *wanted, *(f"o.order_id {bound}" for bound in ids)])
        return f"SELECT {columns} FROM orders o WHERE {where} {newest}"  # noqa: S608
    return (
        f"SELECT {columns} FROM (SELECT o.order_id FROM unnest(%({by})s::text[]) AS wanted(state) "  # noqa: S608
        f"CROSS JOIN LATERAL ({_of_state(kind, by, wanted, ids)}) o {newest}) page "
        f"JOIN orders o ON o.order_id = page.order_id WHERE {of_owner} ORDER BY o.order_id DESC"
    )


def _by_state(kind: str, filters: frozenset[str]) -> str:
    """The filter whose index is read; empty for none."""
    if kind not in ("anyone", "partner") or filters & _FEW:
        return ""
    return next((name for name in _STATES if name in filters), "")


def _of_state(kind: str, by: str, wanted: Sequence[str], ids: Sequence[str]) -> str:
    """SQL: orders in the state `wanted.state`, the newest first.

    The key is in one index only: the planner cannot know how rare a state is. A partner is named by the key alone: said again, the
    planner would expect few of what the key finds, and read all of it.
    """
    of_partner = kind == "partner"
    key = state_key(*(["o.partner_id"] if of_partner else []), f"o.{_STATES[by]}", "o.order_id")
    prefix = ("%(owner)s || '/' || " if of_partner else "") + "wanted.state || '/' || "
    bounds = [f"{key} {sign} {prefix}{value}" for sign, value in (bound.split() for bound in (*ids, ">= ''"))]
    partner = ["o.partner_id <> ''", "o.mode = 'LIVE'"] if of_partner else []
    where = " AND ".join([*bounds, *partner, *wanted])
    return f"SELECT o.order_id FROM orders o WHERE {where} ORDER BY {key} DESC LIMIT %(limit)s"  # noqa: S608
