"""VICALs: what is taken from good ones however they are written, and the code of everything that is wrong with one."""

from __future__ import annotations

import functools
import gzip
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from mdoc_reader.lab import certificates, lote
from mdoc_reader.lab import vical as lab
from mdoc_reader.lab.vical import MDL
from mdoc_reader.model.reasons import Malformed, MalformedCode, ReasonCode, Severity
from mdoc_reader.trust import authority
from mdoc_reader.trust.codes import CertificateCode
from mdoc_reader.trust.list_codes import EntryCode, ListCode
from mdoc_reader.trust.lists import ListKind, Order, SignedList
from mdoc_reader.trust.vical import open_vical

AT = certificates.now()
PID = "eu.europa.ec.eudi.pid.1"


@functools.cache
def provider() -> lab.Provider:
    return lab.make_provider()


@functools.cache
def long_provider() -> lab.Provider:
    return lab.make_provider(between=True)


@functools.cache
def issuer(number: int = 0) -> certificates.Credential:
    return certificates.make_iaca(country="UT", state=f"UT-{number}", common_name=f"Authority {number}")


def opened(data: bytes, by: lab.Provider | None = None, at: datetime = AT) -> SignedList:
    return open_vical(data, [(by or provider()).root.der], at)


def made(entries: Sequence[object] | None = None, **more: object) -> bytes:
    given = [lab.entry(issuer())] if entries is None else entries
    return lab.sign(provider(), lab.content(given, **more))  # type: ignore[arg-type]


def errors(found: SignedList) -> set[ReasonCode]:
    return {each.code for each in found.findings if each.severity is Severity.ERROR}


def warnings(found: SignedList) -> set[ReasonCode]:
    return {each.code for each in found.findings if each.severity is Severity.WARNING}


def test_a_good_list() -> None:
    issued = AT - timedelta(days=1)
    found = opened(lab.make_vical(provider(), [issuer(0), issuer(1)], issued=issued))
    assert found.findings == ()
    assert found.skipped == ()
    assert [(each.der, each.doctypes, each.direct) for each in found.entries] == [
        (issuer(number).der, frozenset({MDL}), False) for number in (0, 1)
    ]
    assert found.entries[0].subject == "Authority 0, UT-0, UT"
    assert found.order == Order("vicalIssueID", number=7)
    assert found.origin.kind is ListKind.VICAL
    root = authority.identity(provider().root.der).hex()[:32]
    assert (found.origin.name, found.origin.identity) == ("Utopia Lab", f"vical:{root}:Utopia Lab")
    assert found.origin.issued == issued
    assert found.origin.not_after is None
    assert found.chain == provider().chain


@pytest.mark.parametrize("curve", ["P-256", "P-384", "P-521", "brainpoolP256r1", "brainpoolP384r1", "brainpoolP512r1"])
def test_every_curve(curve: str) -> None:
    by = lab.make_provider(curve)
    found = opened(lab.make_vical(by, [issuer()]), by)
    assert (len(found.entries), found.findings) == (1, ())


def test_an_independent_library_verifies_what_the_lab_signs() -> None:
    messages = pytest.importorskip("pycose.messages")
    keys = pytest.importorskip("pycose.keys")
    signer = provider().signer.certificate.public_key()
    assert isinstance(signer, ec.EllipticCurvePublicKey)
    x, y = (signer.public_numbers().x.to_bytes(32, "big"), signer.public_numbers().y.to_bytes(32, "big"))
    key = keys.EC2Key(crv="P_256", x=x, y=y)
    data = lab.make_vical(provider(), [issuer()])
    message = messages.Sign1Message.from_cose_obj(cbor2.loads(data), True)
    message.key = key
    assert message.verify_signature()
    assert cbor2.loads(message.payload)["vicalProvider"] == opened(data).origin.name


def test_it_is_what_an_independent_reading_says() -> None:
    """The bytes of the list by the generic library alone, its signature by what the standard says is signed."""
    data = lab.make_vical(provider(), [issuer(0), issuer(1)])
    protected, unprotected, payload, proof = cbor2.loads(data)
    assert cbor2.loads(protected) == {1: -7}
    signer = x509.load_der_x509_certificate(unprotected[33])
    signed = cbor2.dumps(["Signature1", protected, b"", payload])
    key = signer.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    r, s = int.from_bytes(proof[:32], "big"), int.from_bytes(proof[32:], "big")
    key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))
    told = cbor2.loads(payload)
    found = opened(data)
    assert told["vicalIssueID"] == found.order.number if found.order else False
    assert told["nextUpdate"] == found.origin.next_update
    assert [info["certificate"] for info in told["certificateInfos"]] == [each.der for each in found.entries]
    assert [info["serialNumber"] for info in told["certificateInfos"]] == [
        x509.load_der_x509_certificate(each.der).serial_number for each in found.entries
    ]


FORMS: dict[str, tuple[lab.Wrap, set[ReasonCode]]] = {
    "tagged": (lab.Wrap(tagged=True), set()),
    "packed": (lab.Wrap(packed=True), set()),
    "tagged and packed": (lab.Wrap(tagged=True, packed=True), set()),
    "protected chain": (lab.Wrap(protected_chain=True), {ListCode.CHAIN_PROTECTED}),
    "typed": (lab.Wrap(headers={3: "application/cbor", 4: b"key"}), set()),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("by", [provider, long_provider])
def test_forms_of_the_envelope(form: str, by: object) -> None:
    chosen: lab.Provider = by()  # type: ignore[operator]
    wrap, noted = FORMS[form]
    found = opened(lab.make_vical(chosen, [issuer()], wrap=wrap), chosen)
    assert (len(found.entries), warnings(found), errors(found)) == (1, noted, set())


def test_the_root_may_come_along_and_the_signer_may_be_pinned() -> None:
    by = long_provider()
    data = lab.make_vical(by, [issuer()], wrap=lab.Wrap(chain=(*by.chain, by.root.der)))
    assert opened(data, by).entries
    assert open_vical(data, [by.signer.der], AT).entries
    assert open_vical(data, [b"\x30\x00", provider().root.der, by.root.der], AT).entries


# Ways of writing the same that are met in lists and in the software that makes them.
SPELT: dict[str, tuple[Mapping[str, object], set[ReasonCode]]] = {
    "no issue number": ({"vicalIssueID": None}, {ListCode.NO_ORDER}),
    "no next update": ({"nextUpdate": None}, {ListCode.NO_NEXT_UPDATE}),
    "date without its tag": ({"date": lab.tdate(AT).value}, {ListCode.DATE_FORM}),
    "date with an offset": ({"date": cbor2.CBORTag(0, (AT - timedelta(days=1)).isoformat())}, {ListCode.DATE_FORM}),
    "date with fractions": ({"date": cbor2.CBORTag(0, "2025-11-18T18:38:12.461Z")}, {ListCode.DATE_FORM}),
    "date as a number": ({"date": cbor2.CBORTag(1, int(AT.timestamp()))}, {ListCode.DATE_FORM}),
    "day alone": ({"date": cbor2.CBORTag(1004, "2025-11-18")}, {ListCode.DATE_FORM}),
    "issue number as a big one": ({"vicalIssueID": lab.bignum(7)}, set()),
    "address": ({"vicalURL": "https://lab.invalid/vical"}, set()),
    "extensions": ({"extensions": {"a": [1, {"b": None}]}, "org.lab.more": 1.5}, set()),
    "not after": ({"notAfter": lab.tdate(AT + timedelta(days=60))}, set()),
    "no version": ({"version": None}, {ListCode.VERSION}),
    "a later version": ({"version": "1.1"}, {ListCode.VERSION}),
}


@pytest.mark.parametrize("name", SPELT)
def test_spellings_of_the_list(name: str) -> None:
    change, noted = SPELT[name]
    found = opened(made(**change))
    assert len(found.entries) == 1
    assert {each.code for each in found.findings} == noted


SPELT_ENTRIES: dict[str, tuple[Mapping[str, object], set[ReasonCode]]] = {
    "no optional part": (
        dict.fromkeys(
            (
                "certificateProfile", "issuingAuthority", "issuingCountry", "stateOrProvinceName", "issuer", "subject",
                "notBefore", "notAfter",
            )
        ),
        set(),
    ),
    "serial as an integer": ({"serialNumber": None, "serial": 1}, {EntryCode.PARTS_MISSING}),
    "no key identifier": ({"ski": None}, {EntryCode.PARTS_MISSING}),
    "profile dotted": ({"certificateProfile": ["1.0.18013.5.1.7"]}, set()),
    "profile as text": ({"certificateProfile": "urn:oid:1.0.18013.5.1.7"}, set()),
    "profile empty": ({"certificateProfile": [""]}, set()),
    "profile of somebody else": ({"certificateProfile": ["urn:utopia:issuer"]}, set()),
    "two profiles": ({"certificateProfile": ["1.0.18013.5.1.2", "URN:OID:1.0.18013.5.1.7"]}, set()),
    "wrong serial": ({"serialNumber": lab.bignum(5)}, {EntryCode.SERIAL_NUMBER}),
    "serial of no number": ({"serialNumber": "seven"}, {EntryCode.SERIAL_NUMBER}),
    "other dates": ({"notAfter": "some day"}, set()),
    "extensions": ({"extensions": {"x": b"y"}, "more": [1]}, set()),
}  # fmt: skip


@pytest.mark.parametrize("name", SPELT_ENTRIES)
def test_spellings_of_an_entry(name: str) -> None:
    change, noted = SPELT_ENTRIES[name]
    found = opened(made([lab.entry(issuer(), **change)]))
    assert [each.der for each in found.entries] == [issuer().der]
    assert {each.code for each in found.findings} == noted
    assert found.skipped == ()


def test_spellings_of_numbers_and_doctypes() -> None:
    serial = issuer().certificate.serial_number
    octets = serial.to_bytes(20, "big")
    for spelt in (octets, list(octets), lab.bignum(serial), cbor2.CBORTag(2, b"\0" + octets)):
        assert opened(made([lab.entry(issuer(), serialNumber=spelt)])).findings == ()
    small = certificates.make_iaca()
    assert opened(made([lab.entry(small, serialNumber=small.certificate.serial_number)])).entries  # 20 octets: a tag
    found = opened(made([lab.entry(issuer(), MDL)]))
    assert found.entries[0].doctypes == {MDL}
    assert {each.code for each in found.findings} == {EntryCode.DOCTYPE_FORM}
    found = opened(made([lab.entry(issuer(), [MDL, 7, ""])]))
    assert found.entries[0].doctypes == {MDL}
    assert warnings(found) == {EntryCode.DOCTYPE_FORM}


def test_a_payload_in_a_wrapper_of_its_own() -> None:
    wrapped = cbor2.CBORTag(24, cbor2.dumps(lab.content([lab.entry(issuer())])))
    assert opened(lab.sign(provider(), cbor2.dumps(wrapped))).entries


def test_an_entry_counts_for_the_doctypes_it_lists_and_a_certificate_for_those_of_all_its_entries() -> None:
    found = opened(
        made(
            [
                lab.entry(issuer(0), (PID,)),
                lab.entry(issuer(1), (MDL, PID)),
                lab.entry(issuer(0), (MDL,)),
                lab.entry(issuer(1), (PID,)),
            ]
        )
    )
    assert [(each.der, each.doctypes) for each in found.entries] == [
        (issuer(0).der, {MDL, PID}),
        (issuer(1).der, {MDL, PID}),
    ]
    assert [(each.subject, each.code) for each in found.skipped] == [("Authority 1, UT-1, UT", EntryCode.DUPLICATE)]


@functools.cache
def signer_certificate() -> certificates.Credential:
    return certificates.make_document_signer(issuer())


SKIPPED: dict[str, tuple[object, EntryCode]] = {
    "no map": (7, EntryCode.MALFORMED),
    "no certificate": ({"certificate": None}, EntryCode.NO_CERTIFICATE),
    "a text for a certificate": ({"certificate": "MII"}, EntryCode.MALFORMED),
    "no readable certificate": ({"certificate": b"\x30\x03\x02\x01\x01"}, EntryCode.NOT_A_CERTIFICATE),
    "an empty certificate": ({"certificate": b""}, EntryCode.NOT_A_CERTIFICATE),
    "no doctype": ({"docType": None}, EntryCode.NO_DOCTYPE),
    "empty doctypes": ({"docType": []}, EntryCode.NO_DOCTYPE),
    "doctypes of no text": ({"docType": [1, 2]}, EntryCode.NO_DOCTYPE),
    "doctypes of another form": ({"docType": {"a": 1}}, EntryCode.MALFORMED),
    "too many doctypes": ({"docType": [str(number) for number in range(65)]}, EntryCode.MALFORMED),
    "another key's identifier": ({"ski": bytes(20)}, EntryCode.KEY_IDENTIFIER),
    "for readers": ({"certificateProfile": ["urn:oid:1.0.18013.5.1.6"]}, EntryCode.PROFILE_OTHER),
    "a signer's profile, dotted": ({"certificateProfile": "1.0.18013.5.1.2"}, EntryCode.PROFILE_OTHER),
}


@pytest.mark.parametrize("name", SKIPPED)
def test_one_bad_entry_among_good_ones_is_skipped_and_said(name: str) -> None:
    change, code = SKIPPED[name]
    bad = lab.entry(issuer(1), **change) if isinstance(change, dict) else change
    found = opened(made([lab.entry(issuer(0)), bad, lab.entry(issuer(2))]))
    assert [each.der for each in found.entries] == [issuer(0).der, issuer(2).der]
    assert [each.code for each in found.skipped] == [code]
    assert found.skipped[0].subject == ("Authority 1, UT-1, UT" if isinstance(change, dict) else "certificateInfos[1]")
    assert errors(found) == set()


def test_certificates_that_cannot_stand_for_an_issuer() -> None:
    signer, other = signer_certificate(), lote.make_operator("RSA-2048", authority=True)
    rsa = x509.load_der_x509_certificate(other.certificate)
    found = opened(made([lab.entry(signer), lab.info(rsa, other.certificate)]))
    assert [each.code for each in found.skipped] == [EntryCode.NOT_AUTHORITY, EntryCode.UNSUPPORTED_KEY]
    assert found.entries == ()
    assert warnings(found) == {ListCode.EMPTY}


def test_what_the_list_calls_an_entry_is_safe_to_show() -> None:
    found = opened(made([lab.entry(issuer(), issuingAuthority="\x1b[2J\u202e" + "A" * 500, certificate=b"")]))
    told = found.skipped[0].subject
    assert told.isprintable()
    assert len(told) <= 120


# --- who signed it -------------------------------------------------------------------------------------------------


def changed(provider: lab.Provider, **parts: object) -> lab.Provider:
    return lab.Provider(**{"root": provider.root, "signer": provider.signer, "between": provider.between, **parts})  # type: ignore[arg-type]


def without(*extensions: type[x509.ExtensionType]) -> certificates.Changes:
    return certificates.Changes(leave_out=extensions)


def put(extension: x509.ExtensionType, *, critical: bool = True) -> certificates.Changes:
    return certificates.Changes(put=[(extension, critical)])


def usage(**uses: bool) -> x509.KeyUsage:
    none = dict.fromkeys(lote._USES, False)
    return x509.KeyUsage(**(none | uses))


SIGNERS: dict[str, tuple[dict[str, object], set[ReasonCode]]] = {
    "wrong purpose": ({"purpose": certificates.MDL_SIGNER}, {CertificateCode.SIGNER_EKU_OTHER}),
    "no purpose": ({"changes": without(x509.ExtendedKeyUsage)}, {CertificateCode.SIGNER_EKU_MISSING}),
    "expired": (
        {"not_before": AT - timedelta(days=90), "not_after": AT - timedelta(days=1)},
        {CertificateCode.SIGNER_EXPIRED},
    ),
    "not yet valid": (
        {"not_before": AT + timedelta(days=1), "not_after": AT + timedelta(days=90)},
        {CertificateCode.SIGNER_NOT_YET_VALID},
    ),
    "no key usage": ({"changes": without(x509.KeyUsage)}, {CertificateCode.KEY_USAGE_MISSING}),
    "for encryption": ({"changes": put(usage(key_agreement=True))}, {CertificateCode.SIGNER_KEY_USAGE}),
    "may issue": (
        {"changes": put(usage(content_commitment=True, key_cert_sign=True))},
        {CertificateCode.SIGNER_KEY_USAGE},
    ),
    "an authority": (
        {"changes": put(x509.BasicConstraints(ca=True, path_length=None))},
        {CertificateCode.SIGNER_IS_AUTHORITY},
    ),
    "unknown critical extension": (
        {"changes": put(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"))},
        {CertificateCode.CRITICAL_EXTENSION},
    ),
}


@pytest.mark.parametrize("name", SIGNERS)
def test_signers_that_may_not_sign_lists(name: str) -> None:
    parts, codes = SIGNERS[name]
    changes = parts.get("changes", certificates.PROFILE)
    assert isinstance(changes, certificates.Changes)
    by = lab.make_provider(**{**parts, "changes": certificates.Changes(changes.leave_out, changes.put)})  # type: ignore[arg-type]
    if name == "no key usage":
        by = _without_key_usage(by)
    found = opened(lab.make_vical(by, [issuer()]), by)
    assert errors(found) == codes
    assert found.entries == ()


def _without_key_usage(by: lab.Provider) -> lab.Provider:
    signer = certificates.make_document_signer(
        by.root, purpose=lab.VICAL_SIGNER, changes=without(x509.KeyUsage), key=by.signer.key
    )
    return changed(by, signer=signer)


@pytest.mark.parametrize("uses", [{"content_commitment": True}, {"digital_signature": True}])
def test_a_signer_signs_or_commits(uses: dict[str, bool]) -> None:
    by = lab.make_provider(changes=put(usage(**uses)))
    assert opened(lab.make_vical(by, [issuer()]), by).entries


def test_nobody_is_pinned() -> None:
    found = open_vical(lab.make_vical(provider(), [issuer()]), [], AT)
    assert errors(found) == {ListCode.NO_PINS}
    assert found.entries == ()
    assert found.origin.name == "Utopia Lab"


def test_pins_that_cannot_be_read() -> None:
    found = open_vical(lab.make_vical(provider(), [issuer()]), [b"\x30\x00"], AT)
    assert errors(found) == {ListCode.NO_PINS}
    assert warnings(found) == {ListCode.PIN_UNREADABLE}


def test_somebody_else_is_pinned() -> None:
    other = lab.make_provider(name="Elsewhere")
    found = opened(lab.make_vical(provider(), [issuer()]), other)
    assert errors(found) == {ListCode.NOT_PINNED}
    assert found.entries == ()
    namesake = lab.make_provider()
    found = opened(lab.make_vical(provider(), [issuer()]), namesake)
    assert errors(found) == {ListCode.NOT_PINNED, CertificateCode.PATH_SIGNATURE}
    assert found.entries == ()


def test_bringing_the_pin_along_proves_nothing() -> None:
    """Everybody can send the root's certificate; and a signer's own root is no pin."""
    stranger = lab.make_provider(name="Stranger")
    for chain in (
        (stranger.signer.der, provider().root.der),
        (stranger.signer.der, stranger.root.der),
        (stranger.signer.der, stranger.root.der, provider().root.der),
        (stranger.signer.der, provider().signer.der, provider().root.der),
    ):
        found = opened(lab.make_vical(stranger, [issuer()], wrap=lab.Wrap(chain=chain)))
        assert ListCode.NOT_PINNED in errors(found)
        assert found.entries == ()
    chain = (provider().signer.der,)  # the certificate of a signer whose key they do not have
    found = opened(lab.make_vical(stranger, [issuer()], wrap=lab.Wrap(chain=chain)))
    assert errors(found) == {ListCode.SIGNATURE}
    assert found.entries == ()


def test_a_signer_cannot_make_signers() -> None:
    """A signer's certificate is no authority's, even where it leads to the pin."""
    false = certificates.make_document_signer(provider().signer, purpose=lab.VICAL_SIGNER, common_name="False")
    by = changed(provider(), signer=false, between=provider().signer)
    found = opened(lab.make_vical(by, [issuer()]), provider())
    assert ListCode.NOT_PINNED in errors(found)
    assert CertificateCode.ANCHOR_NOT_AUTHORITY in errors(found)
    assert found.entries == ()


def test_more_between_than_allowed() -> None:
    by = long_provider()
    assert by.between is not None
    authority = certificates.Changes(
        leave_out=[x509.ExtendedKeyUsage],
        put=[
            (x509.BasicConstraints(ca=True, path_length=None), True),
            (usage(key_cert_sign=True, crl_sign=True), True),
        ],
    )
    lower = certificates.make_document_signer(by.between, common_name="Lower", changes=authority)
    signer = certificates.make_document_signer(lower, purpose=lab.VICAL_SIGNER)
    wrap = lab.Wrap(chain=(signer.der, lower.der, by.between.der))
    found = opened(lab.make_vical(changed(by, signer=signer), [issuer()], wrap=wrap), by)
    assert {ListCode.NOT_PINNED, CertificateCode.PATH_TOO_LONG} <= errors(found)
    assert found.entries == ()


@pytest.mark.parametrize("missing", ["between", "all", "unreadable"])
def test_chains_with_something_missing(missing: str) -> None:
    by = long_provider()
    chain = {"between": by.chain[:1], "all": (), "unreadable": (b"\x30\x00", *by.chain)}[missing]
    found = opened(lab.make_vical(by, [issuer()], wrap=lab.Wrap(chain=chain)), by)
    assert errors(found) == {
        {"between": ListCode.NOT_PINNED, "all": ListCode.SIGNER_MISSING, "unreadable": ListCode.SIGNER_UNREADABLE}[
            missing
        ]
    }
    assert found.entries == ()


ALTERED = {
    "payload": lab.Wrap(alter=lambda raw: raw.replace(b"Utopia Lab", b"Utopia Lax", 1)),
    "an entry more": lab.Wrap(alter=lambda raw: cbor2.dumps(lab.content([lab.entry(issuer(9))]))),
}


@pytest.mark.parametrize("name", ALTERED)
def test_wrong_signatures(name: str) -> None:
    found = opened(lab.make_vical(provider(), [issuer()], wrap=ALTERED[name]))
    assert errors(found) == {ListCode.SIGNATURE}
    assert found.entries == ()


@pytest.mark.parametrize("algorithm", [-35, -8, -257, 5, -7000])
def test_algorithms_that_do_not_fit_the_key(algorithm: int) -> None:
    data = cbor2.loads(lab.make_vical(provider(), [issuer()]))
    data[0] = cbor2.dumps({1: algorithm})
    found = opened(cbor2.dumps(data))
    assert errors(found) == {ListCode.ALGORITHM}
    assert found.entries == ()


def test_an_algorithm_in_the_unprotected_header_alone() -> None:
    data = cbor2.loads(lab.make_vical(provider(), [issuer()]))
    data[0], data[1][1] = b"", -7
    assert errors(opened(cbor2.dumps(data))) == {ListCode.ALGORITHM}


def test_every_bit_counts() -> None:
    dice = random.Random(7)
    good = lab.make_vical(provider(), [issuer()])
    for _ in range(400):
        at = dice.randrange(len(good))
        data = bytearray(good)
        data[at] ^= 1 << dice.randrange(8)
        try:
            found = opened(bytes(data))
        except Malformed:
            continue
        assert found.entries == (), at
        assert errors(found), at


# --- when -----------------------------------------------------------------------------------------------------------


def test_dates_against_the_time() -> None:
    good = made(notAfter=lab.tdate(AT + timedelta(days=60)))
    assert opened(good).findings == ()
    stale = opened(good, at=AT + timedelta(days=31))
    assert (warnings(stale), errors(stale), len(stale.entries)) == ({ListCode.STALE}, set(), 1)
    over = opened(good, at=AT + timedelta(days=61))
    assert (warnings(over), errors(over), over.entries) == ({ListCode.STALE}, {ListCode.EXPIRED}, ())
    early = opened(good, at=AT - timedelta(days=2))
    assert warnings(early) == {ListCode.NOT_YET_ISSUED}
    mad = opened(made(nextUpdate=lab.tdate(AT - timedelta(days=5)), notAfter=lab.tdate(AT + timedelta(days=5))))
    assert warnings(mad) == {ListCode.STALE, ListCode.DATES_ORDER}


def test_expired_roots() -> None:
    start = AT - timedelta(days=800)
    root = certificates.make_reader_ca(
        not_before=start, not_after=AT - timedelta(days=2), changes=put(x509.BasicConstraints(ca=True, path_length=1))
    )
    signer = certificates.make_document_signer(root, purpose=lab.VICAL_SIGNER)
    by = lab.Provider(root, signer)
    assert errors(opened(lab.make_vical(by, [issuer()]), by)) == {CertificateCode.ANCHOR_EXPIRED}


# --- what is no VICAL ------------------------------------------------------------------------------------------------


def test_other_versions_are_refused() -> None:
    found = opened(made(version="2.0"))
    assert (errors(found), found.entries) == ({ListCode.VERSION}, ())


WRONG: dict[str, tuple[Mapping[str, object], MalformedCode]] = {
    "no provider": ({"vicalProvider": None}, MalformedCode.MISSING_KEY),
    "provider of no text": ({"vicalProvider": 7}, MalformedCode.WRONG_TYPE),
    "no date": ({"date": None}, MalformedCode.MISSING_KEY),
    "no date at all": ({"date": "soon"}, MalformedCode.BAD_VALUE),
    "a date out of range": ({"date": cbor2.CBORTag(1, 10**18)}, MalformedCode.BAD_VALUE),
    "a date of no number": ({"date": cbor2.CBORTag(1, float("nan"))}, MalformedCode.BAD_VALUE),
    "a next update of no date": ({"nextUpdate": {}}, MalformedCode.WRONG_TYPE),
    "no entries": ({"certificateInfos": None}, MalformedCode.MISSING_KEY),
    "entries of no list": ({"certificateInfos": {}}, MalformedCode.WRONG_TYPE),
    "an issue of no number": ({"vicalIssueID": "seven"}, MalformedCode.WRONG_TYPE),
    "an issue below nought": ({"vicalIssueID": -1}, MalformedCode.WRONG_TYPE),
    "an issue beyond all numbers": ({"vicalIssueID": cbor2.CBORTag(2, bytes(33))}, MalformedCode.WRONG_TYPE),
    "too many entries": ({"certificateInfos": [0] * 20_001}, MalformedCode.TOO_MANY_ITEMS),
    "too deep": ({"extensions": functools.reduce(lambda inner, _: [inner], range(40), 1)}, MalformedCode.TOO_DEEP),
}


@pytest.mark.parametrize("name", WRONG)
def test_lists_that_cannot_be_read(name: str) -> None:
    change, code = WRONG[name]
    with pytest.raises(Malformed) as caught:
        opened(made(**change))
    assert caught.value.code is code


def test_too_many_items() -> None:
    with pytest.raises(Malformed) as caught:
        opened(made(extensions=[[0] * 1000] * 1001))
    assert caught.value.code is MalformedCode.TOO_MANY_ITEMS


def test_many_items_in_few_bytes() -> None:
    with pytest.raises(Malformed) as caught:
        opened(made(extensions=[[0] * 1000] * 60))
    assert caught.value.code is MalformedCode.TOO_MANY_ITEMS


def test_lists_cut_short_anywhere() -> None:
    data = lab.make_vical(provider(), [issuer()])
    packed = gzip.compress(data, mtime=0)
    for whole in (data, packed):
        for length in {*range(0, len(whole), 37), *range(len(whole) - 80, len(whole))}:
            with pytest.raises(Malformed) as caught:
                opened(whole[:length])
            assert caught.value.code in {MalformedCode.TRUNCATED, MalformedCode.NOT_CBOR}, length
        with pytest.raises(Malformed) as caught:
            opened(whole + b"\0")
        assert caught.value.code is MalformedCode.TRAILING_BYTES


def test_lists_too_large_packed_or_not() -> None:
    most = 32 * 1024 * 1024
    for data in (bytes(most + 1), gzip.compress(bytes(most + 1), 1)):
        with pytest.raises(Malformed) as caught:
            opened(data)
        assert caught.value.code is MalformedCode.TOO_LARGE
    with pytest.raises(Malformed) as caught:
        opened(b"\x1f\x8b\x08" + bytes(40))
    assert caught.value.code is MalformedCode.BAD_VALUE


@pytest.mark.parametrize("payload", [None, 7])
def test_envelopes_without_a_payload(payload: object) -> None:
    data = cbor2.loads(lab.make_vical(provider(), [issuer()]))
    data[2] = payload
    with pytest.raises(Malformed):
        opened(cbor2.dumps(data))


def test_critical_headers_are_refused() -> None:
    with pytest.raises(Malformed) as caught:
        opened(lab.make_vical(provider(), [issuer()], wrap=lab.Wrap(headers={2: [1]})))
    assert caught.value.code is MalformedCode.UNSUPPORTED


@pytest.mark.timeout(120)
def test_as_many_entries_as_a_list_may_have() -> None:
    one = lab.entry(issuer())
    found = opened(made([one] * 20_000))
    assert (len(found.entries), len(found.skipped)) == (1, 19_999)
    assert {each.code for each in found.skipped} == {EntryCode.DUPLICATE}


def test_findings_that_repeat_are_counted() -> None:
    found = opened(made([lab.entry(issuer(number), MDL) for number in range(5)]))
    assert [(each.code, each.where) for each in found.findings] == [(EntryCode.DOCTYPE_FORM, "certificateInfos[0]")]
    assert "(5 times)" in found.findings[0].message


def test_the_moment_has_its_zone() -> None:
    found = opened(made(date=lab.tdate(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)), vicalIssueID=None))
    assert found.order == Order("date", moment=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
