"""What a mesh begins with: which services the contract has, secrets and certificates."""

from collections.abc import Sequence
from pathlib import Path

import contract
from deploy.local.components import services
from deploy.local.state import credentials
from deploy.local.state.certificates import Certificates
from deploy.local.state.credentials import Credentials
from deploy.local.state.home import Home


def begin(folder: Path) -> tuple[tuple[str, ...], Credentials, str]:
    """Make what is missing in a home, or soon ends.

    Returns the services by short name, the secrets, and the public key with which providers' events are verified.
    """
    home = Home(folder)
    names = services.names(contract.load(contract.SERVED))
    secrets = credentials.load(folder / "secrets.json", names)
    Certificates(home.certificates, names).ensure()
    return names, secrets, credentials.public_key(secrets.event_key)


def renew(folder: Path, names: Sequence[str]) -> list[str]:
    """Issue the certificates that soon end; what was issued."""
    return Certificates(Home(folder).certificates, names).ensure()
