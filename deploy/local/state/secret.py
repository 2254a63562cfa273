"""The secrets of sinks: in the environment, or in files, which `docker inspect` does not show."""

import os
from pathlib import Path


def secret(name: str, otherwise: str | None = None) -> str:
    """`$NAME`, or what is in the file `name` of `$WEFT_SECRETS_FOLDER`, or `otherwise`. Raises `KeyError` where there is none."""
    if name in os.environ:
        return os.environ[name]
    file = Path(os.environ.get("WEFT_SECRETS_FOLDER", "/nowhere")) / name.lower()
    if file.exists():
        return file.read_text()
    if otherwise is None:
        raise KeyError(f"set {name}, or WEFT_SECRETS_FOLDER to a folder with {name.lower()}")
    return otherwise
