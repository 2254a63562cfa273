"""Text from outside: what could do harm goes, what people write stays."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.values.plain_text import single_line

ANY = st.text(st.characters(), max_size=300)


@pytest.mark.parametrize(
    "name",
    [
        "علی\u200cرضا",  # a joiner that keeps two letters apart
        "👨\u200d👩\u200d👧",  # a family, joined
        "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",  # a flag, spelled with tags
        "山田\u3000太郎",  # an ideographic space
        "שלום\u200f!",  # a direction mark
        "Zoe\u0308 O’Neill-Łukasz",
        "=?utf-8?b?eA==?=",
    ],
)
def test_names_stay_as_they_are(name: str) -> None:
    assert single_line(name, 100) == name


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Ann\r\nBcc: spy@example.com\x00", "Ann Bcc: spy@example.com"),
        ("a\u2028b\x85c\x1b[31m", "a b c [31m"),
        ("\u202eevil\u2066x\u2069", "evilx"),
        ("gr\udcfc\udcdfe", "gr\ufffd\ufffde"),
        ("  two  spaces\t", "two spaces"),
        ("", ""),
    ],
)
def test_controls_overrides_and_broken_bytes_go(text: str, line: str) -> None:
    assert single_line(text, 100) == line


@given(ANY)
def test_whatever_comes_is_a_bounded_line_that_can_be_kept_and_is_not_changed_again(text: str) -> None:
    line = single_line(text, 50)
    assert len(line) <= 50
    assert line == single_line(line, 50)
    line.encode()
    assert not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in line)
    assert len(line.splitlines()) <= 1
