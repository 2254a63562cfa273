"""ListAuditEvents: filters, pages, and that every page is found by an index."""

from datetime import timedelta

import psycopg
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from weft.user.v1 import audit_service_pb2_grpc
from weft.user.v1.audit_service_pb2 import ListAuditEventsRequest
from weft.user.v1.auth_service_pb2 import SignOutRequest

from chassis.storage import database
from services.user.audit import repository
from tests.harness import assert_refused
from tests.user.world import World


def at(time) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(time)
    return stamp


async def test_events_are_found_by_actor_subject_action_and_time(world: World) -> None:
    audit = audit_service_pb2_grpc.AuditServiceStub(world.running.channel)
    operator = await world.operator()
    begun = world.clock.now()
    world.clock.advance(timedelta(minutes=1))
    partner = await world.partner(operator)
    world.clock.advance(timedelta(minutes=1))
    client = await world.client(operator, partner)
    world.clock.advance(timedelta(minutes=1))
    person = await world.person("ada")

    async def found(**filters) -> list[str]:
        seen, token = [], ""
        while True:
            request = ListAuditEventsRequest(page_size=2, page_token=token, **filters)
            page = await audit.ListAuditEvents(request, metadata=operator.metadata)
            seen += page.audit_events
            token = page.next_page_token
            if not token:
                return [event.action for event in seen]

    assert "user.created" in (await found())[-2:]
    assert len(await found()) == 7
    assert await found(actor=operator.user_id) == ["client.created", "partner.created", "session.opened"]
    assert await found(subject=client.client_id) == ["client.created"]
    assert await found(action="session.opened", actor=person.user_id) == ["session.opened"]
    first, last = begun + timedelta(minutes=1), begun + timedelta(minutes=2)
    assert await found(create_time_from=at(first), create_time_to=at(last)) == ["partner.created"]
    assert await found(create_time_from=at(last), actor=operator.user_id) == ["client.created"]
    page = await audit.ListAuditEvents(
        ListAuditEventsRequest(subject=partner.partner_id), metadata=[*operator.metadata, *world.at("203.0.113.9")]
    )
    (event,) = page.audit_events
    assert (event.actor, event.network_address, event.session_id[:4]) == (operator.user_id, "127.0.0.1", "ses_")
    for metadata, reason in ((person.metadata, "CALLER_NOT_ALLOWED"), ([], "TOKEN_MISSING")):
        await assert_refused(audit.ListAuditEvents(ListAuditEventsRequest(), metadata=metadata), reason)
    await world.auth.SignOut(SignOutRequest(), metadata=operator.metadata)


@pytest.mark.parametrize(
    ("names", "index"),
    [
        ((), "audit_events_pkey"),
        (("start", "end"), "audit_events_pkey"),
        (("actor",), "audit_events_by_actor"),
        (("subject", "start", "end"), "audit_events_by_subject"),
        (("action",), "audit_events_by_action"),
        (("actor", "subject", "action", "start", "end"), "audit_events_by_"),
    ],
)
def test_every_page_is_found_by_an_index_in_its_order(
    postgres_url: str, service_database, names: tuple[str, ...], index: str
) -> None:
    sql = repository._list(frozenset(names)).sql
    url = database.of_service(postgres_url, service_database("user"), "user")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET enable_seqscan = off; SET enable_sort = off; SET enable_bitmapscan = off")
        values = dict.fromkeys((*names, "after"), "x") | {"limit": 51}
        plan = "\n".join(row[0] for row in connection.execute(f"EXPLAIN {sql}", values))
    assert f"Index Scan Backward using {index}" in plan, plan
    assert "Sort" not in plan, plan
