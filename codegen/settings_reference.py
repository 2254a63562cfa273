"""Writes `docs/settings.md`: every setting of a service and of an edge."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from chassis.environments import edge, services
from chassis.environments.rule import PRODUCTION, Rule
from chassis.settings import SECRETS_FOLDER, Settings
from codegen.edge_settings import EdgeSettings
from contract import Contract

FILE = Path("docs") / "settings.md"
_HEAD = f"""# Settings

Written by `make gen` from `chassis/settings.py`. A setting is a variable of the environment, or a file of its name in small letters
(`weft_data_keys`) in the folder that `{SECRETS_FOLDER}` names: for secrets, so that no process list and no `inspect` shows them.
Every default is the safe choice. `python -m services.<name> serve` says all that is missing or wrong in one sentence.

| setting | default | meaning |
|---|---|---|
"""
_REFUSED = """
## What staging and production refuse

A process that finds one of these says so, and ends. Each is said with what to do about it; in development, where nothing is at stake,
none is refused. `WEFT_CLEARTEXT_ALLOWED` names connections that may do without TLS, because the network encrypts by itself; those to a
Unix socket or to the same machine need no name. The rules are in `chassis/environments/`.

| setting | refused in | why | what to do |
|---|---|---|---|
"""


_EDGE = """
## Edges

Of an edge's container, from `codegen/edge_settings.py`. It refuses what it cannot serve with in one sentence, too.

| setting | default | meaning |
|---|---|---|
"""


def names() -> dict[str, FieldInfo]:
    """Every setting by the name of its variable."""
    return {f"WEFT_{name.upper()}": field for name, field in Settings.model_fields.items()}


def is_secret(field: FieldInfo) -> bool:
    """Whether it belongs in a file, not in a variable."""
    return field.annotation is SecretStr or SecretStr in get_args(field.annotation)


def generate(_: Contract, root: Path) -> None:
    """Write the document into the tree."""
    of_edges = {f"WEFT_{name.upper()}": field for name, field in EdgeSettings.model_fields.items()}
    refused = _REFUSED + _refused("", services.RULES) + _refused(" of an edge", edge.RULES)
    (root / FILE).write_text(_HEAD + _rows(names()) + _EDGE + _rows(of_edges) + refused)


def _refused(of: str, rules: Iterable[Rule]) -> str:
    return "".join(
        f"| `{rule.setting}`{of} | {'production' if rule.environments == PRODUCTION else 'both'} | {rule.cause} | {rule.remedy} |\n"
        for rule in rules
    )


def _rows(fields: Mapping[str, FieldInfo]) -> str:
    return "".join(_row(name, field) for name, field in fields.items())


def _row(name: str, field: FieldInfo) -> str:
    secret = " Secret." if is_secret(field) else ""
    return f"| `{name}` | {_default(field)} | {field.description}{secret} |\n"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value: Any = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
    if value in ("", None, [], {}):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
