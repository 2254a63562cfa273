"""How a connection is secured: files by path, so that certificates can be renewed under a running client."""

from dataclasses import dataclass
from pathlib import Path

import grpc


@dataclass(frozen=True)
class Tls:
    """TLS towards the edge. `ca` is a PEM file with the authorities to trust; the system's where absent."""

    ca: str | Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that are read, to be watched for change."""
        return (Path(self.ca),) if self.ca else ()

    def credentials(self) -> grpc.ChannelCredentials:
        """Read the files. Raises `OSError` where one cannot be read."""
        return grpc.ssl_channel_credentials(*(file.read_bytes() for file in self.files))


@dataclass(frozen=True)
class MutualTls:
    """TLS in both directions: paths of the client's certificate and key and of the authorities to trust, all PEM."""

    cert: str | Path
    key: str | Path
    ca: str | Path

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that are read, to be watched for change."""
        return Path(self.cert), Path(self.key), Path(self.ca)

    def credentials(self) -> grpc.ChannelCredentials:
        """Read the files. Raises `OSError` where one cannot be read."""
        cert, key, ca = (file.read_bytes() for file in self.files)
        return grpc.ssl_channel_credentials(ca, key, cert)


@dataclass(frozen=True)
class Plaintext:
    """No TLS: for tests, and where something else secures the wire. Tokens can be read on the way."""
