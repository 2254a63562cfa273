"""Calls of templates, as tests make them."""

from collections.abc import Sequence
from typing import Any

from google.protobuf import json_format
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.struct_pb2 import Struct
from weft.notification.v1 import template_service_pb2 as pb
from weft.notification.v1 import template_service_pb2_grpc
from weft.notification.v1.template_pb2 import Template, TemplateText

from tests.notification.conftest import Service
from tests.notification.requests.calls import ACME

SCOPES = "templates.write notifications.send notifications.read"
ENGLISH = TemplateText(
    locale="en",
    subject="{{ name }}, {{ parcel.number }} waits",
    text="It costs {{ parcel.fee | money }}.",
    html='<p>Hello {{ name }}: <a href="{{ link | url }}">{{ parcel.note }}</a></p>',
    short="{{ parcel.number }} waits",
)
GERMAN = TemplateText(locale="de", subject="{{ parcel.number }} wartet", text="Kosten: {{ parcel.fee | money }}.")
DATA = {
    "parcel": {"number": "P7", "fee": {"amount_minor": 123456, "currency": "EUR"}, "note": "<b>bold</b>"},
    "link": "javascript:alert(1)",
}


def struct(data: dict[str, Any]) -> Struct:
    return json_format.ParseDict(data, Struct())


class Author:
    """A partner's client that writes templates."""

    def __init__(self, service: Service, partner: str = ACME, mode: str = "LIVE") -> None:
        self.metadata = [("authorization", service.harness.issuer.partner(partner, SCOPES, mode=mode))]
        self.rpc: Any = template_service_pb2_grpc.TemplateServiceStub(service.running.channel)

    def create(
        self, *texts: TemplateText, data: dict[str, Any] = DATA, title: str = "Parcel", key: str = "", **more: Any
    ) -> Any:
        request = pb.CreateTemplateRequest(title=title, texts=texts, samples=struct(data), **more)
        keyed = [("idempotency-key", key)] if key else []
        return self.rpc.CreateTemplate(request, metadata=[*self.metadata, *keyed])

    def get(self, template_id: str) -> Any:
        return self.rpc.GetTemplate(pb.GetTemplateRequest(template_id=template_id), metadata=self.metadata)

    def list(self, **page: Any) -> Any:
        return self.rpc.ListTemplates(pb.ListTemplatesRequest(**page), metadata=self.metadata)

    def update(self, template_id: str, mask: Sequence[str] | None = None, **fields: Any) -> Any:
        request = pb.UpdateTemplateRequest(
            template=Template(template_id=template_id, **fields),
            update_mask=FieldMask(paths=mask) if mask is not None else None,
        )
        return self.rpc.UpdateTemplate(request, metadata=self.metadata)

    def publish(self, template_id: str) -> Any:
        return self.rpc.PublishTemplate(pb.PublishTemplateRequest(template_id=template_id), metadata=self.metadata)

    def preview(self, template_id: str, **more: Any) -> Any:
        request = pb.PreviewTemplateRequest(template_id=template_id, **more)
        return self.rpc.PreviewTemplate(request, metadata=self.metadata)
