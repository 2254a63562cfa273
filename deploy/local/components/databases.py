"""A database for each service, with two roles: one owns it and migrates, the other one serves and may change rows only.

The role of the mesh's own URL makes them (`deploy/local/aside/providing.py`) and is handed to no service: what one service holds
opens nothing of another's.
"""

import re
from urllib.parse import quote

from deploy.local.state.credentials import Credentials

_EMBEDDED = re.compile(r"postgresql://[\w-]+:[\w-]+@([\w.]+:\d+)")
"""What the URL of the mesh's own server looks like."""


class Databases:
    """The databases of one mesh on the server of `url`; `prefix` is before the name of each."""

    def __init__(self, url: str, prefix: str, secrets: Credentials) -> None:
        self.url = url
        self._prefix = prefix
        self._secrets = secrets

    def name(self, service: str) -> str:
        """The service's database, and the role that serves from it."""
        return f"{self._prefix}_{service}"

    def owner(self, service: str) -> str:
        """The role that owns the database and its tables."""
        return f"{self._prefix}_{service}_owner"

    def passwords(self, service: str) -> dict[str, str]:
        """Of its two roles."""
        return {
            self.name(service): self._secrets.serving_password(service),
            self.owner(service): self._secrets.owner_password(service),
        }

    def serving_url(self, service: str) -> str:
        """What the service's replicas connect with."""
        return self._url_of(self.name(service), self._secrets.serving_password(service))

    def owner_url(self, service: str) -> str:
        """What the service's migrations connect with."""
        return self._url_of(self.owner(service), self._secrets.owner_password(service))

    def _url_of(self, role: str, password: str) -> str:
        if found := _EMBEDDED.fullmatch(self.url):
            return f"postgresql://{quote(role, safe='')}:{quote(password, safe='')}@{found[1]}"
        from psycopg.conninfo import make_conninfo  # who reads any URL, and takes eight MiB

        return make_conninfo(self.url, user=role, password=password)
