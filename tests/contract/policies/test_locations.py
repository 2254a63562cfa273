"""Where a created resource is: the GET of the same service or package that returns it."""

import re

import pytest

from contract import Contract, ContractError
from tests.contract.compiled import contract

_POLICY = "callers: [CALLER_USER] scope: SCOPE_ORDERS_WRITE rate: RATE_CLASS_WRITE deadline: {seconds: 5}"
CREATE = f"""
  rpc CopyThing(CopyThingRequest) returns (Thing) {{
    option (google.api.http) = {{post: "/v1/things/{{thing_id}}:copy" body: "*"}};
    option (weft.api.v1.method) = {{{_POLICY} key: IDEMPOTENCY_KEY_REQUIRED success: 201}};
  }}
"""
MESSAGES = """
message Thing { string shelf_id = 1; string thing_id = 2; }
message CopyThingRequest { string thing_id = 1; }
message GetThingRequest { string shelf_id = 1; string thing_id = 2; }
"""


def get(path: str, reply: str = "Thing") -> str:
    return f"""
      rpc GetThing(GetThingRequest) returns ({reply}) {{
        option idempotency_level = NO_SIDE_EFFECTS;
        option (google.api.http) = {{get: "{path}"}};
        option (weft.api.v1.method) = {{{_POLICY}}};
      }}
    """


def location(read: Contract) -> str:
    return next(method.location for method in read.methods if method.name == "CopyThing")


def test_a_custom_verb_that_creates_sends_the_path_of_its_resource() -> None:
    route = "/v1/shelves/{shelf_id}/things/{thing_id}"
    assert location(contract(f"service LabService {{ {CREATE} {get(route)} }} {MESSAGES}")) == route


def test_the_get_may_be_of_another_service_of_the_package() -> None:
    text = f"service CopyService {{ {CREATE} }} service LabService {{ {get('/v1/things/{thing_id}')} }} {MESSAGES}"
    assert location(contract(text)) == "/v1/things/{thing_id}"


@pytest.mark.parametrize(
    "gets",
    ["", get("/v1/things:latest"), get("/v1/things/{thing_id}", "GetThingRequest")],
    ids=["there is none", "it names no resource", "it returns another message"],
)
def test_201_without_such_a_get_is_refused(gets: str) -> None:
    sentence = "CopyThing succeeds with 201, and no GET of weft.lab.v1 that names its resource in its path returns"
    with pytest.raises(ContractError, match=re.escape(sentence)):
        contract(f"service LabService {{ {CREATE} {gets} }} {MESSAGES}")
