"""Every rule that contracts keep to, broken once: the check says what is wrong and what to write."""

import pytest

from contract import Contract, checks
from tests.contract.compiled import contract, descriptors

_POLICY = "callers: [CALLER_USER] scope: SCOPE_ORDERS_WRITE rate: RATE_CLASS_WRITE deadline: {seconds: 5}"
_PATTERN = '[(google.api.field_behavior) = REQUIRED, (buf.validate.field).string.pattern = "^lab_[0-7][0-9a-hjkmnp-tv-z]{25}$"]'
GOOD = f"""
// The laboratory.
service LabService {{
  // Returns a thing.
  rpc GetThing(GetThingRequest) returns (Thing) {{
    option idempotency_level = NO_SIDE_EFFECTS;
    option (google.api.http) = {{get: "/v1/things/{{thing_id}}"}};
    option (weft.api.v1.method) = {{{_POLICY}}};
  }}
  // Lists things.
  rpc ListThings(ListThingsRequest) returns (ListThingsResponse) {{
    option idempotency_level = NO_SIDE_EFFECTS;
    option (google.api.http) = {{get: "/v1/things"}};
    option (weft.api.v1.method) = {{{_POLICY}}};
  }}
  // Creates a thing.
  rpc CreateThing(CreateThingRequest) returns (Thing) {{
    option (google.api.http) = {{post: "/v1/things" body: "*"}};
    option (weft.api.v1.method) = {{{_POLICY} key: IDEMPOTENCY_KEY_REQUIRED success: 201 errors: ["GONE"]}};
  }}
  // Updates a thing.
  rpc UpdateThing(UpdateThingRequest) returns (Thing) {{
    option idempotency_level = IDEMPOTENT;
    option (google.api.http) = {{patch: "/v1/things/{{thing.thing_id}}" body: "thing"}};
    option (weft.api.v1.method) = {{{_POLICY}}};
  }}
  // Counts a thing.
  rpc CountThing(CountThingRequest) returns (Thing) {{
    option (google.api.http) = {{post: "/v1/things/{{thing_id}}:count" body: "*"}};
    option (weft.api.v1.method) = {{{_POLICY} key: IDEMPOTENCY_KEY_NONE keyless_because: "It only counts."}};
  }}
}}
// A thing.
message Thing {{
  // Its id.
  string thing_id = 1 [(google.api.field_behavior) = OUTPUT_ONLY, (buf.validate.field).string.max_len = 40];
  // Its version.
  string etag = 2 [(google.api.field_behavior) = OUTPUT_ONLY, (buf.validate.field).string.max_len = 40];
  // Where it writes to.
  optional string email = 3 [(buf.validate.field).string.max_len = 40, (weft.api.v1.sensitivity) = SENSITIVITY_PERSONAL, debug_redact = true];
}}
// Request for GetThing.
message GetThingRequest {{
  // The thing.
  string thing_id = 1 {_PATTERN};
}}
// Request for ListThings.
message ListThingsRequest {{
  // The maximum number.
  int32 page_size = 1 [(buf.validate.field).int32.gte = 0];
  // From a previous response.
  string page_token = 2 [(buf.validate.field).string.max_len = 1000];
}}
// Response of ListThings.
message ListThingsResponse {{
  // The things.
  repeated Thing things = 1;
  // Where the next page begins.
  string next_page_token = 2;
}}
// Request for CreateThing.
message CreateThingRequest {{
  // What it is called.
  string title = 1 [(google.api.field_behavior) = REQUIRED, (buf.validate.field).string.min_len = 1, (buf.validate.field).string.max_len = 9];
  // How many.
  int32 count = 2 [(google.api.field_behavior) = REQUIRED, (buf.validate.field).int32.not_in = 0];
  // What opens it.
  string secret = 3 [(buf.validate.field).string.max_len = 9, (weft.api.v1.sensitivity) = SENSITIVITY_SECRET, debug_redact = true];
}}
// Request for UpdateThing.
message UpdateThingRequest {{
  // The thing.
  Thing thing = 1 [(google.api.field_behavior) = REQUIRED, (buf.validate.field).required = true];
  // What to change.
  google.protobuf.FieldMask update_mask = 2;
}}
// Request for CountThing.
message CountThingRequest {{
  // The thing.
  string thing_id = 1 {_PATTERN};
}}
// Why a call failed.
enum ErrorReason {{
  // Not a reason.
  ERROR_REASON_UNSPECIFIED = 0;
  // It is gone.
  GONE = 1 [(weft.api.v1.reason) = {{code: NOT_FOUND}}];
}}
"""


def test_a_contract_that_keeps_to_the_rules_passes() -> None:
    assert checks.faults(contract(GOOD)) == []


LAB = "LabService."
BROKEN = [
    ("ListThingsRequest", "ListRequest", LAB + "ListThings takes weft.lab.v1.ListRequest: call its request ListThingsRequest."),
    ('get: "/v1/things"', 'post: "/v1/things:list" body: "*"', LAB + "ListThings is a POST: a method called List… is a GET."),
    ("returns (ListThingsResponse)", "returns (stream ListThingsResponse)", LAB + "ListThings has the wrong name or reply: methods called Watch… return a stream, and no others do."),
    ("int32 page_size = 1 [(buf.validate.field).int32.gte = 0]", "int32 page_size = 1", LAB + "ListThings has no page size: write `int32 page_size = 1 [(buf.validate.field).int32.gte = 0];`."),
    ("max_len = 1000", "max_len = 100", LAB + "ListThings has no page token: write `string page_token = 2 [(buf.validate.field).string.max_len = 1000];`."),
    ("string next_page_token", "string next_token", LAB + "ListThings returns no next page: write `string next_page_token = 2;` in ListThingsResponse."),
    ("repeated Thing things", "Thing things", LAB + "ListThings returns ListThingsResponse with more or fewer than one list: write one repeated field."),
    ("ListThings(", "SeeThings(", LAB + "SeeThings takes a page_token: call it List…, or drop the field."),
    ("google.protobuf.FieldMask update_mask", "google.protobuf.FieldMask mask", LAB + "UpdateThing takes no resource with a mask: write the resource as a field, name it in the route's `body`, and add `google.protobuf.FieldMask update_mask = 2;`."),
    ("string etag", "string version", LAB + "UpdateThing returns Thing, which has no etag: add `string etag` to it."),
    (" success: 201", "", LAB + "CreateThing creates a resource and succeeds with 200: write `success: 201`."),
    ('post: "/v1/things"', 'post: "/things"', LAB + "CreateThing has the path /things: write it as `/v1/things/{thing_id}:verb`."),
    (":count", ":number", LAB + "CountThing has the custom verb `:number`: begin the method's name with it."),
    ("(google.api.field_behavior) = REQUIRED, (buf.validate.field).string.pattern", "(buf.validate.field).string.pattern", "GetThingRequest.thing_id is part of a route and not REQUIRED: write `(google.api.field_behavior) = REQUIRED`."),
    (".string.pattern = \"^lab_[0-7][0-9a-hjkmnp-tv-z]{25}$\"", ".string = {min_len: 1 max_len: 9}", "GetThingRequest.thing_id is part of a route and has no pattern: write `(buf.validate.field).string.pattern = \"^ord_[0-7][0-9a-hjkmnp-tv-z]{25}$\"`."),
    (".string.min_len = 1, (buf", ".string.min_len = 0, (buf", "CreateThingRequest.title is REQUIRED and takes its zero value, which is what a field has that was left out: write a bound that refuses it, such as `string.min_len = 1`, `repeated.min_items = 1`, `int32.gte = 1` or `enum.not_in = 0`."),
    ("int32.not_in = 0", "int32.not_in = 1", "CreateThingRequest.count is REQUIRED and takes its zero value, which is what a field has that was left out: write a bound that refuses it, such as `string.min_len = 1`, `repeated.min_items = 1`, `int32.gte = 1` or `enum.not_in = 0`."),
    (", (buf.validate.field).required = true", "", "UpdateThingRequest.thing is REQUIRED and may be left out: write `(buf.validate.field).required = true`."),
    ("SENSITIVITY_SECRET", "SENSITIVITY_PERSONAL", "CreateThingRequest.secret is named like a secret: write `(weft.api.v1.sensitivity) = SENSITIVITY_SECRET`."),
    ("(weft.api.v1.sensitivity) = SENSITIVITY_PERSONAL", "(weft.api.v1.sensitivity) = SENSITIVITY_SECRET", "Thing.email is named like personal data: write `(weft.api.v1.sensitivity) = SENSITIVITY_PERSONAL`."),
    ("SENSITIVITY_PERSONAL, debug_redact = true", "SENSITIVITY_PERSONAL", "Thing.email has a sensitivity or `debug_redact`, and not both: write `debug_redact = true`."),
    ("  // Its id.\n", "", "Thing.thing_id has no comment of whole sentences: say what it is, and end with a full stop."),
    ("// It is gone.", "// Gone", "ErrorReason.GONE has no comment of whole sentences: say what it is, and end with a full stop."),
    ("It only counts.", "it counts", LAB + "CountThing says 'it counts' under `keyless_because`: write a whole sentence."),
    (' errors: ["GONE"]', "", "ErrorReason.GONE is declared by no RPC: list it under an RPC's `errors`, or drop it."),
    (", (buf.validate.field).string.max_len = 9];\n  // How", "];\n  // How", "CreateThingRequest.title has no upper bound: write `(buf.validate.field).string.max_len = 100`."),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "sentence"), BROKEN, ids=[sentence[:50] for _, _, sentence in BROKEN])
def test_a_broken_rule_is_told_with_what_to_write(old: str, new: str, sentence: str) -> None:
    assert old in GOOD
    found = checks.faults(contract(GOOD.replace(old, new)))
    assert f"weft.lab.v1.{sentence}" in found


def test_all_faults_are_told_at_once_with_those_of_the_policies() -> None:
    text = GOOD.replace("// It is gone.", "// Gone").replace("string etag", "string version")
    read = Contract(descriptors(text.replace('keyless_because: "It only counts."', "")), tolerant=True)
    assert [sentence.split()[0].removeprefix("weft.lab.v1.") for sentence in [*read.faults, *checks.faults(read)]] == [
        "LabService.CountThing",
        "LabService.UpdateThing",
        "ErrorReason.GONE",
    ]


def test_a_rule_that_is_not_known_hides_no_other_fault() -> None:
    text = GOOD.replace(".string.min_len = 1, (buf", ".string.max_bytes = 1, (buf").replace(
        "string etag", "string version"
    )
    found = checks.faults(contract(text.replace("SENSITIVITY_PERSONAL, debug_redact = true", "SENSITIVITY_PERSONAL")))
    assert [sentence.split()[0].removeprefix("weft.lab.v1.") for sentence in found] == [
        "CreateThingRequest.title:",
        "LabService.UpdateThing",
        "Thing.email",
    ]
