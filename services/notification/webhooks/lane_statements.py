"""The statements of lanes (`lane_repository.py`). `{now}` is the database's clock, or a test's."""

from services.notification.endpoints.tables import webhook_endpoints

COLUMNS = ", ".join(f"e.{column.name}" for column in webhook_endpoints.columns)
# Operators may pause all of them, as they pause a queue.
RUNNING = "NOT EXISTS (SELECT FROM paused_queues WHERE queue = 'webhook_lanes')"
# `due` is set to the end of the lease, which says that nobody has woken the lane since: who wakes it moves `due` forward.
CLAIM = """
WITH answering AS (
  SELECT endpoint_id FROM webhook_lanes WHERE suspect = false AND due <= {now} AND leased_until < {now} AND {running}
  ORDER BY due LIMIT %(answering)s FOR UPDATE SKIP LOCKED
), suspected AS (
  SELECT endpoint_id FROM webhook_lanes WHERE suspect = true AND due <= {now} AND leased_until < {now} AND {running}
  ORDER BY due LIMIT %(suspected)s FOR UPDATE SKIP LOCKED
)
UPDATE webhook_lanes l SET leased_until = {now} + make_interval(secs => %(seconds)s),
  due = {now} + make_interval(secs => %(seconds)s), lease = l.lease + 1
FROM (SELECT endpoint_id FROM answering UNION ALL SELECT endpoint_id FROM suspected) c JOIN webhook_endpoints e USING (endpoint_id)
WHERE l.endpoint_id = c.endpoint_id
RETURNING l.lease, l.failures, l.suspect, {suspended} AS suspended, l.failing_since, {columns}
"""
SUSPENDED = """EXISTS (SELECT FROM webhook_endpoints e JOIN suspensions s ON s.partner_id = e.partner_id
  WHERE e.endpoint_id = l.endpoint_id AND s.suspended)"""
# Asked again with the lane locked: who reinstates a partner first says so, and then wakes its lanes.
REST = """
UPDATE webhook_lanes l SET leased_until = '-infinity', due = CASE WHEN {suspended} THEN 'infinity' ELSE {now} END
WHERE l.endpoint_id = %(endpoint_id)s
"""
RENEW = """
UPDATE webhook_lanes l SET leased_until = {now} + make_interval(secs => %(seconds)s),
  due = CASE WHEN l.due < l.leased_until THEN l.due ELSE {now} + make_interval(secs => %(seconds)s) END
FROM unnest(%(endpoint_ids)s::text[], %(leases)s::bigint[]) AS r(endpoint_id, lease)
WHERE l.endpoint_id = r.endpoint_id AND l.lease = r.lease AND l.leased_until > '-infinity'
"""
WAIT = """
SELECT EXTRACT(EPOCH FROM min(due) - {now})::float8 AS seconds FROM (
  (SELECT due FROM webhook_lanes WHERE suspect = false AND due < 'infinity' AND leased_until < {now} ORDER BY due LIMIT 1)
  UNION ALL
  (SELECT due FROM webhook_lanes WHERE suspect = true AND due < 'infinity' AND leased_until < {now} ORDER BY due LIMIT 1)) n
WHERE {running}
"""
LIST_OWED = """
SELECT d.delivery_id, d.attempts, d.tries, d.replays, d.traceparent,
  e.event_id, e.partner_id, e.mode, e.type, e.subject_id, e.sequence, e.user_id, e.data, e.occur_time
FROM webhook_deliveries d JOIN webhook_endpoints w ON (w.endpoint_id, w.partner_id, w.mode) = (d.endpoint_id, d.partner_id, d.mode)
JOIN partner_events e ON (e.event_id, e.partner_id, e.mode) = (d.event_id, d.partner_id, d.mode)
WHERE d.endpoint_id = %(endpoint_id)s AND d.state = 'PENDING' AND d.due <= {now} ORDER BY d.due, d.delivery_id LIMIT %(limit)s
"""
# Locks the lane, stores what came of its deliveries, and releases it. What is owed while this waits for the lock is not seen by
# this statement; but who owes it has woken the lane, and that is seen with the lock.
FINISH = """
WITH lane AS MATERIALIZED (
  SELECT endpoint_id, due < leased_until AS woken FROM webhook_lanes
  WHERE endpoint_id = %(endpoint_id)s AND lease = %(lease)s FOR UPDATE
), stored AS (
  UPDATE webhook_deliveries d SET attempts = d.attempts + 1, update_time = {now},
    tries = CASE WHEN d.replays = r.replays THEN d.tries + 1 ELSE d.tries END,
    state = CASE WHEN d.replays = r.replays THEN r.state ELSE d.state END,
    due = CASE WHEN d.replays = r.replays THEN {now} + make_interval(secs => r.wait) ELSE d.due END
  FROM lane, unnest(%(ids)s::text[], %(replays)s::int[], %(states)s::text[], %(waits)s::float8[], %(numbers)s::int[],
    %(urls)s::text[], %(statuses)s::int[], %(failures)s::text[], %(latencies)s::int[], %(bodies)s::text[], %(times)s::timestamptz[])
    AS r(delivery_id, replays, state, wait, number, url, http_status, failure, latency_ms, response_body, create_time)
  WHERE d.delivery_id = r.delivery_id
  RETURNING d.delivery_id, d.state, d.due, r.number, r.url, r.http_status, r.failure, r.latency_ms, r.response_body, r.create_time
), kept AS (
  INSERT INTO webhook_attempts (delivery_id, number, url, http_status, failure, latency_ms, response_body, create_time)
  SELECT delivery_id, number, url, http_status, failure, latency_ms, response_body, create_time FROM stored ON CONFLICT DO NOTHING
), next AS (
  SELECT LEAST((SELECT min(due) FROM stored WHERE state = 'PENDING'), (SELECT min(d.due) FROM webhook_deliveries d
    WHERE d.endpoint_id = %(endpoint_id)s AND d.state = 'PENDING' AND d.delivery_id <> ALL(%(ids)s::text[]))) AS due
)
UPDATE webhook_lanes l SET leased_until = '-infinity', failures = %(failures_in_a_row)s, failing_since = %(failing_since)s,
  suspect = %(suspect)s, paused_until = {now} + make_interval(secs => %(wait)s),
  due = GREATEST({now} + make_interval(secs => %(wait)s),
    CASE WHEN lane.woken THEN '-infinity' ELSE COALESCE(next.due, 'infinity') END)
FROM lane, next WHERE l.endpoint_id = lane.endpoint_id RETURNING l.due < 'infinity' AS more
"""
FAIL = """
UPDATE webhook_deliveries SET state = 'FAILED', update_time = {now} WHERE state = 'PENDING' AND delivery_id = ANY(ARRAY(
  SELECT delivery_id FROM webhook_deliveries WHERE endpoint_id = %(endpoint_id)s AND state = 'PENDING' LIMIT %(limit)s))
"""
