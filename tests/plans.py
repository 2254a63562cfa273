"""The plan that a service's prepared statement has: one for all values.

`EXPLAIN` of a statement with parameters plans for their values, whatever `plan_cache_mode` says: it shows another plan.
"""

import re
from collections.abc import Mapping
from typing import Any

import psycopg

_NEWEST = "SELECT name FROM pg_prepared_statements WHERE NOT from_sql ORDER BY prepare_time DESC LIMIT 1"


def generic(connection: psycopg.Connection[Any], sql: str, values: Mapping[str, Any], options: str = "COSTS") -> Any:
    """The first column of the rows of `EXPLAIN (options)`, where the values are not known to the planner. Runs the statement once."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        cursor.execute(sql.encode(), values, prepare=True)
        found = cursor.execute(_NEWEST.encode(), prepare=False).fetchone()
        assert found
        names = [*dict.fromkeys(re.findall(r"%\((\w+)\)s", sql))]
        given = f"({', '.join(['%s'] * len(names))})" if names else ""
        explain = f"EXPLAIN ({options}) EXECUTE {found[0]}{given}"
        with psycopg.ClientCursor(connection) as literal:
            return [row[0] for row in literal.execute(explain.encode(), [values[name] for name in names])]
