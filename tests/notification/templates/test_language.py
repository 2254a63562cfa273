"""The language of templates: what could fail or do harm is refused when a draft is saved."""

import pytest

from services.notification.templates import language
from services.notification.templates.language import Source, TemplateWrong
from tests.notification.templates.calls import DATA


def save(source: Source) -> None:
    """As a draft is saved."""
    language.check(source)
    language.render(source, DATA)


@pytest.mark.parametrize(
    ("part", "source"),
    [
        ("text", "{{ missing }}"),
        ("text", "{% if %}"),
        ("text", "{{ ''.__class__.__mro__ }}"),
        ("text", "{{ parcel.number.format(1) }}"),
        ("text", "{{ cycler('a') }}"),
        ("text", "{% include 'layout.html' %}"),
        ("text", "{% set x = 1 %}"),
        ("text", "{{ 'a' * 1000000000 }}"),
        ("text", "{% for a in range(100000) %}x{% endfor %}"),
        (
            "text",
            "{% for a in parcel %}{% for b in parcel %}{% for c in parcel %}x{% endfor %}{% endfor %}{% endfor %}",
        ),
        ("text", "{{ parcel | attr('number') }}"),
        ("html", "{{ parcel.note | safe }}"),
        ("html", '<a href="{{ link }}">x</a>'),
        ("html", "<a href={{ link | url }}>x</a>"),
        ("html", '<p onclick="{{ link }}">x</p>'),
        ("html", "<script>{{ link }}</script>"),
        ("html", "<p {{ link }}>x</p>"),
    ],
)
async def test_what_could_fail_or_do_harm_is_refused_when_it_is_saved(part: str, source: str) -> None:
    """The language by itself: `CreateTemplate` names the part that it refuses."""
    with pytest.raises(TemplateWrong):
        save(Source(source, is_html=part == "html"))
