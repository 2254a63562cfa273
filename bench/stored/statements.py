"""The SQL of orders that are there already (`stored`)."""

from typing import NamedTuple

from services.order.domain import order_number

_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"


class TableOf(NamedTuple):
    """A table: which columns are filled, and the rows."""

    name: str
    columns: str
    select: str


def _id(prefix: str, ms: str, number: str) -> str:
    """SQL: an id of this time, and of this number from 1."""
    letters = " || ".join(f"substr('{_LETTERS}', ({ms} >> {shift} & 31)::int + 1, 1)" for shift in range(45, -1, -5))
    return f"'{prefix}_' || {letters} || lpad(({number})::text, 16, '0')"


def _id_of(prefix: str, number: str, count: str) -> str:
    """SQL: the id of the one of `count` things with this number."""
    return _id(prefix, f"(%(now_ms)s - (%({count})s - {number}) * %({count}_step)s)", number)


def _draw(most: str, salt: int) -> str:
    """SQL: a number from 0 to below `most` for the order `n`."""
    return f"(hashint8extended(n, {salt}) & 4611686018427387903) %% ({most})"


def _number_for_people() -> str:
    """SQL: an order number: 31 random bits, 24 of `n`, and the character that checks them; the check is linear over GF(2)."""
    bits = f"(({_draw('2147483648', 3)} << 24) | n)"
    values = [f"({bits} >> {5 * at} & 31)::int" for at in range(11)]
    letters = [f"substr('{order_number._ALPHABET}', {value} + 1, 1)" for value in values]
    checks = []
    for at, value in enumerate(values):
        table = bytes(order_number._check([one if place == at else 0 for place in range(11)]) for one in range(32))
        checks.append(f"get_byte('\\x{table.hex()}'::bytea, {value})")
    check = f"substr('{order_number._ALPHABET}', ({' # '.join(checks)}) + 1, 1)"
    groups = [letters[:4], letters[4:8], [*letters[8:], check]]
    return " || '-' || ".join(" || ".join(group) for group in groups)


# Most are delivered and paid, the newest still move; some states are rare.
_ORDERS = f"""
SELECT 'ord_' || made,
       CASE WHEN n %% %(every)s = 1 THEN %(regular)s ELSE {_id_of("usr", "person", "people")} END,
       CASE WHEN n %% 3 > 0 THEN %(partner)s ELSE '' END, 'EUR', CASE WHEN n %% 4 = 0 THEN 3600 ELSE 1200 END::bigint,
       state, 'pay_' || made, payment_state,
       CASE WHEN state IN ('PENDING', 'CANCELLED', 'EXPIRED') OR n > %(orders)s * 0.99 THEN 'UNFULFILLED'
            WHEN n > %(orders)s * 0.97 THEN 'SHIPPED' WHEN payment_state = 'REFUNDED' THEN 'RETURNED' ELSE 'DELIVERED' END,
       CASE WHEN n %% 4 = 0 THEN 'ref ' || n ELSE '' END, 'as usual', {_number_for_people()}, 2, 2, at, at
  FROM (SELECT *, substr({_id("ord", "ms", "n")}, 5) AS made, to_timestamp(ms / 1000.0) AS at,
               1 + least(%(people)s - 1, ({_draw("%(people)s / 3", 1)}) * 3 + (n + 2) %% 3) AS person,
               CASE WHEN n %% 1000 = 7 AND n > %(orders)s * 0.99 THEN 'PENDING' WHEN n %% 20 = 3 THEN 'CANCELLED'
                    WHEN n %% 100 = 9 THEN 'EXPIRED' WHEN n > %(orders)s * 0.97 THEN 'CONFIRMED' ELSE 'COMPLETED' END AS state,
               CASE WHEN n %% 1000 = 7 AND n > %(orders)s * 0.99 THEN 'FAILED' WHEN n %% 20 = 3 THEN 'VOIDED' WHEN n %% 100 = 9 THEN 'FAILED'
                    WHEN n %% 5000 = 1 THEN 'CHARGED_BACK' WHEN n %% 50 = 1 THEN 'REFUNDED' ELSE 'CAPTURED' END AS payment_state
          FROM (SELECT n, %(now_ms)s - (%(orders)s - n) * %(orders_step)s AS ms
                  FROM generate_series(1::bigint, %(orders)s::bigint) n) numbered) made
"""
# The number of an order is in its id.
_MADE = "(SELECT *, substr(order_id, 15)::bigint AS n FROM orders) o"
_LINES = f"""
SELECT order_id, line, {_id_of("prd", f"(1 + {_draw('%(products)s', 4)})", "products")}, 'Benchmark article', line, 1200::bigint
  FROM {_MADE}, LATERAL (SELECT 1 AS line UNION ALL SELECT 2 WHERE n %% 4 = 0) l
"""
_LINES = _LINES.replace("hashint8extended(n,", "hashint8extended(n * 2 + line,")
_CAPTURED = "payment_state IN ('CAPTURED', 'REFUNDED', 'CHARGED_BACK')"
_PAYMENTS = f"""
SELECT payment_id, order_id, 'pm_sandbox_ok', total_minor, 'EUR', payment_state, {_CAPTURED},
       CASE WHEN {_CAPTURED} THEN total_minor ELSE 0 END,
       CASE WHEN payment_state = 'REFUNDED' THEN total_minor ELSE 0 END,
       CASE WHEN payment_state = 'CHARGED_BACK' THEN total_minor ELSE 0 END,
       CASE WHEN {_CAPTURED} THEN payment_id || '/1' ELSE '' END, created_at, updated_at
  FROM orders
"""
# Captured at once, without an authorization before.
_MOVEMENTS = f"""
SELECT payment_id, order_id, kind, total_minor, 'EUR', 1, payment_id || '/1', updated_at
  FROM orders, LATERAL (SELECT 'CAPTURED' AS kind UNION ALL SELECT payment_state WHERE payment_state <> 'CAPTURED') k WHERE {_CAPTURED}
"""
_REFUNDS = """
SELECT 'ref_' || substr(order_id, 5), payment_id, order_id, total_minor, 'SUCCEEDED', '', '', '', '', updated_at, updated_at
  FROM orders WHERE payment_state = 'REFUNDED'
"""
# Of some transactions that were, one after another.
_CHANGES = f"""
SELECT order_id, change, (3 + n * (before - 4) / %(orders)s)::text::xid8, customer_id, partner_id, CASE change WHEN 1 THEN 'PENDING' ELSE state END,
       CASE change WHEN 1 THEN 'PENDING' ELSE payment_state END, '', 'cli_bench',
       created_at, CASE change WHEN 1 THEN 'order.placed' ELSE 'order.' || lower(state) END
  FROM (SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS before) x, {_MADE}, LATERAL generate_series(1, 2) change
"""
_CHARGES = f"""
SELECT payment_id || '/1', 'pm_sandbox_ok', total_minor, 'EUR', 'CAPTURED', '', created_at, created_at, total_minor,
       CASE WHEN payment_state = 'REFUNDED' THEN total_minor ELSE 0 END, CASE WHEN payment_state = 'CHARGED_BACK' THEN total_minor ELSE 0 END, 1
  FROM orders WHERE {_CAPTURED} AND created_at > to_timestamp(%(now_ms)s / 1000.0) - interval '30 days'
"""
# Of a day: no more are kept.
_REPLIES = """
SELECT decode(md5(n::text), 'hex'), decode(md5(n::text), 'hex'), convert_to(repeat('r', 330), 'UTF8'),
       to_timestamp(%(now_ms)s / 1000.0) - interval '12 hours' + n * interval '10 milliseconds'
  FROM generate_series(1, least(%(orders)s, 1000000)) n
"""
ORDER_TABLES = (
    TableOf(
        "orders",
        "order_id, customer_id, partner_id, currency, total_minor, state, payment_id, payment_state, fulfilment_state, "
        "external_reference, note, order_number, version, events, created_at, updated_at",
        _ORDERS,
    ),
    TableOf("order_lines", "order_id, line, product_id, title, quantity, unit_price_minor", _LINES),
    TableOf(
        "payments",
        "payment_id, order_id, method, amount_minor, currency, state, provider_contacted, captured_minor, "
        "refunded_minor, charged_back_minor, provider_reference, created_at, updated_at",
        _PAYMENTS,
    ),
    TableOf(
        "payment_movements",
        "payment_id, order_id, kind, amount_minor, currency, attempt, provider_reference, created_at",
        _MOVEMENTS,
    ),
    TableOf(
        "payment_refunds",
        "refund_id, payment_id, order_id, amount_minor, state, reason, failure, return_id, actor, created_at, updated_at",
        _REFUNDS,
    ),
    TableOf(
        "order_changes",
        "order_id, version, xid, customer_id, partner_id, state, payment_state, reason, actor, changed_at, change",
        _CHANGES,
    ),
    TableOf(
        "sandbox_charges",
        "key, method, amount_minor, currency, state, reason, settles_at, created_at, captured_minor, refunded_minor, "
        "charged_back_minor, captures",
        _CHARGES,
    ),
    TableOf("idempotency", "id, fingerprint, reply, created_at", _REPLIES),
)
PRODUCTS = f"""
INSERT INTO products (product_id, partner_id, title, price_minor, currency, stock, active, version, created_at, updated_at)
SELECT {_id_of("prd", "n", "products")}, CASE WHEN n %% 2 = 0 THEN %(partner)s ELSE '' END, 'Benchmark article ' || n, 1200, 'EUR',
       1000000000, true, 1, to_timestamp(%(now_ms)s / 1000.0), to_timestamp(%(now_ms)s / 1000.0)
  FROM generate_series(1::bigint, %(products)s::bigint) n
"""
PEOPLE = f"""
INSERT INTO users (user_id, partner_id, email_sealed, email_lookup, display_name_sealed, locale, state, roles, plan, revision, events,
                   created_at, updated_at)
SELECT {_id_of("usr", "n", "people")}, CASE WHEN n %% 3 > 0 THEN %(partner)s END, email_sealed, sha256((%(now_ms)s::bigint || '/' || n)::bytea), display_name_sealed,
       locale, state, roles, plan, 1, 1, to_timestamp(%(now_ms)s / 1000.0), to_timestamp(%(now_ms)s / 1000.0)
  FROM users, generate_series(1::bigint, %(people)s::bigint) n WHERE user_id = %(regular)s
"""
