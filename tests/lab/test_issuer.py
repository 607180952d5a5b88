"""The lab's issuer: certificates after the profile, documents whose every byte checks out, on every curve."""

from __future__ import annotations

import hashlib
import io
from datetime import UTC, date, datetime, timedelta

import pytest
from cbor2 import CBORTag
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtensionOID
from PIL import Image

from mdoc_reader.lab import certificates, issuer, people
from mdoc_reader.mdoc import cbor, cose, keys, mso

MANDATORY = {
    "family_name",
    "given_name",
    "birth_date",
    "issue_date",
    "expiry_date",
    "issuing_country",
    "issuing_authority",
    "document_number",
    "portrait",
    "driving_privileges",
    "un_distinguishing_sign",
}
SMALL = {"org.example": {"colour": "green", "when": issuer.full_date(date(2020, 2, 29))}}


def parse_auth(document: issuer.IssuedDocument) -> cose.Cose:
    return cose.parse(cbor.decode(document.issuer_auth), "COSE_Sign1", "issuerAuth")


def signature_holds(document: issuer.IssuedDocument) -> bool:
    auth = parse_auth(document)
    (leaf,), _ = cose.certificate_chain(auth, "issuerAuth")
    key = x509.load_der_x509_certificate(leaf).public_key()
    row = keys.curve_of(key)
    algorithm = cose.algorithm_for(auth, row)
    assert algorithm is not None
    assert auth.payload is not None
    return cose.verify_signature(auth, key, row, algorithm, auth.payload)  # type: ignore[arg-type]


@pytest.mark.parametrize("authority_curve", certificates.AUTHORITY_CURVES)
@pytest.mark.parametrize("signer_curve", certificates.SIGNER_CURVES)
def test_every_pair_of_curves_makes_a_chain_and_a_document(authority_curve: str, signer_curve: str) -> None:
    iaca = certificates.make_iaca(authority_curve)
    iaca.certificate.verify_directly_issued_by(iaca.certificate)
    signer = certificates.make_document_signer(iaca, signer_curve)
    signer.certificate.verify_directly_issued_by(iaca.certificate)
    with pytest.raises((InvalidSignature, ValueError, TypeError)):
        signer.certificate.verify_directly_issued_by(
            certificates.make_iaca("P-384" if authority_curve == "P-256" else "P-256").certificate
        )
    device_key = issuer.generate_device_key()
    assert signature_holds(issuer.issue(signer, device_key.public_key(), "org.example.doc", SMALL))


@pytest.mark.parametrize("curve", certificates.SIGNER_CURVES)
def test_a_reader_gets_its_certificate_and_identity(curve: str) -> None:
    reader_ca = certificates.make_reader_ca()
    reader = certificates.make_reader(reader_ca, curve)
    reader.certificate.verify_directly_issued_by(reader_ca.certificate)
    usage = reader.certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert usage.critical
    assert [purpose.dotted_string for purpose in usage.value] == ["1.0.18013.5.1.6"]
    identity = certificates.reader_identity(reader)
    proof = cose.parse(cbor.decode(identity.sign(b"payload")), "COSE_Sign1", "readerAuth")
    assert cose.certificate_chain(proof, "readerAuth") == ((reader.der,), True)


def test_curves_that_may_not_be_used_are_refused() -> None:
    with pytest.raises(ValueError, match="authority cannot use Ed25519"):
        certificates.make_iaca("Ed25519")
    with pytest.raises(ValueError, match="no signatures on X25519"):
        certificates.generate_signing_key("X25519")
    with pytest.raises(ValueError, match="no signatures on brainpoolP320r1"):
        issuer.generate_device_key("brainpoolP320r1")
    signer = certificates.make_document_signer(certificates.make_iaca(), "P-384")
    with pytest.raises(ValueError, match="no digest algorithm MD5"):
        issuer.issue(signer, signer.key.public_key(), "org.example.doc", SMALL, digest_algorithm="MD5")


def test_the_profile_of_the_authority() -> None:
    iaca = certificates.make_iaca(state="Nowhere")
    extensions = iaca.certificate.extensions
    constraints = extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert (constraints.value.ca, constraints.value.path_length) == (True, 0)
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert (usage.value.key_cert_sign, usage.value.crl_sign, usage.value.digital_signature) == (True, True, False)
    assert extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest == (
        x509.SubjectKeyIdentifier.from_public_key(iaca.key.public_key()).digest
    )
    extensions.get_extension_for_class(x509.IssuerAlternativeName)
    lifetime = iaca.certificate.not_valid_after_utc - iaca.certificate.not_valid_before_utc
    assert lifetime < timedelta(days=20 * 365)
    assert iaca.certificate.subject.rfc4514_string() == "CN=Utopia Lab IACA,ST=Nowhere,C=UT"


def test_the_profile_of_the_document_signer() -> None:
    iaca = certificates.make_iaca()
    signer = certificates.make_document_signer(iaca)
    extensions = signer.certificate.extensions
    purposes = extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert purposes.critical
    assert [purpose.dotted_string for purpose in purposes.value] == ["1.0.18013.5.1.2"]
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert (usage.value.digital_signature, usage.value.key_cert_sign, usage.value.crl_sign) == (True, False, False)
    authority = extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    assert authority == iaca.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    present = {extension.oid for extension in extensions}
    assert present >= {
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
        ExtensionOID.ISSUER_ALTERNATIVE_NAME,
        ExtensionOID.CRL_DISTRIBUTION_POINTS,
    }
    lifetime = signer.certificate.not_valid_after_utc - signer.certificate.not_valid_before_utc
    assert lifetime <= timedelta(days=457)
    now = datetime.now(UTC)
    assert signer.certificate.not_valid_before_utc < now < signer.certificate.not_valid_after_utc


def test_single_extensions_can_be_left_out_put_in_and_replaced() -> None:
    iaca = certificates.make_iaca()
    without = certificates.Changes(leave_out=[x509.ExtendedKeyUsage, x509.AuthorityKeyIdentifier])
    extensions = certificates.make_document_signer(iaca, changes=without).certificate.extensions
    present = {extension.oid for extension in extensions}
    assert ExtensionOID.EXTENDED_KEY_USAGE not in present
    assert ExtensionOID.AUTHORITY_KEY_IDENTIFIER not in present
    assert len(present) == 4
    other = x509.ExtendedKeyUsage([x509.ObjectIdentifier("1.2.3")])
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    changes = certificates.Changes(put=[(other, False), (unknown, True)])
    extensions = certificates.make_document_signer(iaca, changes=changes).certificate.extensions
    assert extensions.get_extension_for_class(x509.ExtendedKeyUsage).critical is False
    assert extensions.get_extension_for_oid(unknown.oid).critical is True
    assert len(list(extensions)) == 7


@pytest.mark.parametrize("digest_algorithm", mso.DIGEST_ALGORITHMS)
def test_every_digest_fits_its_item_and_decoys_fit_none(digest_algorithm: str) -> None:
    signer = certificates.make_document_signer(certificates.make_iaca())
    device_key = issuer.generate_device_key("P-384")
    document = issuer.issue(
        signer, device_key.public_key(), "org.example.doc", SMALL, digest_algorithm=digest_algorithm, decoys=5
    )
    payload = parse_auth(document).payload
    assert payload is not None
    security = mso.parse(payload)
    digests = security.value_digests["org.example"]
    assert sorted(digests) == list(range(7))
    fitting = {
        item.digest_id
        for item in document.namespaces["org.example"]
        if digests[item.digest_id] == hashlib.new(digest_algorithm.replace("-", ""), item.encoded).digest()
    }
    assert len(fitting) == 2
    assert {len(digest) for digest in digests.values()} == {mso.DIGEST_ALGORITHMS[digest_algorithm]}  # type: ignore[arg-type]
    content = cbor.as_map(
        cbor.decode(cbor.as_embedded(cbor.decode(document.namespaces["org.example"][1].encoded), "")), ""
    )
    assert list(content) == ["digestID", "random", "elementIdentifier", "elementValue"]
    assert content["elementValue"] == CBORTag(1004, "2020-02-29")
    assert len(cbor.as_bytes(content["random"], "")) >= 16


@pytest.mark.parametrize("curve", issuer.DEVICE_CURVES)
@pytest.mark.parametrize("compressed", [False, True])
def test_every_device_key_comes_back_from_the_mso(curve: str, compressed: bool) -> None:
    signer = certificates.make_document_signer(certificates.make_iaca())
    public_key = issuer.generate_device_key(curve).public_key()
    document = issuer.issue(signer, public_key, "org.example.doc", SMALL, compressed_device_key=compressed)
    payload = parse_auth(document).payload
    assert payload is not None
    row, key = mso.parse(payload).device_key()
    assert row.name == curve
    assert keys.encode_cose_key(key) == keys.encode_cose_key(public_key)


def test_times_authorizations_and_status_are_written() -> None:
    signer = certificates.make_document_signer(certificates.make_iaca())
    start = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    allowed = mso.KeyAuthorizations(frozenset({"org.example.own"}), {"org.example": frozenset({"colour"})})
    status = {"status_list": {"idx": 7, "uri": "https://lab.invalid/list"}}
    document = issuer.issue(
        signer,
        issuer.generate_device_key().public_key(),
        "org.example.doc",
        SMALL,
        signed=start,
        valid_from=start + timedelta(days=1),
        valid_until=start + timedelta(days=2),
        expected_update=start + timedelta(hours=36),
        key_authorizations=allowed,
        status=status,
    )
    payload = parse_auth(document).payload
    assert payload is not None
    security = mso.parse(payload)
    assert security.validity.unconforming == ()
    assert security.validity.signed == start
    assert security.validity.valid_from == start + timedelta(days=1)
    assert security.validity.valid_until == start + timedelta(days=2)
    assert security.validity.expected_update == start + timedelta(hours=36)
    assert security.key_authorizations == allowed
    assert security.status == status


def test_a_forged_signature_shows() -> None:
    iaca = certificates.make_iaca()
    signer, other = certificates.make_document_signer(iaca), certificates.make_document_signer(iaca)
    device_key = issuer.generate_device_key().public_key()
    forged = issuer.issue(certificates.Credential(other.key, signer.certificate), device_key, "org.example.doc", SMALL)
    assert not signature_holds(forged)


def test_the_cast_has_all_mandatory_elements_and_the_right_ages() -> None:
    today = date(2026, 2, 28)
    for person, years in ((people.adult(today), 34), (people.minor(today), 16), (people.adult(today, 18), 18)):
        elements = people.mdl_elements(person, today)[people.MDL_NAMESPACE]
        assert elements.keys() >= MANDATORY
        assert elements["age_in_years"] == years
        ages = {int(name[-2:]): value for name, value in elements.items() if name.startswith("age_over_")}
        assert ages == {age: years >= age for age in range(12, 26)}
    assert people.adult(today, 18).age_on(today - timedelta(days=1)) == 17
    # Whoever asks on a leap day gets people of the right age all the same.
    assert people.adult(date(2028, 2, 29), 18).age_on(date(2028, 2, 29)) == 18


def test_portraits_are_small_jpegs_and_differ() -> None:
    today = date(2026, 2, 28)
    drawn = {people.portrait(cast(today).look) for cast in (people.adult, people.minor, people.stranger)}
    assert len(drawn) == 3
    for picture in drawn:
        assert 3_000 < len(picture) < 20_000
        with Image.open(io.BytesIO(picture)) as image:
            assert (image.format, image.size) == ("JPEG", (300, 400))
    assert len(people.portrait(people.Look(), size=20_480)) == 20_480
    with Image.open(io.BytesIO(people.portrait(people.Look(), size=20_480))) as image:
        image.load()
