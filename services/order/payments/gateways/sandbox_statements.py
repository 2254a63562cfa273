"""The statements of the sandbox provider, on tables that only it reads."""

from chassis.storage.database import Query

_NEW = "key, method, amount_minor, currency, state, reason, code, settles_at, created_at"
# A charge that the release before captured or refunded has no sums.
_SUMS = (
    "CASE WHEN {0}.captured_minor = 0 AND {0}.state IN ('CAPTURED', 'REFUNDED') THEN {0}.amount_minor ELSE {0}.captured_minor END "
    "AS captured_minor, "
    "CASE WHEN {0}.captured_minor = 0 AND {0}.state = 'REFUNDED' THEN {0}.amount_minor ELSE {0}.refunded_minor END "
    "AS refunded_minor, {0}.charged_back_minor"
)
_CHARGE = "{0}.key, {0}.state, {0}.reason, {0}.code, {0}.settles_at, " + _SUMS

# An existing charge is read, not changed. One that a concurrent call inserts is not visible yet: no response.
AUTHORIZE = Query(
    f"""
WITH requested AS MATERIALIZED (
  SELECT key, method, amount_minor, currency, state, reason, code, settles_at, captured_minor FROM unnest(
    %(keys)s::text[], %(methods)s::text[], %(amounts)s::bigint[], %(currencies)s::text[], %(states)s::text[],
    %(reasons)s::text[], %(codes)s::text[], %(settle)s::timestamptz[], %(captured)s::bigint[]
  ) AS t(key, method, amount_minor, currency, state, reason, code, settles_at, captured_minor)),
inserted AS (
  INSERT INTO sandbox_charges ({_NEW}, captured_minor, captures)
  SELECT key, method, amount_minor, currency, state, reason, code, settles_at, %(now)s, captured_minor,
         CASE WHEN state = 'CAPTURED' THEN 1 ELSE 0 END FROM requested ORDER BY key
  ON CONFLICT (key) DO NOTHING
  RETURNING key, amount_minor, state, reason, code, settles_at, captured_minor, refunded_minor, charged_back_minor)
SELECT key, state, reason, code, settles_at, captured_minor, refunded_minor, charged_back_minor FROM inserted
UNION ALL
SELECT {_CHARGE.format("c")} FROM sandbox_charges c WHERE key = ANY(%(keys)s::text[])
""",  # noqa: S608
    name="sandbox authorize",
)
CONFIRM = Query(
    "UPDATE sandbox_charges c SET "  # noqa: S608
    "state = CASE c.state WHEN 'ACTION_REQUIRED' THEN %(state)s ELSE c.state END, "
    "reason = CASE c.state WHEN 'ACTION_REQUIRED' THEN %(reason)s ELSE c.reason END, "
    "code = CASE c.state WHEN 'ACTION_REQUIRED' THEN %(code)s ELSE c.code END "
    f"WHERE key = %(key)s RETURNING {_CHARGE.format('c')}",
    name="sandbox confirm",
)
FIND = Query(
    f"SELECT {_CHARGE.format('c')} FROM sandbox_charges c WHERE key = %(key)s",  # noqa: S608
    name="sandbox find",
)
LIST = Query(
    f"SELECT {_CHARGE.format('c')}, c.currency FROM sandbox_charges c WHERE created_at >= %(since)s AND created_at < %(until)s",  # noqa: S608
    name="sandbox list",
)
CAPTURE = Query(
    f"""
WITH asked AS (SELECT key, amount FROM unnest(%(keys)s::text[], %(amounts)s::bigint[]) AS t(key, amount)),
found AS MATERIALIZED (
  SELECT key, state = 'AUTHORIZED' AND NOT (method = 'pm_sandbox_capture_fails_once' AND captures = 0) AS collects
    FROM sandbox_charges WHERE key = ANY(%(keys)s::text[]) AND settles_at <= %(now)s ORDER BY key FOR UPDATE SKIP LOCKED)
UPDATE sandbox_charges c SET captures = c.captures + 1,
       state = CASE WHEN found.collects THEN 'CAPTURED' ELSE c.state END,
       captured_minor = CASE WHEN found.collects THEN LEAST(asked.amount, c.amount_minor) ELSE c.captured_minor END,
       event_at = CASE WHEN found.collects AND c.method LIKE 'pm_sandbox_charge_back%%' THEN %(later)s::timestamptz ELSE c.event_at END
  FROM found JOIN asked USING (key) WHERE c.key = found.key
RETURNING {_CHARGE.format("c")}
""",  # noqa: S608
    name="sandbox capture",
)
REFUND = Query(
    """
WITH charge AS MATERIALIZED (
  SELECT key, method, CASE captured_minor WHEN 0 THEN amount_minor ELSE captured_minor END - refunded_minor - charged_back_minor
         AS refundable, state FROM sandbox_charges WHERE key = %(key)s FOR UPDATE),
made AS (
  INSERT INTO sandbox_refunds (refund_id, key, amount_minor, state, created_at)
  SELECT %(refund_id)s, key, %(amount_minor)s,
         CASE WHEN state = 'CAPTURED' AND %(amount_minor)s <= refundable AND method <> 'pm_sandbox_refund_fails'
              THEN 'SUCCEEDED' ELSE 'FAILED' END, %(now)s
    FROM charge ON CONFLICT (refund_id) DO NOTHING RETURNING key, amount_minor, state),
moved AS (
  UPDATE sandbox_charges c SET refunded_minor = c.refunded_minor + made.amount_minor
    FROM made WHERE c.key = made.key AND made.state = 'SUCCEEDED')
SELECT state FROM made
UNION ALL
SELECT state FROM sandbox_refunds WHERE refund_id = %(refund_id)s
""",
    name="sandbox refund",
)
# What the bank has taken back is not refunded as well.
REVERSE = Query(
    f"INSERT INTO sandbox_charges AS c ({_NEW}) "  # noqa: S608
    "VALUES (%(key)s, %(method)s, %(amount_minor)s, %(currency)s, 'VOIDED', '', '', %(now)s, %(now)s) "
    "ON CONFLICT (key) DO UPDATE SET state = CASE WHEN c.state IN ('AUTHORIZED', 'ACTION_REQUIRED') THEN 'VOIDED' "
    "WHEN c.state = 'CAPTURED' AND c.charged_back_minor = 0 THEN 'REFUNDED' ELSE c.state END, "
    "refunded_minor = CASE WHEN c.state = 'CAPTURED' AND c.charged_back_minor = 0 THEN c.captured_minor ELSE c.refunded_minor END "
    f"RETURNING {_CHARGE.format('c')}",
    name="sandbox reverse",
)
# The payment worker is told of each in the same statement, as an event of a real provider would.
CHANGE_LATER = Query(
    """
WITH due AS MATERIALIZED (
  SELECT key FROM sandbox_charges WHERE event_at <= %(now)s ORDER BY event_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED),
changed AS (
  UPDATE sandbox_charges c
     SET charged_back_minor = CASE c.charged_back_minor WHEN 0 THEN c.captured_minor - c.refunded_minor ELSE 0 END,
         event_at = CASE WHEN c.charged_back_minor = 0 AND c.captured_minor > c.refunded_minor
                          AND c.method = 'pm_sandbox_charge_back_reversed' THEN %(later)s::timestamptz END
    FROM due WHERE c.key = due.key RETURNING c.key)
INSERT INTO payment_work (kind, payload, due, created_at)
SELECT 'find', convert_to(split_part(key, '/', 1), 'UTF8'), LEAST(%(now)s, now()), %(now)s FROM changed
""",
    name="sandbox change later",
)
