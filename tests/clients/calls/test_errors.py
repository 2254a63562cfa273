"""One exception for each reason, under a few bases, with what the service said."""

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from weft_client import errors, failures
from weft_client.errors import WeftError

import contract
from codegen.python_client.errors import class_name
from contract import Reason

REASONS = list(contract.load().reasons.values())


@pytest.mark.parametrize("reason", REASONS, ids=lambda reason: f"{reason.domain}/{reason.name}")
def test_every_reason_is_an_exception_with_its_metadata(reason: Reason) -> None:
    metadata = {key: f"the {key}" for key in reason.metadata}
    status = status_pb2.Status(code=reason.code, message="Because.")
    info = error_details_pb2.ErrorInfo(reason=reason.name, domain=reason.domain, metadata=metadata)
    status.details.add().Pack(info)
    found = failures.from_status(status)
    assert type(found) is getattr(errors, class_name(reason))
    assert (found.code.value[0], found.reason, found.domain, found.metadata) == (
        reason.code,
        reason.name,
        reason.domain,
        metadata,
    )
    for key, value in metadata.items():
        assert getattr(found, key) == value


def test_all_that_a_status_says_arrives() -> None:
    made = errors.RequestInvalid(
        "The request breaks the contract.", violations=[errors.Violation("lines[0].quantity", "1 to 1000")]
    )
    made.domain = "weft.api.v1"
    status = failures.to_status(made)
    status.details.add().Pack(error_details_pb2.RequestInfo(request_id="the-service's"))
    found = failures.from_status(status, request_id="ours", attempts=2)
    assert isinstance(found, errors.RequestInvalid)
    assert (found.request_id, found.attempts) == ("the-service's", 2)
    assert found.violations == (errors.Violation("lines[0].quantity", "1 to 1000"),)
    expected = "The request breaks the contract. lines[0].quantity: 1 to 1000 [REQUEST_INVALID, request the-service's]"
    assert str(found) == expected


def test_a_reason_of_a_later_contract_is_its_base() -> None:
    status = status_pb2.Status(code=grpc.StatusCode.NOT_FOUND.value[0], message="No such thing.")
    info = error_details_pb2.ErrorInfo(reason="THING_NOT_FOUND", domain="weft.thing.v1", metadata={"thing_id": "x"})
    status.details.add().Pack(info)
    found = failures.from_status(status)
    assert type(found) is errors.NotFound
    assert (found.reason, found.metadata) == ("THING_NOT_FOUND", {"thing_id": "x"})


@pytest.mark.parametrize("code", list(grpc.StatusCode), ids=lambda code: code.name)
def test_every_code_has_a_base(code: grpc.StatusCode) -> None:
    found = failures.from_status(status_pb2.Status(code=code.value[0]))
    assert isinstance(found, WeftError)
    strange = (grpc.StatusCode.OK, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS, grpc.StatusCode.OUT_OF_RANGE)
    if code not in strange:
        assert found.code is code


def test_conflicts_are_caught_by_one_base() -> None:
    assert issubclass(errors.EtagMismatch, errors.Aborted)
    assert issubclass(errors.ExternalReferenceTaken, errors.AlreadyExists)
    assert issubclass(errors.Aborted, errors.Conflict)
    assert issubclass(errors.AlreadyExists, errors.Conflict)
