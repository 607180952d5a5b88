"""Slices of certificates are what the crypto library says they are; cut or bent ones end in ValueError alone."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from mdoc_reader.lab import certificates
from mdoc_reader.trust import der


@pytest.mark.parametrize("curve", ["P-256", "P-521", "brainpoolP384r1"])
def test_slices_are_the_signed_part_and_the_names(curve: str) -> None:
    iaca = certificates.make_iaca(curve, state="Sample State")
    signer = certificates.make_document_signer(iaca, curve, state="Sörland")
    for credential in (iaca, signer):
        parts = der.slices(credential.der)
        certificate = credential.certificate
        assert parts.signed == certificate.tbs_certificate_bytes
        assert parts.issuer == certificate.issuer.public_bytes()
        assert parts.subject == certificate.subject.public_bytes()
    assert der.name_text(parts.subject, der.COUNTRY) == "UT"
    assert der.name_text(parts.subject, der.STATE) == "Sörland"
    assert der.name_text(parts.issuer, der.STATE) == "Sample State"


def test_what_a_name_lacks_is_none() -> None:
    iaca = certificates.make_iaca(country=None, common_name="C=XX")
    assert der.name_text(der.slices(iaca.der).subject, der.COUNTRY) is None
    assert der.name_text(x509.Name([]).public_bytes(), der.COUNTRY) is None


def bare() -> bytes:
    """Make a certificate without extensions, under a long name."""
    key = certificates.generate_signing_key("P-521")
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, f"{number}" * 60) for number in range(5)]
    name = x509.Name(attributes)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1 << 150)  # type: ignore[arg-type]
    builder = builder.not_valid_before(certificates.now()).not_valid_after(certificates.now() + timedelta(days=1))
    return builder.sign(key, hashes.SHA512()).public_bytes(Encoding.DER)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "data",
    [
        certificates.make_iaca().der,
        certificates.make_iaca("P-521", common_name="Utopia " * 9, state="State " * 10).der,
        bare(),
    ],
    ids=["short", "long", "bare"],
)
def test_what_finds_a_certificate_is_what_its_slices_say(data: bytes) -> None:
    found, parts = der.index(data), der.slices(data)
    assert found.subject == parts.subject
    assert found.key_algorithm == der.key_parts(parts.key)[0]
    assert found.key_identifier == der.subject_key_identifier(parts.extensions)
    assert (found.key_identifier is None) == (parts.extensions == b"")
    for length in range(len(data) - 200):
        with pytest.raises(ValueError):
            der.index(data[:length])


def test_every_cut_and_every_bent_byte_is_bounded() -> None:
    whole = certificates.make_iaca().der
    for length in range(len(whole)):
        with pytest.raises(ValueError):
            der.slices(whole[:length])
    for place in range(len(whole)):
        for bit in (0x80, 0x01):
            bent = whole[:place] + bytes((whole[place] ^ bit,)) + whole[place + 1 :]
            try:
                parts = der.slices(bent)
                der.name_text(parts.subject, der.COUNTRY)
                der.name_text(parts.issuer, der.STATE)
            except ValueError:
                continue
            assert parts.signed in bent
