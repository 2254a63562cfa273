"""Who calls in the ownership matrix, and what each owns, of every service."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from weft.api.v1 import mode_pb2, plan_pb2
from weft.notification.v1 import (
    category_pb2,
    device_service_pb2,
    device_service_pb2_grpc,
    event_service_pb2,
    event_service_pb2_grpc,
    inbox_service_pb2,
    inbox_service_pb2_grpc,
    notification_pb2,
    notification_service_pb2,
    notification_service_pb2_grpc,
    template_pb2,
    template_service_pb2,
    template_service_pb2_grpc,
    webhook_service_pb2,
    webhook_service_pb2_grpc,
)
from weft.user.v1 import partner_service_pb2, partner_service_pb2_grpc, user_service_pb2, user_service_pb2_grpc

from chassis import ids
from chassis.app import App
from chassis.security import modes
from chassis.storage.database import Query
from contract import Caller, Method
from services.user.consents.repository import ConsentRepository
from services.user.keys.authentication import PASSWORD, Authentication
from services.user.passkeys.domain import Passkey
from services.user.passkeys.repository import PasskeyRepository
from services.user.revocations.repository import RevocationRepository
from services.user.sessions.repository import SessionRepository
from tests.contract.ownership import ownership
from tests.contract.ownership.ownership import CONTRACT, Actor, Ids, World
from tests.harness import Harness
from tests.notification import sample_events as events
from tests.notification import users as notification_users
from tests.order import shop as shops
from tests.order import users as order_users
from tests.servers import until

POINT = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
"""On the curve P-256."""
SCOPES = " ".join(CONTRACT.scopes)
TEST = "_in_TEST"
_MEMBER = Query(
    "INSERT INTO members (partner_id, user_id, member_id, role, created_at) "
    "VALUES (%(partner)s, %(user)s, %(member)s, 'owner', now()) ON CONFLICT DO NOTHING"
)


def actors(harness: Harness, owners: Mapping[str, tuple[str, str]]) -> tuple[Actor, ...]:
    """Owners by group: the id of a user and that of a partner, either of them empty; an operator, and nobody.

    A group whose name ends with TEST is what a partner has in that mode; its customers do not sign in.
    """
    found = [
        Actor("nobody", None, "", refusal="TOKEN_MISSING"),
        Actor(
            "an expired token",
            None,
            "",
            harness.issuer.token(ids.new("usr"), SCOPES, roles=["admin"], lifetime=-61),
            refusal="TOKEN_EXPIRED",
        ),
        Actor(
            "a token for another audience",
            None,
            "",
            harness.issuer.token(ids.new("usr"), SCOPES, roles=["admin"], aud="elsewhere"),
            refusal="TOKEN_INVALID",
        ),
        Actor("an operator", Caller.OPERATOR, "", harness.issuer.operator(ids.new("usr"), SCOPES)),
    ]
    for group, (user, partner) in owners.items():
        mode = "TEST" if group.endswith(TEST) else "LIVE"
        if user and mode == "LIVE":
            # Of a generation that outlives what a call does to the account.
            token = harness.issuer.token(user, SCOPES, roles=["customer"], sid="ses_test", gen=10**6)
            found.append(Actor(f"the user of {group}", Caller.USER, group, token))
            claims = {"client_id": ids.new("cli"), "of_partner": ids.new("prt"), "sid": "ses_test", "gen": 10**6}
            token = harness.issuer.token(user, SCOPES, **claims)
            found.append(Actor(f"an app of the user of {group}", Caller.USER, group, token, app=True))
        if partner:
            token = harness.issuer.partner(partner, SCOPES, mode=mode)
            found.append(Actor(f"the partner of {group}", Caller.PARTNER, group, token))
        if partner and group == "acme":
            for role in ("viewer", "developer", "owner"):
                token = harness.issuer.member(partner, ids.new("usr"), role, " ".join(ownership.scopes_of(role)))
                found.append(Actor(f"a {role} of {group}", Caller.MEMBER, group, token, role))
    return tuple(found)


@asynccontextmanager
async def order_world(harness: Harness) -> AsyncIterator[World]:
    """Orders that partners' customers place, and one who buys by himself."""
    users, partners = ({name: ids.new(prefix) for name in ("acme", "zenith")} for prefix in ("usr", "prt"))
    known = order_users.Users()
    for group, user in users.items():
        known.add(user, partners[group])
    owners = {group: (users[group], partners[group]) for group in users} | {"ann": (ids.new("usr"), "")}
    owners["acme" + TEST] = (ids.new("usr"), partners["acme"])
    known.add(owners["acme" + TEST][0], partners["acme"], mode=mode_pb2.MODE_TEST)
    async with (
        order_users.serving(known, harness.certificates) as known.address,
        harness.running("order", peers={"user": [known.address]}, work=False) as running,
    ):
        shop = shops.Shop(running, harness.issuer)

        async def create(group: str) -> Ids:
            user, partner = owners[group]
            mode = "TEST" if group.endswith(TEST) else "LIVE"
            by_partner = harness.issuer.partner(partner, shops.SCOPES, mode=mode) if partner else ""
            token = by_partner or harness.issuer.user(user, SCOPES)
            product = await shop.product(token=by_partner)
            order = await shop.order((product, 1), token=token, customer_id=user)
            made = {"order_id": order.order_id, "payment_id": order.payment_id, "customer_id": user}
            return made | {"product_id": product}

        yield World(running, actors(harness, owners), create)


@asynccontextmanager
async def user_world(harness: Harness) -> AsyncIterator[World]:
    """Two partners with a customer and a client each."""

    async def build(app: App) -> None:
        await import_module("services.user.__main__").build(app)
        app.tokens.use(harness.issuer.jwks)  # the user service's own keys are not ours

    async with (
        harness.running("order", work=False) as order,
        harness.running("notification", work=False) as notification,
        harness.running(
            "user", build, work=False, peers={"order": [order.address], "notification": [notification.address]}
        ) as running,
    ):
        partner_rpc: Any = partner_service_pb2_grpc.PartnerServiceStub(running.channel)
        user_rpc: Any = user_service_pb2_grpc.UserServiceStub(running.channel)
        operator = [("authorization", harness.issuer.operator(ids.new("usr"), SCOPES))]
        granted = sorted(scope.name for scope in CONTRACT.scopes.values() if scope.partners)
        owners: dict[str, tuple[str, str]] = {}
        for group in ("acme", "zenith"):
            new = partner_service_pb2.CreatePartnerRequest(
                display_name=group, plan=plan_pb2.PLAN_STANDARD, scopes=granted
            )
            partner = (await partner_rpc.CreatePartner(new, metadata=operator)).partner_id
            token = [("authorization", harness.issuer.partner(partner, SCOPES))]
            user = await user_rpc.CreateUser(
                user_service_pb2.CreateUserRequest(email=f"{group}@example.com"), metadata=token
            )
            owners[group] = (user.user_id, partner)
        partner = owners["acme"][1]
        token = [("authorization", harness.issuer.partner(partner, SCOPES, mode="TEST"))]
        customer = user_service_pb2.CreateUserRequest(email="acme@example.com")
        owners["acme" + TEST] = ((await user_rpc.CreateUser(customer, metadata=token)).user_id, partner)

        async def create(group: str) -> Ids:
            user, partner = owners[group]
            mode = mode_pb2.MODE_TEST if group.endswith(TEST) else mode_pb2.MODE_LIVE
            new = partner_service_pb2.CreateClientRequest(
                partner_id=partner, display_name="Shop", scopes=granted, mode=mode
            )
            client = await partner_rpc.CreateClient(new, metadata=operator)
            await running.app.database.run(_MEMBER, partner=partner, user=user, member=ids.new("mbr"))
            passkey = Passkey(ids.new("pky"), user, os.urandom(16), b"key", 0, "Phone", False, datetime.now(UTC))
            async with running.app.database.transaction() as tx:
                await PasskeyRepository(running.app.database, running.app.vault).insert(tx, passkey)
                allowed = ConsentRepository(running.app.database)
                await allowed.put_consent(tx, user, client.client_id, ("orders.read",), datetime.now(UTC))
                session, now = ids.new("ses"), datetime.now(UTC)
                rows = SessionRepository(
                    RevocationRepository(running.app.database, running.app.clock), running.app.vault
                )
                await rows.insert(tx, session, user, session, Authentication((PASSWORD,), now))
            made = {"user_id": user, "partner_id": partner, "client_id": client.client_id}
            return {**made, "passkey_id": passkey.passkey_id, "session_id": session}

        async def prepare(method: Method, made: Ids) -> None:
            state = {"ReactivateUser": "INACTIVE", "UnlockUser": "LOCKED"}.get(method.name, "ACTIVE")
            set_state = Query("UPDATE users SET state = %(state)s WHERE user_id = %(user_id)s")
            await running.app.database.run(set_state, state=state, user_id=made["user_id"])

        yield World(running, actors(harness, owners), create, prepare)


@asynccontextmanager
async def notification_world(harness: Harness) -> AsyncIterator[World]:
    """Two people with notifications; two partners with messages and webhooks, one of them in TEST as well."""
    owners = {group: (ids.new("usr"), "") for group in ("ann", "bob")}
    owners |= {group: ("", ids.new("prt")) for group in ("acme", "zenith")}
    owners["acme" + TEST] = ("", owners["acme"][1])
    async with (
        notification_users.serving(harness.certificates) as people,
        harness.running("notification", peers={"user": [people.address]}, work=True) as running,
    ):
        people.everybody = True
        written: Any = template_service_pb2_grpc.TemplateServiceStub(running.channel)
        sending: Any = notification_service_pb2_grpc.NotificationServiceStub(running.channel)
        rpc: Any = event_service_pb2_grpc.EventServiceStub(running.channel)
        inbox: Any = inbox_service_pb2_grpc.InboxServiceStub(running.channel)
        devices: Any = device_service_pb2_grpc.DeviceServiceStub(running.channel)
        webhooks: Any = webhook_service_pb2_grpc.WebhookServiceStub(running.channel)

        operator = [("authorization", harness.issuer.operator(ids.new("usr"), SCOPES))]

        async def delivery_of(notification_id: str, token: list[tuple[str, str]]) -> str:
            of = notification_service_pb2.ListDeliveriesRequest(notification_id=notification_id)
            delivery, *_ = (await sending.ListDeliveries(of, metadata=token)).deliveries
            return str(delivery.delivery_id)

        async def send(group: str, partner: str) -> Ids:
            mode = "TEST" if group.endswith(TEST) else "LIVE"
            token = [("authorization", harness.issuer.partner(partner, SCOPES, mode=mode))]
            request = notification_service_pb2.SendNotificationRequest(
                recipients=[notification_pb2.Recipient(email="ann@example.com")],
                channels=[category_pb2.CHANNEL_INBOX],
                category=category_pb2.CATEGORY_UPDATES,
                content=notification_pb2.Content(subject="News"),
            )
            made = (await sending.SendNotification(request, metadata=token)).notifications[0].notification_id
            return {"notification_id": made, "notification_delivery_id": await delivery_of(made, token)}

        async def notify(user: str) -> Ids:
            order = ids.new("ord")
            await rpc.PublishEvents(event_service_pb2.PublishEventsRequest(events=[events.confirmed(user, order)]))
            token = [("authorization", harness.issuer.user(user, SCOPES))]
            found: list[str] = []

            async def arrived() -> bool:
                reply = await inbox.ListInbox(inbox_service_pb2.ListInboxRequest(), metadata=token)
                found[:] = [item.notification_id for item in reply.items if item.subject_id == order]
                return bool(found)

            await until(arrived, "the notification to arrive")
            subscription = {"endpoint": f"https://push.example/{order}", "p256dh": POINT, "auth": "A" * 22}
            device = device_service_pb2.RegisterDeviceRequest(user_id=user, **subscription)
            return {
                "notification_id": found[0],
                "user_id": user,
                "device_id": (await devices.RegisterDevice(device, metadata=token)).device_id,
                "notification_delivery_id": await delivery_of(found[0], operator),
            }

        async def tell(group: str, partner: str) -> Ids:
            mode = "TEST" if group.endswith(TEST) else "LIVE"
            token = [("authorization", harness.issuer.partner(partner, SCOPES, mode=mode))]
            # The oldest are given up: there is a limit, and each gets every event.
            listed = await webhooks.ListEndpoints(webhook_service_pb2.ListEndpointsRequest(), metadata=token)
            for one in listed.endpoints[3:]:
                old = webhook_service_pb2.DeleteEndpointRequest(endpoint_id=one.endpoint_id)
                await webhooks.DeleteEndpoint(old, metadata=token)
            new = webhook_service_pb2.CreateEndpointRequest(url="https://hooks.example/")
            endpoint_id = (await webhooks.CreateEndpoint(new, metadata=token)).endpoint_id
            event = events.placed(ids.new("usr"), partner_id=partner, mode=modes.to_message(mode))
            await rpc.PublishEvents(event_service_pb2.PublishEventsRequest(events=[event]))
            of_endpoint = webhook_service_pb2.ListWebhookDeliveriesRequest(endpoint_id=endpoint_id)
            (delivery,) = (await webhooks.ListWebhookDeliveries(of_endpoint, metadata=token)).deliveries
            return {"endpoint_id": endpoint_id, "event_id": event.event_id, "webhook_delivery_id": delivery.delivery_id}

        templates: dict[str, str] = {}

        async def template_of(group: str, partner: str) -> str:
            """One for all calls: there is a limit. That of a user is the platform's, which operators see."""
            mode = "TEST" if group.endswith(TEST) else "LIVE"
            token = [("authorization", harness.issuer.partner(partner, SCOPES, mode=mode))] if partner else operator
            if group not in templates:
                text = template_pb2.TemplateText(locale="en", subject="News", text="News")
                new = template_service_pb2.CreateTemplateRequest(title="News", texts=[text])
                templates[group] = (await written.CreateTemplate(new, metadata=token)).template_id
            return templates[group]

        which = {"delivery_id": "notification_delivery_id"}

        async def create(group: str) -> Ids:
            """Deliveries of both kinds; `delivery_id` is of the kind that the method at hand is about."""
            user, partner = owners[group]
            prefixes = {
                "endpoint_id": "whk",
                "event_id": "evt",
                "webhook_delivery_id": "whd",
                "user_id": "usr",
                "device_id": "dev",
            }
            made = {name: ids.new(prefix) for name, prefix in prefixes.items()}
            made |= await notify(user) if user else {**await send(group, partner), **await tell(group, partner)}
            return made | {
                "delivery_id": made[which["delivery_id"]],
                "template_id": await template_of(group, partner),
            }

        async def prepare(method: Method, made: Ids) -> None:
            webhook = ".WebhookService." in method.full_name
            which["delivery_id"] = "webhook_delivery_id" if webhook else "notification_delivery_id"
            made["delivery_id"] = made[which["delivery_id"]]

        yield World(running, actors(harness, owners), create, prepare)


WORLDS = {"weft.order.v1": order_world, "weft.user.v1": user_world, "weft.notification.v1": notification_world}
"""By the package of their RPCs."""
