"""Texts that callers write."""

from services.chassis.errors import RequestInvalid


def refuse_unstorable(fields: dict[str, str]) -> None:
    """Raise `RequestInvalid` for texts, by field path, that hold the one character that PostgreSQL cannot store."""
    wrong = [(path, "must not contain the character U+0000") for path, text in fields.items() if "\0" in text]
    if wrong:
        raise RequestInvalid(violations=wrong)
