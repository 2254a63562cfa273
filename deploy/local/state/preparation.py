"""Which services have been migrated and given their first data, so that a start on unchanged code need not ask again.

Only for the embedded database, where the record is stored beside the data; a server of someone else's is always asked.
"""

import hashlib
import json
import os
from pathlib import Path

from deploy.local.options import ROOT
from deploy.local.state.credentials import Credentials
from deploy.local.state.home import write_json


class Preparation:
    """The record; without a file nothing is remembered."""

    def __init__(self, file: Path | None, secrets: Credentials) -> None:
        self._file = file
        self._secrets = secrets
        try:
            self._done: dict[str, str] = json.loads(file.read_text()) if file else {}
        except (OSError, ValueError):
            self._done = {}

    def is_due(self, service: str) -> bool:
        """Whether the service's commands must run: its code, or what it begins with, is not as when they ran last."""
        return self._file is None or self._done.get(service) != self._fingerprint(service)

    def record(self, service: str) -> None:
        """Remember that they ran."""
        if self._file is not None:
            self._done[service] = self._fingerprint(service)
            write_json(self._file, self._done)

    def _fingerprint(self, service: str) -> str:
        folders = (ROOT / "services" / service, ROOT / "chassis", ROOT / "contract")
        sources = [path for folder in folders for path in sorted(folder.rglob("*"))]
        found = hashlib.sha256(repr((self._secrets, os.environ.get("WEFT_DATABASE_PREFIX"))).encode())
        for path in (*sources, ROOT / "gen" / "contract.binpb"):
            if path.is_file() and path.suffix != ".pyc":
                found.update(str(path.relative_to(ROOT)).encode())
                found.update(path.read_bytes())
        return found.hexdigest()
