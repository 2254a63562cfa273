"""Every read of users, and each list of what is theirs, runs by an index, in its order: however many users there are, a page costs what is on it."""

from collections.abc import Iterator

import psycopg
import pytest

from chassis.storage import database
from chassis.storage.database import Query
from services.user.audit import repository as audit
from services.user.members import repository as members
from services.user.partners import client_repository as clients
from services.user.sessions import open_session_repository as open_sessions
from services.user.users import list_statements, repository
from tests import plans

FILL = """
INSERT INTO partners (partner_id, display_name, plan, scopes, state, revision, created_at, updated_at)
SELECT 'prt_' || n, 'Acme', 'standard', '{}', 'ACTIVE', 1, now(), now() FROM generate_series(0, 19) n;
INSERT INTO users (user_id, partner_id, email_sealed, email_lookup, display_name_sealed, locale, state, external_reference,
                   roles, plan, created_at, updated_at)
SELECT 'usr_' || lpad(n::text, 8, '0'), CASE WHEN n % 2 = 0 THEN 'prt_' || n % 20 END, '', sha256(n::text::bytea), '', 'en',
       CASE WHEN n % 5000 = 0 THEN 'LOCKED' WHEN n % 50 = 0 THEN 'INACTIVE' ELSE 'ACTIVE' END,
       CASE WHEN n % 2 = 0 THEN 'ref ' || n END, '{customer}', 'free', now() + n * interval '1 second', now()
FROM generate_series(1, {users}) n;
INSERT INTO sessions (session_id, user_id, created_at, expires_at, last_used_at)
SELECT 'ses_' || n, 'usr_' || lpad((1 + n % {users})::text, 8, '0'), now(), now() + interval '90 days', now()
FROM generate_series(1, {users}) n;
INSERT INTO members (partner_id, user_id, member_id, role, created_at)
SELECT 'prt_' || n % 20, 'usr_' || lpad(n::text, 8, '0'), 'mbr_' || n, 'viewer', now() FROM generate_series(1, 20000) n;
INSERT INTO clients (client_id, partner_id, display_name, scopes, created_at)
SELECT 'cli_' || n, 'prt_' || n % 20, 'Shop', '{}', now() FROM generate_series(1, 20000) n;
INSERT INTO audit_events (audit_event_id, actor, on_behalf_of, client_id, session_id, mode, subject, action, fields, request_id,
                          address_sealed, created_at)
SELECT 'aud_' || lpad(n::text, 8, '0'), 'usr_' || n % 1000, '', '', '', 'LIVE', 'usr_' || n % 2000, 'action.' || n % 50, '{}', '',
       '', now() + n * interval '1 second' FROM generate_series(1, {users}) n;
ANALYZE
"""
VALUES = {
    "user_id": "usr_00010000", "user_ids": ["usr_00010000", "usr_00010002"], "email_lookup": b"x" * 32,
    "email_lookups": [b"x" * 32, b"y" * 32], "external_reference": "ref 10000", "partner_id": "prt_8", "mode": "LIVE",
    "after": "usr_00010000", "created_from": "2026-01-01", "created_to": "2036-01-01", "first_id": "usr_00000000",
    "last_id": "usr_99999999", "limit": 51, "now": "2026-11-01", "refreshed_after": "2026-10-01", "modes": ["LIVE"],
    "actor": "usr_7", "subject": "usr_8", "action": "action.9", "start": "2026-01-01", "end": "2036-01-01",
}  # fmt: skip
PARTNER, TIME = frozenset({"partner_id", "mode"}), frozenset({"created_from", "created_to"})
FILTERS = {
    "all": frozenset[str](),
    "by address": frozenset({"email_lookups"}),
    "by reference": frozenset({"external_reference"}),
    "by time": TIME,
}
QUERIES: dict[str, Query] = {
    "get": repository._GET,
    "get many": repository._GET_MANY,
    "person by address": repository._GET_PERSON,
    **{f"list {name} {of}": list_statements.query(names | more)
       for name, names in FILTERS.items()
       for of, more in {"of anyone": frozenset[str](), "of a partner": PARTNER}.items()},
    **{f"list in {'+'.join(states)} {of}": list_statements.query(more, states)
       for states in (("LOCKED",), ("ACTIVE", "INACTIVE"))
       for of, more in {"of anyone": frozenset[str](), "of a partner": PARTNER}.items()},
    "sessions": open_sessions._LIST,
    "members": members._LIST,
    "clients": clients._LIST,
    **{f"audit events by {'+'.join(names) or 'nothing'}": audit._list(frozenset(names))
       for names in ((), ("start", "end"), ("actor",), ("subject",), ("action",), ("actor", "action"))},
}  # fmt: skip


def fill(postgres_url: str, template, users: int) -> Iterator[psycopg.Connection]:
    """A database with so many users in it."""
    with psycopg.connect(postgres_url, dbname="postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE plans_user TEMPLATE {template('user')}")
        with psycopg.connect(database.of_service(postgres_url, "plans", "user"), autocommit=True) as connection:
            connection.execute(FILL.replace("{users}", str(users)), prepare=False)
            yield connection
        admin.execute("DROP DATABASE plans_user WITH (FORCE)")


@pytest.fixture(scope="module")
def some(postgres_url, template) -> Iterator[psycopg.Connection]:
    yield from fill(postgres_url, template, 50_000)


@pytest.fixture
def million(postgres_url, template) -> Iterator[psycopg.Connection]:
    yield from fill(postgres_url, template, 1_000_000)


@pytest.mark.parametrize("name", QUERIES)
def test_it_uses_indexes(some: psycopg.Connection, name: str) -> None:
    plan = explain(some, name)
    assert "Seq Scan" not in plan, plan
    if name in ("list by address of anyone", "list by reference of anyone"):
        # One that begins with the partner is read whole by servers before PostgreSQL 18.
        assert "users_by_e" in plan, plan


@pytest.mark.soak
def test_with_a_million_users_too_and_no_page_is_sorted(million: psycopg.Connection) -> None:
    for name in QUERIES:
        plan = explain(million, name)
        assert "Seq Scan" not in plan, (name, plan)
        few = "by address" in name or "by reference" in name
        assert few or "Sort  (cost" not in plan, (name, plan)


def explain(connection: psycopg.Connection, name: str) -> str:
    query = QUERIES[name]
    return "\n".join(plans.generic(connection, query.sql, query.defaults | VALUES))
