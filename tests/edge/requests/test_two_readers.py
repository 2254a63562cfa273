"""Two readers of one body never disagree: what passes the edge arrives as `json_format` reads it, all else is refused by name."""

import json
import re

import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.edge import protocols
from tests.edge.laboratory import FIELDS, Laboratory
from tests.edge.requests.odd_json import INNER, OTHERS, TOKENS, WHOLE
from tests.edge.requests.readers import fields

LIKE_OTHERS = {
    getattr(FieldDescriptor, f"TYPE_{kind}")
    for kind in ("SINT32", "SINT64", "FIXED32", "FIXED64", "SFIXED32", "SFIXED64")
}


def read(lab: Laboratory, text: bytes) -> Message | None:
    """What json_format makes of a text; None where it refuses it."""
    try:
        return json_format.Parse(text.decode(), lab.everything())
    except (
        json_format.ParseError,
        ValueError,
        OverflowError,
        TypeError,
        AttributeError,
        RecursionError,
    ):  # each of these for some text
        return None


def is_json(text: bytes) -> bool:
    try:
        json.loads(text.decode(), parse_constant=int)
    except ValueError:
        return False
    return True


def disagreement(lab: Laboratory, text: bytes) -> str:
    """How the edge and json_format differ about a body; empty where they do not, or the edge refuses by name."""
    response, _, arrived = lab.ask_often("POST", "/v1/everything", text)
    if arrived is None:
        refusal = protocols.of_response(response)
        said = (
            refusal.violations
            or not is_json(text)
            or not isinstance(json.loads(text), dict)
            or "too deep" in response.text
        )
        return "" if response.status_code == 400 and said else f"{text!r}: refused as {refusal}"
    expected = read(lab, text or b"{}")  # no body is an empty one
    if expected is None:
        return f"{text!r}: arrived as {arrived}"
    same = arrived.SerializeToString(deterministic=True) == expected.SerializeToString(deterministic=True)
    return "" if same else f"{text!r}: arrived as {arrived}, is {expected}"


def test_every_kind_of_value_in_every_kind_of_field(lab: Laboratory) -> None:
    differing, passed = [], set()
    for field in fields(lab):
        tokens = [*INNER, *OTHERS, *(b"[" + token + b"]" for token in TOKENS[::7])] if field.is_repeated else TOKENS
        if field.type in LIKE_OTHERS:
            tokens = tokens[::3]
        for token in tokens:
            text = b'{"' + field.json_name.encode() + b'":' + token + b"}"
            difference = disagreement(lab, text)
            differing += [difference] if difference else []
            if read(lab, text) is not None and not difference:
                passed.add(field.name)
    assert differing == []
    assert passed == {field.name for field in fields(lab)}


@pytest.mark.parametrize("text", WHOLE)
def test_bodies_of_every_shape(text: bytes, lab: Laboratory) -> None:
    assert disagreement(lab, text) == ""


def spelt(name: str) -> st.SearchStrategy[str]:
    """A field's name as callers may write it, now and then with an escape or an error."""
    camel = re.sub("_(.)", lambda found: found[1].upper(), name)
    escaped = "".join(f"\\u{ord(letter):04x}" if place == 1 else letter for place, letter in enumerate(camel))
    return st.sampled_from([camel, camel, camel, name, name, escaped, f"\\{camel}", camel.upper()])


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Objects with some of the fields, with any values, with white space, and sometimes cut or broken."""
    chosen = draw(st.lists(st.sampled_from(KNOWN), max_size=4))
    pairs = [f'"{draw(spelt(name))}":'.encode() + draw(st.sampled_from(LIKELY[name])) for name in chosen]
    space = draw(st.sampled_from([b"", b" ", b"\r\n\t"]))
    text = space + b"{" + (space + b"," + space).join(pairs) + space + b"}" + space
    how, place = draw(st.integers(0, 9)), draw(st.integers(0, len(text)))
    mark = draw(st.sampled_from([b"{", b"}", b'"', b",", b"\\", b"0", b"null", b"\xff", b"\x01", b" ", b"e", b"-"]))
    return {0: text[:place] + mark + text[place:], 1: text[:place] + mark + text[place + 1 :], 2: text[:place]}.get(
        how, text
    )


KNOWN = [re.findall(r"\w+$", declared)[0] for declared in FIELDS] + ["chosen_text", "chosen_number", "chosen_inner"]
LIKELY = {
    name: [
        *TOKENS[::11],
        b'"1"',
        b"1",
        b"0",
        b"true",
        b'"a"',
        b"{}",
        b"[]",
        b'"RED"',
        b'["a"]',
        b"[1,2]",
        b'[{"text":"a"}]',
        b'{"1":"2"}',
    ]
    for name in KNOWN
}


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=bodies())
def test_bodies_that_are_made_up(text: bytes, lab: Laboratory) -> None:
    assert disagreement(lab, text) == ""
