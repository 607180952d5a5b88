"""Slices of certificates are what the crypto library says they are; cut or bent ones end in ValueError alone."""

from __future__ import annotations

import pytest
from cryptography import x509

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
