"""Whatever a request holds, the service's loop is busy with it for less than 50 ms: over every RPC of the contract."""

import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from chassis import errors, times
from chassis.rpc.requests import size_limits, validation
from contract import Method, sizes
from tests.contract.sizes import requests
from tests.contract.sizes.pace import MOST_S, RUNS, is_short
from tests.contract.sizes.requests import CONTRACT

every_method = pytest.mark.parametrize("method", CONTRACT.methods, ids=lambda method: method.full_name)


def busy(run: Callable[[], object]) -> float:
    """Seconds of this thread's CPU time that a call takes, the least of up to ten runs: other load makes it only longer."""
    least = float("inf")
    for _ in range(RUNS):
        begun = time.thread_time()
        run()
        least = min(least, time.thread_time() - begun)
        if least < MOST_S:
            break
    return least


def answered(read: Callable[[bytes], object], data: bytes) -> errors.WeftError | None:
    """Read a request, and write the status where it is refused; what it was refused with."""
    refused = None
    try:
        read(data)
    except errors.WeftError as error:
        refused = error
        error.status("r" * 32)
    return refused


@every_method
def test_hostile_requests_are_as_large_as_may_be_and_read_or_refused(method: Method) -> None:
    read = validation.reader(method, CONTRACT)
    most = sizes.largest_body(method, CONTRACT)
    for name, data in requests.hostile(method):
        assert len(data) <= most, name
        answered(read, data)


@pytest.mark.soak
@every_method
def test_the_largest_requests_keep_the_loop_busy_for_less_than_50_ms(method: Method) -> None:
    read = validation.reader(method, CONTRACT)
    for name, data in requests.hostile(method):
        assert is_short(busy(lambda data=data: answered(read, data))), name


@every_method
def test_a_request_above_the_bound_is_refused_unparsed(method: Method) -> None:
    read = validation.reader(method, CONTRACT)
    refused = answered(read, b"\xff" * (sizes.largest_body(method, CONTRACT) + 1))
    assert isinstance(refused, errors.BodyTooLarge)


@every_method
def test_what_is_no_protobuf_is_refused_as_malformed(method: Method) -> None:
    assert isinstance(answered(validation.reader(method, CONTRACT), b"\xff\xff"), errors.MessageMalformed)


@every_method
def test_a_text_with_a_nul_is_refused_by_its_name(method: Method) -> None:
    read = validation.reader(method, CONTRACT)
    descriptor = CONTRACT.pool.FindMessageTypeByName(method.input)
    for steps in requests.fields(descriptor, {FieldDescriptor.TYPE_STRING}):
        request = requests.empty(method)
        path = requests.put(request, steps, "a\0")
        with pytest.raises(errors.RequestInvalid) as caught:
            read(request.SerializeToString())
        assert caught.value.violations == ((path, size_limits.NUL),)


@every_method
def test_times_and_durations_beyond_their_range_are_refused_by_name_and_those_within_are_taken(method: Method) -> None:
    read = validation.reader(method, CONTRACT)
    descriptor = CONTRACT.pool.FindMessageTypeByName(method.input)
    for kind, worst, least, most in (
        (Timestamp, Timestamp(seconds=10**12), Timestamp(seconds=-62135596800), Timestamp(seconds=253402300799)),
        (Duration, Duration(seconds=10**12), Duration(seconds=-315576000000), Duration(seconds=315576000000)),
    ):
        for steps in requests.fields(descriptor, {kind.DESCRIPTOR.full_name}):
            for value, fits in ((worst, False), (kind(nanos=-1, seconds=1), False), (least, True), (most, True)):
                request = requests.empty(method)
                path = requests.put(request, steps, value)
                refused = answered(read, request.SerializeToString())
                fields = dict(refused.violations) if refused else {}
                assert (path in fields) != fits, value
                if fits and kind is Timestamp:
                    times.clamped(value) - timedelta(days=365), times.clamped(value) + timedelta(days=365)


@every_method
def test_no_violation_quotes_a_regular_expression_or_hides_the_names_of_an_enum(method: Method) -> None:
    read = validation.reader(method, CONTRACT)
    descriptor = CONTRACT.pool.FindMessageTypeByName(method.input)
    for steps in requests.fields(descriptor, {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_ENUM}):
        request = requests.empty(method)
        enum = steps[-1].enum_type
        path = requests.put(request, steps, "-" if enum is None else 99)
        refused = answered(read, request.SerializeToString())
        said = dict(refused.violations).get(path, "") if refused else ""
        assert "regex" not in said
        assert "^" not in said
        named = enum is None or any(value.name in said for value in enum.values[1:])
        assert named or path not in dict(refused.violations if refused else ())
