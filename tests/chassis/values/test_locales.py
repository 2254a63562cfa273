"""Language tags: one spelling, the best of what there is, and no work or memory without a bound."""

import langcodes
import pytest

from chassis.values.locales import accept_language, best, normalise

LOCALES = frozenset({"de", "en", "pt-BR"})


@pytest.mark.parametrize(
    ("tag", "normal"),
    [("DE", "de"), ("de-at", "de-AT"), ("sr-LATN-rs", "sr-Latn-RS"), ("iw", "he"), ("zh-cmn-Hans", "zh-Hans")],
)
def test_a_tag_has_one_spelling(tag: str, normal: str) -> None:
    assert normalise(tag) == normal
    assert normalise(normal) == normal


@pytest.mark.parametrize("tag", ["", "de-de-de", "d", "de--at", "ä", "de\n", "en" + "-aa" * 12, "en" + "-aa" * 80_000])
def test_what_is_no_tag_is_refused(tag: str) -> None:
    with pytest.raises(ValueError):
        normalise(tag)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("DE", "de"),
        ("de-AT", "de"),
        ("gsw", "de"),
        ("pt", "pt-BR"),
        ("fr", None),
        ("", None),
        ("de-de-de", "de"),
        ("de" + "-aa" * 80_000, "de"),
        ("a" * 240_000, None),
    ],
)
def test_the_best_of_what_there_is(wanted: str, found: str | None) -> None:
    assert best(wanted, LOCALES) == found


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("de", "de"),
        ("fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5", "en"),
        ("en;q=0.2, DE;q=0.9", "de"),
        ("en;q=0, de;q=0.001", "de"),
        ("de;q=0", "en"),
        ("pt; q=1.000", "pt-BR"),
        ("de;q=2, en", "en"),
        ("nl, de;q=0.9", "de"),
        ("*", "en"),
        ("*, de;q=0.5", "en"),
        ("en;q=0, *", "de"),
        ("de;q=0.5, en;q=0.4, *;q=0.6", "pt-BR"),
        ("de, *;q=0", "de"),
        ("", "en"),
        (",,;;,", "en"),
        ("fr," * 21 + "de", "en"),
        ("en-aa" + "-aa" * 80_000, "en"),
    ],
)
def test_a_header_says_what_is_wanted_most(header: str, found: str) -> None:
    assert accept_language(header, LOCALES, "en") == found


def test_what_strangers_think_of_is_not_remembered_for_ever() -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    for a in letters:
        for b in letters:
            for c in letters[:10]:
                best(f"{a}{b}{c}", LOCALES)
    assert len(langcodes.Language._PARSE_CACHE) < 3000
