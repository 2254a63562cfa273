"""The language of templates: what could fail or do harm is refused when a draft is saved."""

import pytest

from services.notification.templates import language
from services.notification.templates.language import Source, TemplateWrong
from tests.notification.templates.calls import DATA


def save(source: Source) -> None:
    """As a draft is saved."""
    language.check(source)
    language.render(source, {**DATA, "many": list(range(190))})


@pytest.mark.parametrize(
    ("part", "source"),
    [
        ("text", "{{ missing }}"),
        ("text", "{% if %}"),
        ("text", "{{ self }}"),
        ("text", "{% for each in many %}{{ loop }}{% endfor %}"),
        ("text", "{% for each in many %}{{ many[loop] }}{% endfor %}"),
        ("text", "{% if link == '' %}{{ loop.index }}{{ super }}{% endif %}"),
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
        ("text", "{{ 1.5 | round(30000000, 'ceil') }}"),  # ten to the power of it
        ("text", f"{{{{ '{'x' * 300}' | join('{'y' * 300}') | join('{'z' * 300}') }}}}"),  # 27 million characters
        ("text", f"{{{{ '{'x' * 500}' | trim('{'y' * 500}') }}}}"),
        ("text", "{% for a in link %}x{% endfor %}"),  # a text
        ("text", "{{ '\\ud800' }}"),  # half a character
        ("text", "{% for a in many %}{% for b in many %}{% if a == b %}x{% endif %}{% endfor %}{% endfor %}"),
        ("text", "{% for a in many %}" + "{{ link | title | title | title | title }}" * 25 + "{% endfor %}"),
        ("text", f"{{{{ {'(' * 200}link{')' * 200} }}}}"),
        ("text", f"{{{{ {'not ' * 200}link }}}}"),
        ("text", "{{ link" + " | upper" * 100 + " }}"),
        ("text", "{% if link %}" * 50 + "{% endif %}" * 50),
        ("text", "{{ link.upper }}"),
        ("text", "{{ many | _steps(-1000000) }}"),
        ("html", "{{ parcel.note | safe }}"),
        ("html", '<a href="{{ link }}">x</a>'),
        ("html", "<a href={{ link | url }}>x</a>"),
        ("html", '<p onclick="{{ link }}">x</p>'),
        ("html", "<script>{{ link }}</script>"),
        ("html", "<p {{ link }}>x</p>"),
        ("html", "<STYLE>p {{ link }}</STYLE>"),
        ("html", '<a title=">" href="{{ link }}">x</a>'),
        ("html", '<a href="{% if not link %}https://a.example/{% endif %}{{ link }}">x</a>'),
        ("html", '<a href="{% if link %}" title="{% endif %}{{ link }}">x</a>'),
        ("html", '<a href="java{{ link }}">x</a>'),
        ("html", f'<{"a" * 1000} b="{"{{ link }}" * 100}" {{{{ link }}}}>'),  # quadratic to read
    ],
)
async def test_what_could_fail_or_do_harm_is_refused_when_it_is_saved(part: str, source: str) -> None:
    """The language by itself: `CreateTemplate` names the part that it refuses."""
    with pytest.raises(TemplateWrong):
        save(Source(source, is_html=part == "html"))


def test_what_the_data_has_is_read_by_its_name_whatever_python_calls_by_it() -> None:
    order = {"items": [{"values": 7, "copy": "<i>"}, {"values": 8, "copy": "x"}], "get": {"pop": ["last"]}}
    text = "{% for each in order.items %}{{ loop.index }}: {{ each.values }} {{ each['copy'] }}; {% endfor %}{{ order.get.pop[0] }}"
    for is_html, copy in ((True, "&lt;i&gt;"), (False, "<i>")):
        assert language.render(Source(text, is_html), {"order": order}) == f"1: 7 {copy}; 2: 8 x; last"
