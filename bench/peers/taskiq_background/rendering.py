"""The texts, compiled once: templates with a block for each of a mail's and a notice's parts, as Weft's have."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

_ENVIRONMENT = Environment(loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=False)


def _money(amount: Mapping[str, Any]) -> str:
    whole, part = divmod(amount["amount_minor"], 100)
    return f"{whole:,}.{part:02d} {amount['currency']}"


_ENVIRONMENT.filters["money"] = _money


def block(kind: str, name: str, data: dict[str, Any]) -> str:
    """A part of the text about an event: `subject`, `text`, `html`, `title` or `body`."""
    template = _ENVIRONMENT.get_template(f"{kind}.jinja")
    return "".join(template.blocks[name](template.new_context(data))).strip()
