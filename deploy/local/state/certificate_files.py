"""Where certificates are, for those who only name them; `certificates` makes them."""

from dataclasses import dataclass
from pathlib import Path

EDGE, EDGE_SERVER, INTERNAL = "edge", "edge-server", "internal"


@dataclass(frozen=True)
class CertificateFiles:
    """Certificates in a folder, as `<name>.crt` and `<name>.key`; `ca.crt` is what to trust."""

    folder: Path

    @property
    def ca(self) -> Path:
        """What to trust: the authority, and around its replacement also the next one or the one before."""
        return self.folder / "ca.crt"

    def certificate(self, name: str) -> Path:
        """The certificate of a part."""
        return self.folder / f"{name}.crt"

    def key(self, name: str) -> Path:
        """Its private key."""
        return self.folder / f"{name}.key"
