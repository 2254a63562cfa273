"""Rules of buf.validate as JSON Schema keywords."""

import re
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool

from contract import rules
from contract.rules import UntranslatedRule
from tests.contract.compiled import descriptors


def field(declaration: str) -> FieldDescriptor:
    """The descriptor of one field of a message."""
    pool = DescriptorPool()
    for file in descriptors(f"enum Colour {{ NONE = 0; RED = 1; BLUE = 2; }} message Probe {{ {declaration} }}").file:
        pool.Add(file)  # pyright: ignore[reportDeprecated]
    return pool.FindMessageTypeByName("weft.lab.v1.Probe").fields[0]


def said(declaration: str) -> dict[str, Any]:
    found = field(declaration)
    return rules.keywords(rules.rules(found), found.enum_type)


@pytest.mark.parametrize(
    ("declaration", "keywords"),
    [
        ("string a = 1;", {}),
        ("string a = 1 [(buf.validate.field).string.len = 3];", {"minLength": 3, "maxLength": 3}),
        ("string a = 1 [(buf.validate.field).string.uuid = true];", {"format": "uuid"}),
        ('string a = 1 [(buf.validate.field).string = {in: ["x", "y"]}];', {"enum": ["x", "y"]}),
        ("int32 a = 1 [(buf.validate.field).int32 = {gt: 0, lt: 9}];", {"exclusiveMinimum": 0, "exclusiveMaximum": 9}),
        ("double a = 1 [(buf.validate.field).double.gte = 0.5];", {"minimum": 0.5}),
        ("repeated string a = 1 [(buf.validate.field).repeated.max_items = 4];", {"maxItems": 4}),
        ("map<string, string> a = 1 [(buf.validate.field).map.max_pairs = 4];", {"maxProperties": 4}),
        ("Colour a = 1 [(buf.validate.field).enum.not_in = 0];", {"enum": ["RED", "BLUE"]}),
        ("Colour a = 1 [(buf.validate.field).enum = {in: [2]}];", {"enum": ["BLUE"]}),
    ],
)
def test_a_rule_becomes_keywords(declaration: str, keywords: dict[str, Any]) -> None:
    assert said(declaration) == keywords


@pytest.mark.parametrize(
    ("bounds", "fits", "breaks"),
    [
        ("gte: 0, lte: 1000", ["0", "7", "1000"], ["-1", "1001", "01", "", "1.0"]),
        ("gte: -100, lte: 100, not_in: [0]", ["-100", "-1", "100"], ["0", "101", "-101", "-0"]),
        ("gte: 1", ["1", "9223372036854775807"], ["-1", "0", "x"]),
        ("lte: 25", ["-99", "25", "99"], ["100"]),  # digits are counted where the bound is no power of ten
    ],
)
def test_bounds_of_64_bits_are_a_pattern(bounds: str, fits: list[str], breaks: list[str]) -> None:
    pattern = said(f"int64 a = 1 [(buf.validate.field).int64 = {{{bounds}}}];")["pattern"]
    assert [text for text in fits if not re.search(pattern, text)] == []
    assert [text for text in breaks if re.search(pattern, text)] == []


def test_an_unknown_rule_is_refused_rather_than_lost() -> None:
    with pytest.raises(
        UntranslatedRule, match=r"The rule string\.max_bytes has no JSON Schema yet: add it to contract"
    ):
        said("string a = 1 [(buf.validate.field).string.max_bytes = 4];")


def test_a_written_rule_is_told_in_its_own_words() -> None:
    rule = '{id: "even", message: "must be even", expression: "this % 2 == 0"}'
    assert said(f"int32 a = 1 [(buf.validate.field).cel = {rule}];") == {"description": "must be even"}


@pytest.mark.parametrize(
    ("declaration", "refuses"),
    [
        ("string a = 1 [(buf.validate.field).string.min_len = 1];", True),
        ("string a = 1 [(buf.validate.field) = {ignore: IGNORE_IF_ZERO_VALUE string: {min_len: 1}}];", False),
        ('string a = 1 [(buf.validate.field).string.pattern = "^[A-Z]{3}$"];', True),
        ('string a = 1 [(buf.validate.field).string.pattern = "^$|^[A-Z]{3}$"];', False),
        ("optional string a = 1 [(buf.validate.field).string.min_len = 1];", False),
        ("int64 a = 1 [(buf.validate.field).int64.gte = 0];", False),
        ("int32 a = 1 [(buf.validate.field).int32.gte = 1];", True),
        ("int64 a = 1 [(buf.validate.field).int64.gte = 1];", True),
        ("Colour a = 1 [(buf.validate.field).enum.not_in = 0];", True),
        ("Colour a = 1 [(buf.validate.field).enum.defined_only = true];", False),
        ("repeated string a = 1 [(buf.validate.field).repeated.min_items = 1];", True),
    ],
)
def test_a_field_that_may_not_be_left_out_is_told_from_one_that_may(declaration: str, refuses: bool) -> None:
    assert rules.refuses_zero(field(declaration)) is refuses
