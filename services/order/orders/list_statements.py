"""The statements that list orders: for each set of filters one that reads an index in the order of the list.

In the order of the ids alone, a rare state is found at the end of all orders. So a list of states takes the newest of each combination of
the three states, from an index whose key has them and the id, and of these the newest.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from services.order.domain.states import FulfilmentState, OrderState, PaymentState
from services.order.order_rows import STATE_COLUMNS, state_key

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
AXES = {"states": OrderState, "payment_states": PaymentState, "fulfilment_states": FulfilmentState}
"""Filters of states, in the order of the key, and what they may be."""
_FEW = {"customer_id", "external_reference", "order_number"}
"""Filters that leave few orders, and have an index that leads to them."""


def values(filters: Mapping[str, Any]) -> dict[str, Any]:
    """The filters as a statement takes them: a list of some states names those of every axis; one of all states is none."""
    given = {name: value for name, value in filters.items() if name not in AXES or set(value) < {*AXES[name]}}
    if given.keys() & AXES.keys() and not given.keys() & _FEW:
        return {**{name: [*axis] for name, axis in AXES.items()}, **given}
    return given


def select(columns: str, of_owner: str, kind: str, filters: frozenset[str]) -> str:
    """SQL: the orders of an owner of this kind that pass the filters (the names of `values`), the newest first, `limit` of them."""
    by_states = kind in ("anyone", "partner") and filters >= AXES.keys()
    wanted = [_FILTERS[name] for name in sorted(filters & _FILTERS.keys() - (AXES.keys() if by_states else set()))]
    ids = ["< %(after)s::text", *(_IDS[name] for name in sorted(filters & _IDS.keys()))]
    newest = "ORDER BY o.order_id DESC LIMIT %(limit)s"
    if not by_states:
        where = " AND ".join([of_owner, *wanted, *(f"o.order_id {bound}" for bound in ids)])
        return f"SELECT {columns} FROM orders o WHERE {where} {newest}"  # noqa: S608
    combinations = " CROSS JOIN ".join(f"unnest(%({name})s::text[]) AS {name}(state)" for name in AXES)
    # As an array, of which the planner expects ten: of a page it expects a tenth of all, and would read the whole table for it.
    return (
        f"SELECT {columns} FROM unnest(ARRAY(SELECT o.order_id FROM {combinations} "  # noqa: S608
        f"CROSS JOIN LATERAL ({_of_combination(kind, wanted, ids)}) o {newest})) page(order_id) "
        f"JOIN orders o ON o.order_id = page.order_id WHERE {of_owner} ORDER BY o.order_id DESC"
    )


def _of_combination(kind: str, wanted: Sequence[str], ids: Sequence[str]) -> str:
    """SQL: orders in a combination of the states, the newest first.

    The key is in one index only: the planner cannot know how rare a state is. A partner is named by the key alone: said again, the
    planner would expect few of what the key finds, and read all of it.
    """
    of_partner = kind == "partner"
    key = state_key(
        *(["o.partner_id"] if of_partner else []), *(f"o.{column}" for column in STATE_COLUMNS), "o.order_id"
    )
    prefix = " || '/' || ".join([*(["%(owner)s"] if of_partner else []), *(f"{name}.state" for name in AXES), ""])
    bounds = [f"{key} {sign} {prefix}{value}" for sign, value in (bound.split() for bound in (*ids, ">= ''"))]
    partner = ["o.partner_id <> ''", "o.mode = 'LIVE'"] if of_partner else []
    where = " AND ".join([*bounds, *partner, *wanted])
    return f"SELECT o.order_id FROM orders o WHERE {where} ORDER BY {key} DESC LIMIT %(limit)s"  # noqa: S608
