"""Certificates: who is named how, what is trusted, and when they are renewed."""

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from deploy.local.certificates import RENEWAL, Certificates


@pytest.fixture
def certificates(tmp_path) -> Certificates:
    made = Certificates(tmp_path, ("user", "order"))
    made.ensure()
    return made


def read(certificates, name) -> x509.Certificate:
    return x509.load_pem_x509_certificate(certificates.certificate(name).read_bytes())


def names(certificate) -> list[str]:
    return [
        str(name.value) for name in certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    ]


def test_each_part_has_its_names(certificates):
    assert {name: names(read(certificates, name)) for name in certificates.names} == {
        "user": ["spiffe://weft/user", "user.weft.internal", "localhost", "127.0.0.1"],
        "order": ["spiffe://weft/order", "order.weft.internal", "localhost", "127.0.0.1"],
        "edge": ["spiffe://weft/edge"],
        "edge-server": ["localhost", "127.0.0.1"],
        "internal": ["spiffe://weft/internal"],
    }


def test_every_certificate_comes_from_the_authority_and_fits_its_key(certificates):
    (authority,) = x509.load_pem_x509_certificates(certificates.ca.read_bytes())
    for name in certificates.names:
        certificate = read(certificates, name)
        certificate.verify_directly_issued_by(authority)
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificates.certificate(name), certificates.key(name))
        assert isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)


def test_keys_are_closed_to_others(certificates):
    assert {file.stat().st_mode & 0o777 for file in certificates.folder.glob("*.key")} == {0o600}


def test_what_is_good_stays(certificates):
    assert certificates.ensure() == []


def test_what_ends_soon_is_renewed(certificates, monkeypatch):
    monkeypatch.setattr("deploy.local.certificates.LIFE", RENEWAL - timedelta(days=1))
    certificates.renew()
    monkeypatch.undo()

    assert certificates.ensure() == ["user", "order", "edge", "edge-server", "internal"]
    assert read(certificates, "user").not_valid_after_utc - datetime.now(UTC) > RENEWAL


def test_a_new_authority_is_trusted_beside_the_one_before_until_the_next(certificates):
    (first,) = x509.load_pem_x509_certificates(certificates.ca.read_bytes())
    certificates.replace_authority()
    second, kept = x509.load_pem_x509_certificates(certificates.ca.read_bytes())
    assert kept == first
    read(certificates, "user").verify_directly_issued_by(first)

    certificates.renew()

    read(certificates, "user").verify_directly_issued_by(second)
    certificates.replace_authority()
    assert first not in x509.load_pem_x509_certificates(certificates.ca.read_bytes())
