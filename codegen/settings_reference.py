"""Writes `docs/settings.md`: every setting of a process, from `chassis.settings`."""

from pathlib import Path
from typing import Any, get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from chassis.settings import SECRETS_FOLDER, Settings
from contract import Contract

FILE = Path("docs") / "settings.md"
_HEAD = f"""# Settings

Written by `make gen` from `chassis/settings.py`. A setting is a variable of the environment, or a file of its name in small letters
(`weft_data_keys`) in the folder that `{SECRETS_FOLDER}` names: for secrets, so that no process list and no `inspect` shows them.
Every default is the safe choice. `python -m services.<name> serve` says all that is missing or wrong in one sentence.

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
    (root / FILE).write_text(_HEAD + "".join(_row(name, field) for name, field in names().items()))


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
