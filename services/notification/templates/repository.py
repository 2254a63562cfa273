"""Every query on templates; each has its owner."""

import json
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, func, insert, select, update

from chassis.storage.database import Database, Query, Row, Transaction, newest_first
from chassis.ttl_cache import TtlCache
from services.notification.ownership import Owner, of_owner, of_partner
from services.notification.templates.domain import Template, Version, of_json, to_json
from services.notification.templates.tables import template_versions, templates

_t, _v = templates.c, template_versions.c


@cache
def _by_id(kind: str) -> Select[Any]:
    return select(templates).where(_t.template_id == bindparam("template_id"), of_owner(kind, templates))


@cache
def _get(kind: str) -> Query:
    return Query(_by_id(kind), name="get template")


@cache
def _lock(kind: str) -> Query:
    return Query(_by_id(kind).with_for_update(), name="lock template")


@cache
def _list(kind: str) -> Query:
    return Query(
        newest_first(select(templates).where(of_owner(kind, templates)), _t.template_id), name="list templates"
    )


_COUNT = Query(select(func.count().label("templates")).where(of_partner(templates)), name="count templates")
# Two creations at once are counted one after the other.
_LOCK_PARTNER = Query(
    "SELECT pg_advisory_xact_lock(hashtextextended('templates ' || %(partner_id)s || %(mode)s, 0))",
    name="lock templates of partner",
)
_INSERT = Query(
    insert(templates).values({column.name: bindparam(column.name) for column in templates.columns}),
    name="insert template",
)
_UPDATED = ("title", "draft", "samples", "published_version", "version", "updated_at")
# any owner: of a template that the transaction has locked for its owner
_UPDATE = Query(
    update(templates).where(_t.template_id == bindparam("id")).values({name: bindparam(name) for name in _UPDATED}),
    name="update template",
)
_INSERT_VERSION = Query(
    insert(template_versions).values({column.name: bindparam(column.name) for column in template_versions.columns}),
    name="insert template version",
)
_GET_VERSION = Query(
    select(_v.content).where(_v.template_id == bindparam("template_id"), _v.version == bindparam("version")),
    name="get template version",
)
_CACHE_TTL_S, _MAX_CACHED = 600.0, 500


class TemplateRepository:
    """Templates in the database. Versions never change, so they are cached."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._versions: TtlCache[tuple[str, int], Version] = TtlCache(_CACHE_TTL_S, _MAX_CACHED)

    async def get(self, owner: Owner, template_id: str) -> Template | None:
        row = await self._database.first(_get(owner.kind), template_id=template_id, **owner.values)
        return _read(row) if row else None

    async def get_version(self, template_id: str, version: int) -> Version:
        """What was published, of any owner: for a notification that names it."""
        found = self._versions.get((template_id, version))
        if found is None:
            row = await self._database.one(_GET_VERSION, template_id=template_id, version=version)
            found = of_json(row.content)
            self._versions.put((template_id, version), found)
        return found

    async def list(self, owner: Owner, limit: int, after: str) -> Sequence[Template]:
        """Up to `limit` of the owner's templates older than `after`, newest first."""
        rows = await self._database.all(_list(owner.kind), limit=limit, after=after, **owner.values)
        return [_read(row) for row in rows]

    async def lock(self, tx: Transaction, owner: Owner, template_id: str) -> Template | None:
        """The owner's template, locked until the transaction ends."""
        row = await tx.first(_lock(owner.kind), template_id=template_id, **owner.values)
        return _read(row) if row else None

    async def count(self, tx: Transaction, partner_id: str, mode: str) -> int:
        """How many there are; nobody else creates one until the transaction ends."""
        await tx.all(_LOCK_PARTNER, partner_id=partner_id, mode=mode)
        return int((await tx.one(_COUNT, partner_id=partner_id, mode=mode)).templates)

    async def insert(self, tx: Transaction, template: Template) -> None:
        await tx.run(_INSERT, **_values(template))

    async def update(self, tx: Transaction, template: Template) -> None:
        """Store a locked template."""
        await tx.run(_UPDATE, id=template.template_id, **_values(template))

    async def insert_version(self, tx: Transaction, template: Template, now: datetime) -> None:
        """Store the draft as the version that the template now has."""
        values = {"template_id": template.template_id, "version": template.published_version, "published_at": now}
        await tx.run(_INSERT_VERSION, content=json.dumps(to_json(template.draft)), **values)


def _read(row: Row) -> Template:
    return Template(**{**row._asdict(), "draft": of_json(row.draft)})


def _values(template: Template) -> dict[str, Any]:
    values = {column.name: getattr(template, column.name) for column in templates.columns}
    return {**values, "draft": json.dumps(to_json(template.draft)), "samples": json.dumps(template.samples)}
