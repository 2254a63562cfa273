"""Templates are made, read, listed and updated, by their partner in their mode."""

import asyncio
from typing import Any

import pytest
from weft.notification.v1.template_pb2 import Branding, Template, TemplateText

from chassis import ids
from chassis.storage.database import Query
from tests.harness import assert_refused
from tests.notification.conftest import Service
from tests.notification.requests.calls import ACME
from tests.notification.templates.calls import DATA, ENGLISH, GERMAN, Author, struct


async def test_a_template_is_read_as_it_was_made(service: Service) -> None:
    author = Author(service)
    branding = Branding(sender_name="Acme", colour="#ffeedd")
    made = await author.create(ENGLISH, GERMAN, branding=branding)
    assert (made.title, [*made.texts], made.samples, made.branding) == (
        "Parcel",
        [ENGLISH, GERMAN],
        struct(DATA),
        branding,
    )
    assert (made.partner_id, made.published_version) == (ACME, 0)
    assert await author.get(made.template_id) == made


async def test_a_repeated_creation_makes_one_template(service: Service) -> None:
    author = Author(service)
    assert await author.create(ENGLISH, key="k1") == await author.create(ENGLISH, key="k1")
    assert len(await service.rows("SELECT 1 FROM templates")) == 1


async def test_templates_are_listed_newest_first_in_pages(service: Service) -> None:
    author = Author(service)
    made = [(await author.create(ENGLISH, title=title)).template_id for title in ("A", "B", "C")]
    first = await author.list(page_size=2)
    second = await author.list(page_size=2, page_token=first.next_page_token)
    assert [[each.template_id for each in page.templates] for page in (first, second)] == [
        [made[2], made[1]],
        [made[0]],
    ]
    assert second.next_page_token == ""
    for stranger in (Author(service, ids.new("prt")), Author(service, mode="TEST")):
        assert not (await stranger.list()).templates
        await assert_refused(stranger.list(page_token=first.next_page_token), "PAGE_TOKEN_INVALID")


@pytest.mark.parametrize(
    ("mask", "fields", "changed"),
    [
        (None, {"title": "Box"}, {"title": "Box"}),
        (["title"], {"title": "Box", "texts": [GERMAN]}, {"title": "Box"}),
        (["texts"], {"title": "Box", "texts": [GERMAN]}, {"texts": [GERMAN]}),
        (["branding"], {}, {"branding": Branding()}),
        (
            ["*"],
            {"title": "Box", "texts": [GERMAN], "samples": struct(DATA)},
            {"title": "Box", "texts": [GERMAN], "branding": Branding()},
        ),
        ([], {"title": "Box"}, {"title": "Box"}),
        (None, {}, {}),
    ],
)
async def test_an_update_changes_the_fields_of_its_mask(
    service: Service, mask: list[str] | None, fields: dict[str, Any], changed: dict[str, Any]
) -> None:
    author = Author(service)
    made = await author.create(ENGLISH, branding=Branding(sender_name="Acme"))
    updated = await author.update(made.template_id, mask, etag=made.etag, **fields)
    assert (updated.etag != made.etag) == bool(changed)
    expected = Template()
    expected.CopyFrom(made)
    for name in changed:
        expected.ClearField(name)
    expected.MergeFrom(Template(**changed, etag=updated.etag))
    expected.update_time.CopyFrom(updated.update_time)
    assert updated == expected == await author.get(made.template_id)


@pytest.mark.parametrize(
    ("mask", "fields", "violations"),
    [
        (["etag"], {}, {"update_mask": "must name only title, texts, samples, branding"}),
        (["title"], {}, {"template.title": "must be given, as it is updated"}),
        (["texts"], {}, {"template.texts": "must be given, as it is updated"}),
        (None, {"title": ""}, {"template.title": "at least 1 characters"}),
        (None, {"samples": struct({})}, {"template.texts[0].text": "must render with the samples"}),
        (None, {"samples": struct({"list": list(range(300))})}, {"template.samples": "entries in all"}),
    ],
)
async def test_an_update_that_makes_no_sense_is_refused(
    service: Service, mask: list[str] | None, fields: dict[str, Any], violations: dict[str, str]
) -> None:
    author = Author(service)
    made = await author.create(TemplateText(locale="en", text="{{ parcel.number }}"))
    call = author.update(made.template_id, mask, **fields)
    await assert_refused(call, "REQUEST_INVALID", violations=violations)
    assert await author.get(made.template_id) == made


@pytest.mark.parametrize(
    ("texts", "data", "violations"),
    [
        ([], DATA, {"texts": "at least 1 item"}),
        ([ENGLISH], {"list": list(range(300))}, {"samples": "entries in all"}),
        (
            [ENGLISH, TemplateText(locale="en", html="<p {{ link }}>")],
            DATA,
            {
                "texts[1].locale": "must not repeat",
                "texts[1].text": "must be given, or short",
                "texts[1].html": "line 1: a value in a tag stands in a quoted attribute",
            },
        ),
    ],
)
async def test_a_template_that_could_not_be_sent_is_refused_by_field(
    service: Service, texts: list[TemplateText], data: dict[str, Any], violations: dict[str, str]
) -> None:
    await assert_refused(Author(service).create(*texts, data=data), "REQUEST_INVALID", violations=violations)


async def test_an_update_with_a_stale_etag_is_refused(service: Service) -> None:
    author = Author(service)
    made = await author.create(ENGLISH)
    changed = await author.update(made.template_id, title="Second")
    await assert_refused(
        author.update(made.template_id, title="Third", etag=made.etag), "ETAG_MISMATCH", etag=changed.etag
    )


async def test_templates_of_others_are_not_found(service: Service) -> None:
    made = (await Author(service).create(ENGLISH)).template_id
    for stranger in (Author(service, ids.new("prt")), Author(service, mode="TEST")):
        for call in (
            stranger.get(made),
            stranger.update(made, title="x"),
            stranger.publish(made),
            stranger.preview(made),
        ):
            await assert_refused(call, "TEMPLATE_NOT_FOUND", template_id=made)


async def test_a_partner_has_two_hundred_in_a_mode_also_when_two_are_created_at_once(service: Service) -> None:
    author = Author(service)
    await author.create(ENGLISH)
    await service.app.database.run(
        Query(
            "INSERT INTO templates SELECT (jsonb_populate_record(t, jsonb_build_object('template_id', 'tpl_' || n))).* "
            "FROM templates t, generate_series(1, 198) n"
        )
    )
    outcomes = await asyncio.gather(author.create(ENGLISH), author.create(ENGLISH), return_exceptions=True)
    assert sum(isinstance(outcome, Template) for outcome in outcomes) == 1
    await assert_refused(author.create(ENGLISH), "TEMPLATE_LIMIT_REACHED", limit="200")
    assert (await Author(service, mode="TEST").create(ENGLISH)).template_id
