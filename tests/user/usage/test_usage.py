"""Calls of partners' clients are counted in the process, reported once, and listed by day."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from weft.api.v1.mode_pb2 import MODE_LIVE, MODE_TEST
from weft.api.v1.usage_pb2 import CountedCalls
from weft.user.v1 import usage_pb2, usage_pb2_grpc
from weft.user.v1.partner_service_pb2 import CreateClientRequest
from weft.user.v1.usage_pb2 import GetUsageRequest, ReportUsageRequest
from weft.user.v1.user_service_pb2 import GetUserRequest, ListUsersRequest

from chassis import ids
from chassis.telemetry import usage as counting
from chassis.telemetry.usage import Report, Usage
from tests.harness import assert_refused
from tests.user.world import Person, World

LIST, GET = "weft.user.v1.UserService.ListUsers", "weft.user.v1.UserService.GetUser"


async def listed(world: World, metadata: Any, partner_id: str, **more: Any) -> list[usage_pb2.UsageRow]:
    found: list[usage_pb2.UsageRow] = []
    token = ""
    while True:
        request = GetUsageRequest(partner_id=partner_id, page_size=2, page_token=token, **more)
        reply = await world.partners.GetUsage(request, metadata=metadata)
        found += reply.usage
        if not (token := reply.next_page_token):
            return found


async def test_calls_are_counted_by_client_method_and_outcome(world: World, operator: Person) -> None:
    partner = await world.partner(operator, scopes="users.read partners.admin")
    other = await world.partner(operator, "Other", scopes="partners.admin")
    made = {}
    for mode in (MODE_LIVE, MODE_TEST):
        request = CreateClientRequest(
            partner_id=partner.partner_id, display_name="Shop", scopes=list(partner.scopes), mode=mode
        )
        made[mode] = await world.partners.CreateClient(request, metadata=operator.metadata)
    live, test = [await world.client_metadata(client) for client in made.values()]
    for _ in range(3):
        await world.users.ListUsers(ListUsersRequest(), metadata=live)
    missing = GetUserRequest(user_id=ids.new("usr"))
    await assert_refused(world.users.GetUser(missing, metadata=live), "USER_NOT_FOUND")
    await world.users.ListUsers(ListUsersRequest(), metadata=test)
    await world.users.ListUsers(ListUsersRequest(), metadata=operator.metadata)  # nobody's client
    await world.app.usage.flush()

    seen = await listed(world, operator.metadata, partner.partner_id)
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    rows = {(row.client_id, row.mode, row.method, row.route, row.status): row.calls for row in seen}
    first, second = made[MODE_LIVE].client_id, made[MODE_TEST].client_id
    assert rows == {
        (first, MODE_LIVE, LIST, "GET /v1/users", "OK"): 3,
        (first, MODE_LIVE, GET, "GET /v1/users/{user_id}", "NOT_FOUND"): 1,
        (second, MODE_TEST, LIST, "GET /v1/users", "OK"): 1,
    }
    assert {row.day for row in seen} == {day}
    assert {row.client_id for row in await listed(world, live, partner.partner_id)} == {first}
    assert [(row.client_id, row.calls) for row in await listed(world, test, partner.partner_id)] == [(second, 1)]
    await assert_refused(
        world.partners.GetUsage(GetUsageRequest(partner_id=other.partner_id), metadata=live), "PARTNER_NOT_FOUND"
    )


async def test_a_report_that_comes_again_adds_nothing(world: World, operator: Person) -> None:
    partner = await world.partner(operator)
    stub: Any = usage_pb2_grpc.UsageServiceStub(world.running.channel)
    named = {"partner_id": partner.partner_id, "client_id": ids.new("cli"), "method": LIST}

    def report(*counted: tuple[int, int]) -> ReportUsageRequest:
        rows = [CountedCalls(day=day, calls=calls, outcome="OK", mode=MODE_LIVE, **named) for day, calls in counted]
        return ReportUsageRequest(report_id=ids.new("rpt"), counted=rows)

    once = report((20_000, 5), (20_001, 7))
    await asyncio.gather(*(stub.ReportUsage(once) for _ in range(4)), stub.ReportUsage(report((20_001, 1))))
    found = await listed(world, operator.metadata, partner.partner_id)
    assert [(row.day, row.calls) for row in found] == [("2024-10-05", 8), ("2024-10-04", 5)]
    for start, end, days in (
        ("2024-10-05T23:00:00Z", "", ["2024-10-05"]),
        ("", "2024-10-05T00:00:00Z", ["2024-10-04"]),
        ("", "2024-10-05T00:00:01Z", ["2024-10-05", "2024-10-04"]),
    ):
        request = GetUsageRequest(partner_id=partner.partner_id)
        if start:
            request.start_time.FromJsonString(start)
        if end:
            request.end_time.FromJsonString(end)
        reply = await world.partners.GetUsage(request, metadata=operator.metadata)
        assert [row.day for row in reply.usage] == days


async def test_what_is_not_received_is_sent_again_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    received: list[Report] = []
    down = True

    async def send(report: Report) -> None:
        received.append(report)
        if down:
            raise ConnectionError

    monkeypatch.setattr(counting, "MAX_REPORTS", 2)
    usage = Usage(send)
    for calls in (1, 2, 3):
        for _ in range(calls):
            usage.count("prt_1", "cli_1", "LIVE", LIST, "OK")
        await usage.flush()
    down = False
    await usage.flush()
    first, kept, again, *_ = received
    assert first.report_id == kept.report_id  # the first two flushes; at the third it was dropped
    totals = {report.report_id: [calls for _, calls in report.rows] for report in received}
    assert list(totals.values()) == [[1], [2], [3]]
    assert again.report_id == next(r for r, counts in totals.items() if counts == [2])
    assert len(received) == 5
