"""Internal RPCs open to the services that their policy names, by certificate, and to nobody else."""

import pytest
from google.protobuf import descriptor_pool, message_factory

import contract
from contract import Method
from tests.harness import Harness, reason_of

INTERNAL = [method for method in contract.load().methods if method.internal]
CALLERS = sorted({package.split(".")[1] for package in contract.load().packages})


@pytest.mark.parametrize("service", sorted({method.package for method in INTERNAL}))
async def test_the_certificate_decides_who_calls_what(harness: Harness, service: str) -> None:
    name = service.split(".")[1]
    methods = [method for method in INTERNAL if method.package == service]
    async with harness.running(name) as running:
        outcomes = {
            (caller, method.full_name): await _reason(harness, name, running.address, caller, method)
            for caller in (*CALLERS, "edge", "internal")
            for method in methods
        }
    for (caller, full_name), reason in outcomes.items():
        (method,) = [method for method in methods if method.full_name == full_name]
        allowed = caller in method.internal_callers or caller == "internal"  # the harness trusts it, as an operator may
        assert (reason != "CALLER_NOT_ALLOWED") == allowed, (caller, full_name, reason)


async def _reason(harness: Harness, service: str, address: str, caller: str, method: Method) -> str:
    """Why an empty request was refused; empty where it was answered."""
    kind = message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(method.input))
    async with harness.channel(service, address, caller) as channel:
        if method.server_streaming:
            stream = channel.unary_stream(method.path, request_serializer=kind.SerializeToString)
            return await reason_of(stream(kind()).read())
        send = channel.unary_unary(method.path, request_serializer=kind.SerializeToString)
        return await reason_of(send(kind(), timeout=20))
