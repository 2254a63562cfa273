"""Certificates: who is named how, what is trusted, and when they are renewed."""

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from deploy.local.state import certificates as module
from deploy.local.state.certificates import LIFETIME, OVERLAP, RENEW_BEFORE, Certificates


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
    monkeypatch.setattr("deploy.local.state.certificates.LIFETIME", RENEW_BEFORE - timedelta(days=1))
    certificates.renew()
    monkeypatch.undo()

    assert certificates.ensure() == ["user", "order", "edge", "edge-server", "internal"]
    assert read(certificates, "user").not_valid_after_utc - datetime.now(UTC) > RENEW_BEFORE


def trusted(certificates) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(certificates.ca.read_bytes())


def issuer(certificates, name="user") -> x509.Certificate:
    """The one of the trusted authorities that a certificate comes from."""
    (found,) = [
        authority for authority in trusted(certificates) if certificates_fit(read(certificates, name), authority)
    ]
    return found


def certificates_fit(certificate, authority) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, InvalidSignature):
        return False
    return True


def test_a_new_authority_is_handed_out_before_certificates_come_from_it(certificates):
    (first,) = trusted(certificates)

    certificates.introduce()

    assert trusted(certificates)[0] == first
    assert len(trusted(certificates)) == 2
    assert certificates.ensure() == []
    certificates.renew()
    assert issuer(certificates) == first


def test_certificates_move_to_it_after_the_overlap_and_the_old_one_is_trusted_on(certificates, monkeypatch):
    (first,) = trusted(certificates)
    certificates.introduce()
    monkeypatch.setattr(module, "OVERLAP", timedelta(0))

    assert certificates.ensure() == list(certificates.names)

    monkeypatch.undo()
    second = issuer(certificates)
    assert second != first
    assert not certificates.pending
    assert {issuer(certificates, name) for name in certificates.names} == {second}
    monkeypatch.setattr(module, "OVERLAP", timedelta(days=-1))  # and that is over
    certificates.ensure()
    assert trusted(certificates) == [second]


def test_the_old_one_is_trusted_until_its_day(certificates):
    (first,) = trusted(certificates)
    certificates.introduce()

    certificates.adopt()
    certificates.ensure()

    assert trusted(certificates) == [issuer(certificates), first]
    assert certificates.ensure() == []
    assert certificates.retirement > datetime.now(UTC) + OVERLAP


def test_two_steps_at_once_end_the_trust_in_a_stolen_authority(certificates):
    (stolen,) = trusted(certificates)

    for _ in range(2):
        certificates.introduce()
        certificates.adopt()

    assert stolen not in trusted(certificates)
    assert len(trusted(certificates)) == 2


@pytest.mark.parametrize("broken", ["key written", "authority removed"])
def test_a_step_that_was_broken_off_is_taken_to_its_end(certificates, broken):
    certificates.introduce()
    if broken == "key written":  # a kill between two lines of `adopt`
        certificates.key("ca").write_bytes(certificates.key("next-ca").read_bytes())
    else:  # a kill in `introduce`, before ca.crt
        certificates.ca.write_text(trusted(certificates)[0].public_bytes(serialization.Encoding.PEM).decode())

    certificates.ensure()

    assert len(trusted(certificates)) == 2
    assert {issuer(certificates, name) for name in certificates.names} == {trusted(certificates)[0]}
    assert certificates.pending == (broken == "authority removed")


def test_a_key_that_does_not_belong_to_the_authority_makes_a_new_one(certificates):
    certificates.key("ca").write_bytes(certificates.key("user").read_bytes())

    assert certificates.ensure() == ["ca", *certificates.names]
    assert len(trusted(certificates)) == 1


def test_an_authority_that_ends_soon_is_followed_by_another(certificates, monkeypatch):
    monkeypatch.setattr(module, "AUTHORITY_LIFETIME", LIFETIME)
    for name in ("ca.crt", "ca.key"):
        (certificates.folder / name).unlink()

    assert certificates.ensure() == ["ca", "next-ca", *certificates.names]
    monkeypatch.undo()
    assert certificates.ensure() == []
    assert certificates.pending
