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
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from deploy.local.state.certificate_files import EDGE, EDGE_SERVER, INTERNAL, CertificateFiles
from deploy.local.state.home import write

__all__ = ["EDGE", "EDGE_SERVER", "INTERNAL", "Certificates"]

AUTHORITY_LIFETIME = timedelta(days=3650)
LIFETIME = timedelta(days=90)
RENEW_BEFORE = timedelta(days=30)
"""What is left when a certificate is renewed."""
OVERLAP = timedelta(days=7)
"""How long a new authority is handed out before certificates come from it, and the old one trusted afterwards."""

CLOCK_SKEW = timedelta(minutes=5)
"""By how much clocks differ: certificates count from so long ago."""


class Certificates:
    """The certificates in a folder, and the authority that they come from."""

    def __init__(self, folder: Path, services: Iterable[str]) -> None:
        self.folder = folder
        self.files = CertificateFiles(folder)
        self.names = (*services, EDGE, EDGE_SERVER, INTERNAL)

    @property
    def ca(self) -> Path:
        """What to trust: the authority, and around its replacement also the next one or the one before."""
        return self.files.ca

    def certificate(self, name: str) -> Path:
        """The certificate of a part."""
        return self.files.certificate(name)

    def key(self, name: str) -> Path:
        """Its private key."""
        return self.files.key(name)

    @property
    def pending(self) -> bool:
        """Whether a new authority is handed out that does not issue certificates yet."""
        return self._next.exists()

    @property
    def introduction(self) -> datetime:
        """When the pending authority was handed out."""
        return _read(self._next)[0].not_valid_before_utc + CLOCK_SKEW

    @property
    def adoption(self) -> datetime:
        """When the pending authority begins to issue certificates."""
        return self.introduction + OVERLAP

    @property
    def retirement(self) -> datetime:
        """When nothing trusts the authority before the present one any more."""
        return self._signer()[0].not_valid_before_utc + 2 * OVERLAP

    def ensure(self) -> list[str]:
        """Issue what is missing or soon ends, and take the next step of a new authority; the names of what was issued."""
        now = datetime.now(UTC)
        issued = []
        if not self._has_authority():
            issued += self._create_authority()
        if self.pending and (self._is_adopted() or now >= self.adoption):
            self.adopt()
        elif not self.pending and self._signer()[0].not_valid_after_utc - now < LIFETIME + OVERLAP:
            self.introduce()
            issued.append("next-ca")
        self._hand_out(now)
        due = [name for name in self.names if not self._is_good(name, now)]
        for name in due:
            self._issue(name)
        return [*issued, *due]

    def renew(self) -> None:
        """Renew every certificate from the present authority."""
        for name in self.names:
            self._issue(name)

    def shorten(self) -> None:
        """The edge's certificate for calls to services ends in two days: for trials of the alerts about it."""
        self._issue(EDGE, timedelta(days=2))

    def introduce(self) -> None:
        """A new authority, to be trusted beside the present one, which goes on to issue certificates until `adopt`."""
        made, key = _authority()
        write(self.key("next-ca"), _pem(key))
        write(self._next, _text([made]), 0o644)
        self._hand_out(datetime.now(UTC))

    def adopt(self) -> None:
        """Issue from the pending authority from now on. The one before is trusted on for a while; `renew` follows.

        Broken off anywhere, `ensure` goes on with it.
        """
        if not self._is_adopted():
            write(self.key("ca"), self.key("next-ca").read_text())
        self._hand_out(datetime.now(UTC))
        self._next.unlink()
        self.key("next-ca").unlink(missing_ok=True)

    @property
    def _next(self) -> Path:
        return self.certificate("next-ca")

    def _create_authority(self) -> list[str]:
        """The first authority."""
        made, key = _authority()
        write(self.key("ca"), _pem(key))
        write(self.ca, _text([made]), 0o644)
        return ["ca"]

    def _is_adopted(self) -> bool:
        return _read(self._next)[0].public_key() == _private(self.key("ca")).public_key()

    def _signer(self) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        """The authority that issues: the one whose key is there."""
        key = _private(self.key("ca"))
        known = [*_read(self.ca), *(_read(self._next) if self.pending else [])]
        for found in known:
            if found.public_key() == key.public_key():
                return found, key
        raise LookupError("ca.crt and ca.key do not belong together")

    def _has_authority(self) -> bool:
        try:
            self._signer()
        except (FileNotFoundError, LookupError, ValueError):
            return False
        return True

    def _hand_out(self, now: datetime) -> None:
        """Bring `ca.crt` up to date: the one that issues, the next one, and for a while the one before."""
        signer = self._signer()[0]
        wanted = [signer]
        if self.pending and not self._is_adopted():
            wanted += _read(self._next)
        before = [
            found
            for found in _read(self.ca)
            if found not in wanted and found.not_valid_before_utc <= signer.not_valid_before_utc
        ]
        if now < self.retirement:
            wanted += before[:1]
        if wanted != _read(self.ca):
            write(self.ca, _text(wanted), 0o644)

    def _is_good(self, name: str, now: datetime) -> bool:
        if not self.certificate(name).exists() or not self.key(name).exists():
            return False
        found = _read(self.certificate(name))[0]
        return found.not_valid_after_utc - now > RENEW_BEFORE and _is_from(found, self._signer()[0])

    def _issue(self, name: str, lifetime: timedelta | None = None) -> None:
        authority, signer = self._signer()
        key = ec.generate_private_key(ec.SECP256R1())
        public = key.public_key()
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = (
            _draft(subject, authority.subject, public, lifetime or LIFETIME)
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


def _authority() -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "weft-ca")])
    public = key.public_key()
    made = (
        _draft(name, name, public, AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )
    return made, key


def _is_from(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _names(name: str) -> list[x509.GeneralName]:
    local = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    if name == EDGE_SERVER:
        return [*local]
    identity = x509.UniformResourceIdentifier(f"spiffe://weft/{name}")
    if name in (EDGE, INTERNAL):
        return [identity]
    return [identity, x509.DNSName(f"{name}.weft.internal"), *local]


def _draft(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, lifetime: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + lifetime)
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


def _read(file: Path) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(file.read_bytes())


def _private(file: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(file.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def _text(certificates: Iterable[x509.Certificate]) -> str:
    return "".join(found.public_bytes(serialization.Encoding.PEM).decode() for found in certificates)


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
