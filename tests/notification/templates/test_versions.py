"""Versions of templates: pinned when a message is accepted, rendered for its reader; a draft for who has written it."""

import asyncio
from typing import Any

from weft.notification.v1 import inbox_service_pb2
from weft.notification.v1 import notification_service_pb2 as sending
from weft.notification.v1 import template_service_pb2 as pb
from weft.notification.v1.category_pb2 import CATEGORY_UPDATES, CHANNEL_EMAIL, CHANNEL_INBOX
from weft.notification.v1.notification_pb2 import Notification, Recipient
from weft.notification.v1.template_pb2 import Branding, TemplateText

from chassis import ids
from chassis.storage.database import Query
from services.notification.sealed_content import CONTEXT
from services.notification.templates.domain import MAX_TESTS
from tests.harness import assert_refused
from tests.notification.conftest import Service
from tests.notification.requests.calls import ACME, CONTENT, Caller, customer
from tests.notification.templates.calls import DATA, ENGLISH, GERMAN, SCOPES, Author, struct


async def test_a_message_has_the_version_that_was_published_when_it_was_accepted(service: Service) -> None:
    author, acme = Author(service), Caller(service)
    branding = Branding(sender_name="Acme <x>\r\nBcc: b@example.com", colour="#ffeedd", footer="Acme & Co")
    template = await author.create(ENGLISH, GERMAN, branding=branding)
    made = template.template_id
    assert (template.published_version, template.partner_id) == (0, ACME)

    def send(user: Any, data: dict[str, Any] = DATA, **more: Any) -> Any:
        request = {
            "channels": [CHANNEL_EMAIL, CHANNEL_INBOX],
            "every_channel": True,
            "category": CATEGORY_UPDATES,
            **more,
        }
        message = sending.SendNotificationRequest(recipients=[user], template_id=made, data=struct(data), **request)
        return acme.rpc.SendNotification(message, metadata=acme.metadata)

    ann, uli = customer(service, display_name="Ann"), customer(service, display_name="Uli", locale="de-AT")
    await assert_refused(send(ann), "TEMPLATE_NOT_PUBLISHED")
    assert (await author.publish(made)).published_version == 1
    await assert_refused(send(ann, {"parcel": {"number": "P7"}}), "REQUEST_INVALID", violations={"data": ""})
    (later,) = (await send(ann)).notifications
    assert (later.template_id, later.template_version) == (made, 1)
    await send(uli)
    # A draft changes nothing until it is published, and then nothing that was accepted before.
    await assert_refused(author.update(made, etag="1", title="x"), "ETAG_MISMATCH")
    await author.update(made, texts=[TemplateText(locale="en", subject="new", text="new")])
    await service.wait_until_idle()
    mails = {str(mail["To"]).partition(" ")[0]: mail for mail in service.receiver.mails}
    assert (mails["Ann"]["Subject"], mails["Uli"]["Subject"]) == ("Ann, P7 waits", "P7 wartet")
    assert mails["Ann"].get_body(("plain",)).get_content().strip() == "It costs 1,234.56 EUR."
    assert mails["Uli"].get_body(("plain",)).get_content().strip() == "Kosten: 1.234,56 EUR."
    html = mails["Ann"].get_body(("html",)).get_content()
    assert 'href="#">&lt;b&gt;bold&lt;/b&gt;<' in html
    assert "#ffeedd" in html
    assert "Acme &amp; Co" in html
    assert mails["Ann"].get_all("From") == ['"Acme <x> Bcc: b@example.com" <no-reply@weft.local>']
    assert mails["Ann"]["Bcc"] is None
    inbox = await service.inbox.ListInbox(inbox_service_pb2.ListInboxRequest(), metadata=service.as_user(ann.user_id))
    assert [(item.title, item.body) for item in inbox.items] == [("Ann, P7 waits", "P7 waits")]
    # Who has no account is called what the data says, or nothing.
    await send(Recipient(email="bo@example.com"), {**DATA, "name": "Bo <b>"})
    await send(Recipient(email="nobody@example.com"))
    await service.wait_until_idle()
    mails = {str(mail["To"]): mail for mail in service.receiver.mails}
    assert "Hello Bo &lt;b&gt;:" in mails['"Bo <b>" <bo@example.com>'].get_body(("html",)).get_content()
    assert mails["nobody@example.com"]["Subject"] == ", P7 waits"
    await author.publish(made)
    assert (await send(ann)).notifications[0].template_version == 2

    shown = await author.preview(made, locale="de")
    assert (shown.content.subject, shown.locale) == ("new", "en")
    await author.update(made, texts=[ENGLISH])
    named = [await author.preview(made, data=struct(data)) for data in (DATA, {**DATA, "name": "Uli"})]
    assert [one.content.subject for one in named] == ["Ann, P7 waits", "Uli, P7 waits"]
    await assert_refused(author.preview(made, data=struct({})), "TEMPLATE_NOT_RENDERED")
    # Another partner and the other mode know nothing of it.
    for stranger in (Author(service, ids.new("prt")), Author(service, mode="TEST")):
        await assert_refused(stranger.preview(made), "TEMPLATE_NOT_FOUND")
        await assert_refused(stranger.publish(made), "TEMPLATE_NOT_FOUND")
        message = sending.SendNotificationRequest(
            recipients=[ann], template_id=made, channels=[CHANNEL_EMAIL], category=CATEGORY_UPDATES
        )
        rpc: Any = acme.rpc
        await assert_refused(rpc.SendNotification(message, metadata=stranger.metadata), "TEMPLATE_NOT_FOUND")
    # The inbox is there without the user service, too.
    service.users.down = True
    inbox = await service.inbox.ListInbox(inbox_service_pb2.ListInboxRequest(), metadata=service.as_user(ann.user_id))
    assert inbox.items[-1].title == ", P7 waits"


async def test_a_draft_is_sent_to_who_has_written_it_and_to_nobody_else(service: Service) -> None:
    issuer, author = service.harness.issuer, Author(service)
    owner = service.users.add(ids.new("usr"), "owner@acme.example", display_name="Olga", locale="de")
    made = (await author.create(ENGLISH, GERMAN, branding=Branding(sender_name="Acme"))).template_id
    for_acme = [("authorization", issuer.member(ACME, owner, "OWNER", SCOPES))]

    def test(template_id: str = made, metadata: Any = for_acme, key: str = "", **more: Any) -> Any:
        request = pb.TestTemplateRequest(template_id=template_id, **more)
        return author.rpc.TestTemplate(request, metadata=[*metadata, *([("idempotency-key", key)] if key else [])])

    sent = await test(key="a-key-of-a-test-1")
    assert await test(key="a-key-of-a-test-1") == sent
    assert (sent.type, sent.recipient.user_id, dict(sent.metadata)) == ("template.test", owner, {"templateId": made})
    await test(locale="en", data=struct({**DATA, "parcel": {**DATA["parcel"], "number": "P8"}}))
    await service.wait_until_idle()
    german, english = sorted(service.receiver.mails, key=lambda mail: "P8" in str(mail["Subject"]))
    assert (german["Subject"], english["Subject"]) == ("[Test] P7 wartet", "[Test] Olga, P8 waits")
    assert {str(mail["To"]) for mail in (german, english)} == {"Olga <owner@acme.example>"}
    assert (german["Content-Language"], english["Content-Language"]) == ("de", "en")
    assert german["From"] == "Acme <no-reply@weft.local>"
    assert "&lt;b&gt;bold&lt;/b&gt;" in english.get_body(("html",)).get_content()
    # A client is nobody; a stranger's draft is none.
    await assert_refused(test(metadata=author.metadata), "CALLER_NOT_ALLOWED")
    other = [("authorization", issuer.member(ids.new("prt"), owner, "OWNER", SCOPES))]
    await assert_refused(test(metadata=other), "TEMPLATE_NOT_FOUND")
    unknown = [("authorization", issuer.member(ACME, ids.new("usr"), "OWNER", SCOPES))]
    await assert_refused(test(metadata=unknown), "RECIPIENT_NOT_FOUND")
    await assert_refused(test(data=struct({})), "TEMPLATE_NOT_RENDERED")
    in_test = [("authorization", issuer.member(ACME, owner, "OWNER", SCOPES, "TEST"))]
    short = (await Author(service, mode="TEST").create(TemplateText(locale="en", short="x"))).template_id
    await assert_refused(test(short, in_test), "REQUEST_INVALID", violations={"template_id": ""})
    captured = (await Author(service, mode="TEST").create(ENGLISH)).template_id
    await test(captured, in_test)
    await service.wait_until_idle()
    assert len(service.receiver.mails) == 2
    assert ("SKIPPED", "TEST_MODE") in await service.states()
    outcomes = await asyncio.gather(*(test() for _ in range(MAX_TESTS)), return_exceptions=True)
    assert sum(isinstance(outcome, Notification) for outcome in outcomes) == MAX_TESTS - 3
    await assert_refused(test(), "TEMPLATE_TEST_LIMIT_REACHED", limit=str(MAX_TESTS))


async def test_what_no_longer_renders_does_not_hide_what_else_was_captured(service: Service) -> None:
    """Such as a version that an older release let pass."""
    author, acme = Author(service, mode="TEST"), Caller(service, mode="TEST")
    made = (await author.create(ENGLISH)).template_id
    await author.publish(made)
    person = customer(service, mode="TEST")
    for request in ({"template_id": made, "data": struct(DATA)}, {"content": CONTENT}):
        message = sending.SendNotificationRequest(
            recipients=[person], channels=[CHANNEL_EMAIL], category=CATEGORY_UPDATES, **request
        )
        await acme.rpc.SendNotification(message, metadata=acme.metadata)
    await service.wait_until_idle()
    for change in (
        "INSERT INTO template_versions (template_id, version, content, published_at) SELECT template_id, 2, "
        "replace(content::text, '{{ name }}', '{{ missing }}')::jsonb, published_at FROM template_versions",
        "UPDATE notifications SET template_version = 2 WHERE template_id <> ''",
    ):
        assert await service.app.database.run(Query(change)) == 1
    reply = await acme.rpc.ListCaptured(sending.ListCapturedRequest(), metadata=acme.metadata)
    assert sorted(message.content.subject for message in reply.messages) == ["", CONTENT.subject]
    # Half a character in what is stored is no text.
    halved = service.app.vault.seal(rb'{"subject": "half \ud800", "text": "whole \ud83d\ude00"}', CONTEXT)
    change = "UPDATE notifications SET content_sealed = %(halved)s WHERE template_id = ''"
    assert await service.app.database.run(Query(change), halved=halved) == 1
    reply = await acme.rpc.ListCaptured(sending.ListCapturedRequest(), metadata=acme.metadata)
    assert {(message.content.subject, message.content.text) for message in reply.messages} >= {("half ?", "whole 😀")}
