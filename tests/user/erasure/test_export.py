"""A person's data is exported from all three services."""

import json
from typing import Any

from google.protobuf import json_format
from weft.user.v1.personal_data_pb2 import ExportUserDataRequest

from services.user.erasure.repository import PersonRepository
from tests.servers import until
from tests.user.erasure.mesh import Mesh
from tests.user.users.calls import update
from tests.user.world import Person, World


async def exported(world: World, person: Person, size: int = 0) -> list[Any]:
    """Every page, as JSON."""
    found, token = [], ""
    while True:
        request = ExportUserDataRequest(user_id="me", page_size=size, page_token=token)
        reply = await world.users.ExportUserData(request, metadata=person.metadata)
        found += [json_format.MessageToDict(record) for record in reply.records]
        token = reply.next_page_token
        if not token:
            return found


async def test_an_export_has_everything_from_all_services_and_no_secret(mesh: Mesh) -> None:
    world, ada = mesh.world, await mesh.world.person("ada")
    await update(world, ada.metadata, "me", given_name="Adamark")
    orders = {await mesh.order_of(ada) for _ in range(3)}
    await mesh.order_of(await world.person("bob"), "not Ada's")
    for order_id in orders:
        await until(lambda order_id=order_id: mesh.has_notified(ada, order_id), "the notification to arrive")
    records = await exported(world, ada)
    kinds = {record["type"] for record in records}
    assert {"user", "sessions", "audit_event", "order", "notification"} <= kinds
    assert records[0]["data"]["givenName"] == "Adamark"
    (session,) = (record["data"] for record in records if record["type"] == "sessions")
    assert session["place"].startswith("a program\n2001:db8:")
    # The tables that hold something of a person besides: with rows, they are in the export by their names.
    shown = {name for name, _ in PersonRepository(world.app.database, world.app.vault)._reads}
    assert shown == {"authorization_codes", "code_requests", "consents", "known_devices", "members", "passkeys",
                     "sessions", "totp_factors", "totp_enrolments"}  # fmt: skip
    assert {r["recordId"] for r in records if r["type"] == "order"} == orders
    assert {r["data"]["shippingAddress"]["lines"][0] for r in records if r["type"] == "order"} == {"Herrengasse 9"}
    assert {r["data"]["subjectId"] for r in records if r["type"] == "notification"} >= orders
    text = json.dumps(records)
    for secret in ("password", "_sealed", "_hash", "not Ada's", "argon2"):
        assert secret not in text, secret
    pages = await exported(world, ada, 1)
    assert sorted(r["recordId"] for r in pages) == sorted(r["recordId"] for r in records)
