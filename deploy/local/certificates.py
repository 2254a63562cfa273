"""The mesh's own certificate authority, and a certificate for each part.

A service is `spiffe://weft/<name>` for who it is and `<name>.weft.internal` for the TLS check of its clients. Files are
renamed into place, so that a reader sees a whole one; a key changes a moment before its certificate, and readers that
find the two at odds look again.
"""

import ipaddress
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from deploy.local.home import write

AUTHORITY_LIFE = timedelta(days=3650)
LIFE = timedelta(days=90)
RENEWAL = timedelta(days=30)
"""What is left when a certificate is renewed."""

EDGE, EDGE_SERVER, INTERNAL = "edge", "edge-server", "internal"


class Certificates:
    """Certificates in a folder, as `<name>.crt` and `<name>.key`; `ca.crt` is what to trust."""

    def __init__(self, folder: Path, services: Iterable[str]) -> None:
        self.folder = folder
        self.names = (*services, EDGE, EDGE_SERVER, INTERNAL)

    @property
    def ca(self) -> Path:
        """What to trust: the authority, and while it is being replaced also the one before."""
        return self.folder / "ca.crt"

    def certificate(self, name: str) -> Path:
        """The certificate of a part."""
        return self.folder / f"{name}.crt"

    def key(self, name: str) -> Path:
        """Its private key."""
        return self.folder / f"{name}.key"

    def ensure(self) -> list[str]:
        """Issue what is missing or soon ends; returns the names of what was issued."""
        now = datetime.now(UTC)
        if not self.ca.exists() or not self.key("ca").exists() or _ends(self.ca) - now < LIFE:
            self.replace_authority()
        due = [name for name in self.names if not self._is_good(name, now)]
        for name in due:
            self._issue(name)
        return due

    def renew(self) -> None:
        """Issue every certificate anew from the present authority."""
        for name in self.names:
            self._issue(name)

    def replace_authority(self) -> None:
        """A new authority, trusted beside the one before; `renew` follows once every part trusts it."""
        before = [self.ca.read_text()] if self.ca.exists() else []
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "weft-ca")])
        public = key.public_key()
        made = (
            _draft(name, name, public, AUTHORITY_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .sign(key, hashes.SHA256())
        )
        write(self.key("ca"), _pem(key))
        newest = made.public_bytes(serialization.Encoding.PEM).decode()
        trusted = x509.load_pem_x509_certificates("".join([newest, *before]).encode())[:2]
        write(self.ca, "".join(c.public_bytes(serialization.Encoding.PEM).decode() for c in trusted), 0o644)

    def _is_good(self, name: str, now: datetime) -> bool:
        if not self.certificate(name).exists() or not self.key(name).exists():
            return False
        return _ends(self.certificate(name)) - now > RENEWAL

    def _issue(self, name: str) -> None:
        authority = x509.load_pem_x509_certificates(self.ca.read_bytes())[0]
        signer = serialization.load_pem_private_key(self.key("ca").read_bytes(), None)
        assert isinstance(signer, ec.EllipticCurvePrivateKey)
        key = ec.generate_private_key(ec.SECP256R1())
        public = key.public_key()
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = (
            _draft(subject, authority.subject, public, LIFE)
            .add_extension(x509.SubjectAlternativeName(_names(name)), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(authority=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
            .sign(signer, hashes.SHA256())
        )
        write(self.key(name), _pem(key))
        write(self.certificate(name), made.public_bytes(serialization.Encoding.PEM).decode(), 0o644)


def _names(name: str) -> list[x509.GeneralName]:
    local = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    if name == EDGE_SERVER:
        return [*local]
    identity = x509.UniformResourceIdentifier(f"spiffe://weft/{name}")
    if name in (EDGE, INTERNAL):
        return [identity]
    return [identity, x509.DNSName(f"{name}.weft.internal"), *local]


def _draft(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, life: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))  # clocks differ
        .not_valid_after(now + life)
    )


def _usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _ends(file: Path) -> datetime:
    return x509.load_pem_x509_certificates(file.read_bytes())[0].not_valid_after_utc


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
