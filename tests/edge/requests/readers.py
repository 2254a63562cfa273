"""What both tests of the two readers go through."""

from google.protobuf.descriptor import FieldDescriptor

from tests.edge.laboratory import Laboratory


def fields(lab: Laboratory) -> list[FieldDescriptor]:
    """Of the message with every kind of field."""
    return list(lab.everything.DESCRIPTOR.fields)
