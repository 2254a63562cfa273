"""Which fields an update takes, of a resource with every kind of field."""

import pytest
from google.protobuf import message_factory

from chassis.errors import RequestInvalid
from chassis.rpc.requests import masks
from tests.contract.compiled import descriptors
from tests.contract.policies.samples import POLICY, ROUTE, service

MESSAGES = message_factory.GetMessages(
    descriptors(
        service(POLICY, ROUTE)
        + """
        message Thing {
          string thing_id = 1 [(google.api.field_behavior) = OUTPUT_ONLY];
          optional string title = 2;
          optional bool active = 3;
          repeated string tags = 4;
          optional string note = 5 [(google.api.field_behavior) = OPTIONAL];
          string etag = 6;
        }
        message UpdateThingRequest { Thing thing = 1; google.protobuf.FieldMask update_mask = 2; }
        """
    ).file
)
Request = MESSAGES["weft.lab.v1.UpdateThingRequest"]


def taken(paths: list[str], **fields: object) -> set[str]:
    return set(masks.fields(Request(thing=fields, update_mask={"paths": paths}), "thing"))


def test_without_a_mask_what_is_present_is_taken_zero_values_included() -> None:
    assert taken([], thing_id="x", etag="1", title="", active=False) == {"title", "active"}
    assert taken([], tags=["a"], note="") == {"tags", "note"}
    assert taken([]) == set()


def test_a_mask_takes_what_it_names_and_clears_what_is_optional() -> None:
    assert taken(["title"], title="a", active=False) == {"title"}
    assert taken(["title", "note"], title="a") == {"title", "note"}
    assert taken(["*"], title="a", active=False, tags=["b"]) == {"title", "active", "tags", "note"}


@pytest.mark.parametrize("path", ["thing_id", "etag", "unknown", "title.inner", "", "Title"])
def test_a_mask_names_only_what_can_be_updated(path: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        taken(["title", path], title="a")
    assert caught.value.violations == (
        ("update_mask", "must name only title, active, tags, note, or `*` for all of them"),
    )


def test_what_is_named_and_cannot_be_cleared_must_be_there() -> None:
    with pytest.raises(RequestInvalid) as caught:
        taken(["*"], title="a")
    assert [field for field, _ in caught.value.violations] == ["thing.active", "thing.tags"]
