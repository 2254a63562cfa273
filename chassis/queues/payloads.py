"""What a job holds, as an operator may see it: nothing personal, no secrets."""

import re

from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.message import DecodeError, Message
from weft.api.v1.event_pb2 import Event

MAX_LENGTH = 20_000
_ID = re.compile(rb"[a-z]{3}_[0-7][0-9a-hjkmnp-tv-z]{25}")


def shown(payload: bytes) -> str:
    """An event as JSON without its sensitive fields; an id as it is; of anything else the size."""
    if _ID.fullmatch(payload):
        return payload.decode()
    try:
        event = Event.FromString(payload)
    except DecodeError:
        return _size(payload)
    if not event.event_id.startswith("evt_"):
        return _size(payload)
    return _event(event)[:MAX_LENGTH]


def _event(event: Event) -> str:
    """What is packed in an event is left out where this service does not know its type."""
    try:
        described = descriptor_pool.Default().FindMessageTypeByName(event.payload.TypeName())
        inner = message_factory.GetMessageClass(described)()
        event.payload.Unpack(inner)
    except (KeyError, DecodeError):
        event.ClearField("payload")
    else:
        _clear(inner)
        event.payload.Pack(inner)
    return json_format.MessageToJson(event, indent=None)


def _clear(message: Message) -> None:
    for field, value in message.ListFields():
        if field.GetOptions().debug_redact:
            message.ClearField(field.name)
        elif field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for part in value if field.is_repeated else [value]:
                _clear(part)


def _size(payload: bytes) -> str:
    return f"{len(payload)} bytes" if payload else ""
