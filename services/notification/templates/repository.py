"""Every query on templates; each has its owner."""

import json
from collections.abc import Sequence
from datetime import datetime

from chassis.storage.database import Database, Query, Row, Transaction
from chassis.ttl_cache import TtlCache
from services.notification.ownership import KINDS, Owner, templates_of
from services.notification.templates.domain import Template, Version, of_json, to_json

_COLUMNS = "t.template_id, t.partner_id, t.mode, t.title, t.draft, t.samples, t.published_version, t.version, t.created_at, t.updated_at"
_GET = {
    kind: Query(
        f"SELECT {_COLUMNS} FROM templates t WHERE t.template_id = %(id)s AND {templates_of(kind)}",  # noqa: S608 - our own names
        name="get template",
    )
    for kind in KINDS
}
_LOCK = {
    kind: Query(
        f"SELECT {_COLUMNS} FROM templates t WHERE t.template_id = %(id)s AND {templates_of(kind)} FOR UPDATE",  # noqa: S608 - our own names
        name="lock template",
    )
    for kind in KINDS
}
_LIST = {
    kind: Query(
        f"SELECT {_COLUMNS} FROM templates t WHERE {templates_of(kind)} AND t.template_id < %(after)s "  # noqa: S608 - our own names
        "ORDER BY t.template_id DESC LIMIT %(limit)s",
        name="list templates",
    )
    for kind in KINDS
}
_COUNT = Query(
    f"SELECT count(*) AS n FROM templates t WHERE {templates_of('partner')}",  # noqa: S608 - our own names
    name="count templates",
)
# Two creations at once are counted one after the other.
_TURN = Query(
    "SELECT pg_advisory_xact_lock(hashtextextended('templates ' || %(partner_id)s || %(mode)s, 0))", name="turn"
)
_INSERT = Query(
    "INSERT INTO templates (template_id, partner_id, mode, title, draft, samples, published_version, version, created_at, "
    "updated_at) VALUES (%(id)s, %(partner_id)s, %(mode)s, %(title)s, %(draft)s::jsonb, %(samples)s::jsonb, 0, 1, %(now)s, %(now)s)",
    name="insert template",
)
# any owner: of a locked template
_UPDATE = Query(
    "UPDATE templates SET title = %(title)s, draft = %(draft)s::jsonb, samples = %(samples)s::jsonb, "
    "published_version = %(published_version)s, version = %(version)s, updated_at = %(now)s WHERE template_id = %(id)s",
    name="update template",
)
_PUBLISH = Query(
    "INSERT INTO template_versions (template_id, version, content, published_at) "
    "VALUES (%(id)s, %(version)s, %(content)s::jsonb, %(now)s)",
    name="publish template",
)
_VERSION = Query(
    "SELECT content FROM template_versions WHERE template_id = %(id)s AND version = %(version)s", name="get version"
)
_CACHE_TTL_S, _MAX_CACHED = 600.0, 500


class TemplateRepository:
    """Templates in the database. Versions never change, so they are cached."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._versions: TtlCache[tuple[str, int], Version] = TtlCache(_CACHE_TTL_S, _MAX_CACHED)

    async def get(self, owner: Owner, template_id: str) -> Template | None:
        """One of the owner's."""
        row = await self._database.first(_GET[owner.kind], id=template_id, **owner.values)
        return _read(row) if row is not None else None

    async def lock(self, tx: Transaction, owner: Owner, template_id: str) -> Template | None:
        """One of the owner's, which nobody else changes meanwhile."""
        row = await tx.first(_LOCK[owner.kind], id=template_id, **owner.values)
        return _read(row) if row is not None else None

    async def list(self, owner: Owner, limit: int, after: str) -> Sequence[Template]:
        """The newest first."""
        rows = await self._database.all(_LIST[owner.kind], limit=limit, after=after, **owner.values)
        return [_read(row) for row in rows]

    async def count(self, tx: Transaction, partner_id: str, mode: str) -> int:
        """How many there are; nobody else creates one until the transaction ends."""
        await tx.all(_TURN, partner_id=partner_id, mode=mode)
        return int((await tx.one(_COUNT, partner_id=partner_id, mode=mode)).n)

    async def insert(self, tx: Transaction, template: Template) -> None:
        """Store a new one."""
        await tx.run(
            _INSERT,
            id=template.template_id,
            partner_id=template.partner_id,
            mode=template.mode,
            title=template.title,
            draft=json.dumps(to_json(template.draft)),
            samples=json.dumps(template.samples),
            now=template.created_at,
        )

    async def update(self, tx: Transaction, template: Template) -> None:
        """Store what `lock` returned, changed."""
        await tx.run(
            _UPDATE,
            id=template.template_id,
            title=template.title,
            draft=json.dumps(to_json(template.draft)),
            samples=json.dumps(template.samples),
            published_version=template.published_version,
            version=template.version,
            now=template.updated_at,
        )

    async def publish(self, tx: Transaction, template: Template, now: datetime) -> None:
        """Store the draft as the version that the template now has."""
        content = json.dumps(to_json(template.draft))
        await tx.run(_PUBLISH, id=template.template_id, version=template.published_version, content=content, now=now)

    async def version(self, template_id: str, version: int) -> Version:
        """What was published, whosever it is: of a notification that names it."""
        found = self._versions.get((template_id, version))
        if found is None:
            found = of_json((await self._database.one(_VERSION, id=template_id, version=version)).content)
            self._versions.put((template_id, version), found)
        return found


def _read(row: Row) -> Template:
    return Template(
        template_id=row.template_id,
        partner_id=row.partner_id,
        mode=row.mode,
        title=row.title,
        draft=of_json(row.draft),
        samples=row.samples,
        published_version=row.published_version,
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
