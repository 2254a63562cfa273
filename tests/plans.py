"""The plan that a service's prepared statement has: one for all values.

`EXPLAIN` of a statement with parameters plans for their values, whatever `plan_cache_mode` says: it shows another plan.
"""

import re
from collections.abc import Mapping
from typing import Any

import psycopg

_PARAMETER = re.compile(r"%\((\w+)\)s")


def generic(connection: psycopg.Connection[Any], sql: str, values: Mapping[str, Any], options: str = "COSTS") -> Any:
    """The first column of the rows of `EXPLAIN (options)`, where the values are not known to the planner."""
    names = [*dict.fromkeys(_PARAMETER.findall(sql))]
    numbered = _PARAMETER.sub(lambda found: f"${names.index(found[1]) + 1}", sql).replace("%%", "%")
    given = f"({', '.join(['%s'] * len(names))})" if names else ""
    with psycopg.ClientCursor(connection) as cursor, connection.transaction():
        cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        cursor.execute(f"PREPARE explained AS {numbered}".encode())
        explained = cursor.execute(
            f"EXPLAIN ({options}) EXECUTE explained{given}".encode(), [values[name] for name in names]
        ).fetchall()
        cursor.execute("DEALLOCATE explained")
    return [row[0] for row in explained]
