"""The RPCs of TemplateService."""

from collections.abc import Iterable
from typing import Any

from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct
from weft.notification.v1 import notification_pb2, template_pb2
from weft.notification.v1 import template_service_pb2 as pb

from chassis import ids
from chassis.clock import Clock
from chassis.errors import RequestInvalid
from chassis.rpc.call import Call
from chassis.rpc.pagination import Pages
from chassis.rpc.requests import masks
from chassis.security import modes
from chassis.security.modes import LIVE
from chassis.storage.database import Database
from chassis.times import timestamp
from services.notification.ownership import owner_of
from services.notification.templates import language
from services.notification.templates.domain import (
    MAX_TEMPLATES,
    PARTS,
    SAMPLE_NAME,
    Branding,
    Template,
    TemplateLimitReached,
    TemplateNotFound,
    TemplateNotRendered,
    Text,
    Version,
)
from services.notification.templates.language import TemplateWrong
from services.notification.templates.repository import TemplateRepository


class TemplateHandlers:
    """weft.notification.v1.TemplateService."""

    def __init__(self, database: Database, templates: TemplateRepository, pages: Pages, clock: Clock) -> None:
        self._database = database
        self._templates = templates
        self._pages = pages
        self._clock = clock

    async def CreateTemplate(self, request: pb.CreateTemplateRequest, call: Call) -> template_pb2.Template:
        """Of the caller's partner and mode; an operator's is the platform's."""
        now, caller = self._clock.now(), call.caller
        template = Template(
            template_id=ids.new("tpl", now),
            partner_id=caller.partner_id if caller.is_partner else "",
            mode=caller.mode if caller.is_partner else LIVE,
            title=request.title,
            draft=Version(_texts(request.texts), _branding(request.branding)),
            samples=read_data(request.samples, "samples"),
            published_version=0,
            version=1,
            created_at=now,
            updated_at=now,
        )
        template.draft.check(template.samples, "texts")
        reply = to_message(template)
        async with self._database.transaction() as tx:
            if await self._templates.count(tx, template.partner_id, template.mode) >= MAX_TEMPLATES:
                raise TemplateLimitReached(limit=str(MAX_TEMPLATES))
            await self._templates.insert(tx, template)
            await call.remember(tx, reply)
        return reply

    async def GetTemplate(self, request: pb.GetTemplateRequest, call: Call) -> template_pb2.Template:
        """Raises `TemplateNotFound`."""
        return to_message(await self._get(request.template_id, call))

    async def ListTemplates(self, request: pb.ListTemplatesRequest, call: Call) -> pb.ListTemplatesResponse:
        """Newest first."""
        owner = owner_of(call.caller)
        page = self._pages.read(request, {"list": "templates", "owner": owner})
        found = await self._templates.list(owner, page.limit, page.after)
        templates, token = self._pages.split(page, found, to_message, key="template_id")
        return pb.ListTemplatesResponse(templates=templates, next_page_token=token)

    async def UpdateTemplate(self, request: pb.UpdateTemplateRequest, call: Call) -> template_pb2.Template:
        """The row is locked between the check of the etag and the update."""
        requested, changes = request.template, _changes(request)
        async with self._database.transaction() as tx:
            template = await self._templates.lock(tx, owner_of(call.caller), requested.template_id)
            if template is None:
                raise TemplateNotFound(template_id=requested.template_id)
            changed = template.update(self._clock.now(), requested.etag, changes)
            if changed is not template:
                changed.draft.check(changed.samples, "template.texts")
                await self._templates.update(tx, changed)
        return to_message(changed)

    async def PublishTemplate(self, request: pb.PublishTemplateRequest, call: Call) -> template_pb2.Template:
        """Raises `TemplateNotFound`."""
        now = self._clock.now()
        async with self._database.transaction() as tx:
            template = await self._templates.lock(tx, owner_of(call.caller), request.template_id)
            if template is None:
                raise TemplateNotFound(template_id=request.template_id)
            published = template.publish(now)
            await self._templates.insert_version(tx, published, now)
            await self._templates.update(tx, published)
            reply = to_message(published)
            await call.remember(tx, reply)
        return reply

    async def PreviewTemplate(self, request: pb.PreviewTemplateRequest, call: Call) -> pb.PreviewTemplateResponse:
        """Raises `TemplateNotFound` and `TemplateNotRendered`."""
        template = await self._get(request.template_id, call)
        data = read_data(request.data, "data") if request.HasField("data") else template.samples
        try:
            made = template.draft.render(request.locale, {"name": SAMPLE_NAME, **data})
        except TemplateWrong as error:
            raise TemplateNotRendered(cause=str(error)) from None
        content = notification_pb2.Content(**{part: getattr(made, part) for part in PARTS})
        return pb.PreviewTemplateResponse(content=content, locale=made.locale)

    async def _get(self, template_id: str, call: Call) -> Template:
        found = await self._templates.get(owner_of(call.caller), template_id)
        if found is None:
            raise TemplateNotFound(template_id=template_id)
        return found


def _changes(request: pb.UpdateTemplateRequest) -> dict[str, Any]:
    """What an update changes, by the names of `Template`, and `texts` and `branding` of its draft. Raises `RequestInvalid`."""
    fields, template = masks.fields(request, "template"), request.template
    changes: dict[str, Any] = {name: getattr(template, name) for name in fields & {"title"}}
    if "samples" in fields:
        changes["samples"] = read_data(template.samples, "template.samples")
    if "texts" in fields:
        changes["texts"] = _texts(template.texts)
    if "branding" in fields:
        changes["branding"] = _branding(template.branding)
    return changes


def read_data(data: Struct, field: str) -> dict[str, Any]:
    """The variables of a request. Raises `RequestInvalid` for more entries than a template may go over."""
    read: dict[str, Any] = json_format.MessageToDict(data)
    if language.entries(read) > language.MAX_ENTRIES:
        raise RequestInvalid(violations=[(field, f"must have at most {language.MAX_ENTRIES} entries in all")])
    return read


def _texts(texts: Iterable[template_pb2.TemplateText]) -> list[Text]:
    read = [Text(text.locale, text.subject, text.text, text.html, text.short) for text in texts]
    if not read:
        raise RequestInvalid(violations=[("template.texts", "must have at least 1 item")])
    return read


def _branding(branding: template_pb2.Branding) -> Branding:
    return Branding(branding.sender_name, branding.logo_url, branding.colour, branding.footer)


def to_message(template: Template) -> template_pb2.Template:
    """With the texts of the draft; of what is published only the version."""
    draft = template.draft
    message = template_pb2.Template(
        template_id=template.template_id,
        title=template.title,
        texts=[
            template_pb2.TemplateText(locale=text.locale, **{part: getattr(text, part) for part in PARTS})
            for text in draft.texts
        ],
        branding=template_pb2.Branding(
            sender_name=draft.branding.sender_name,
            logo_url=draft.branding.logo_url,
            colour=draft.branding.colour,
            footer=draft.branding.footer,
        ),
        published_version=template.published_version,
        partner_id=template.partner_id,
        mode=modes.to_message(template.mode),
        etag=template.etag,
        create_time=timestamp(template.created_at),
        update_time=timestamp(template.updated_at),
    )
    message.samples.update(template.samples)
    return message
