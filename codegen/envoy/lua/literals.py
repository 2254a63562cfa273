"""Values as Lua source."""

import json
import re
from typing import Any


class Raw(str):
    """Lua code, written as it is."""


def lua(value: Any) -> str:
    """A value as a Lua expression; keys of tables in order."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value)
    pairs = ", ".join(f"{_key(key)} = {lua(inner)}" for key, inner in sorted(value.items()))
    return f"{{{pairs}}}"


def _key(key: str) -> str:
    words = {
        "and",
        "break",
        "do",
        "else",
        "elseif",
        "end",
        "false",
        "for",
        "function",
        "if",
        "in",
        "local",
        "nil",
        "not",
    }
    words |= {"or", "repeat", "return", "then", "true", "until", "while", "goto"}
    return key if re.fullmatch(r"[A-Za-z_]\w*", key) and key not in words else f"[{json.dumps(key)}]"
