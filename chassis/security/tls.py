"""mTLS of the server, with certificates that are reloaded when their files change."""

from pathlib import Path
from typing import Any, cast

import grpc

from chassis.settings import Settings
from chassis.telemetry.logs import logger

log = logger("tls")


def server(settings: Settings) -> grpc.ServerCredentials:
    """Credentials that require a client certificate of our authority; new connections use the newest files."""
    assert settings.tls_cert and settings.tls_key and settings.tls_ca
    files = _Files(settings.tls_cert, settings.tls_key, settings.tls_ca)
    return grpc.dynamic_ssl_server_credentials(
        files.read(),
        cast("Any", files.newer),  # None, which the stubs do not know, keeps the current certificates
        require_client_authentication=True,
    )


class _Files:
    def __init__(self, cert: Path, key: Path, ca: Path) -> None:
        self._paths = (cert, key, ca)
        self._stamp = self._stamps()

    def _stamps(self) -> tuple[int, ...]:
        return tuple(path.stat().st_mtime_ns for path in self._paths)

    def read(self) -> grpc.ServerCertificateConfiguration:
        cert, key, ca = (path.read_bytes() for path in self._paths)
        return grpc.ssl_server_certificate_configuration([(key, cert)], root_certificates=ca)

    def newer(self) -> grpc.ServerCertificateConfiguration | None:
        """Called by grpc for each handshake; None keeps the current certificates."""
        try:
            stamp = self._stamps()
            if stamp == self._stamp:
                return None
            found = self.read()
        except OSError as error:  # during a rotation
            log.warning("certificate_unreadable", cause=type(error).__name__)
            return None
        self._stamp = stamp
        log.info("certificate_reloaded")
        return found
