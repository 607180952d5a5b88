"""Revocation lists: what RFC 5280 demands of a full one, a code for everything else, and what a peer reads."""

from __future__ import annotations

import functools
import random
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from mdoc_reader.lab import certificates, crls
from mdoc_reader.lab.certificates import Changes, Credential
from mdoc_reader.lab.crls import CrlShape, Revoked
from mdoc_reader.model.reasons import Malformed, MalformedCode, ReasonCode, Severity
from mdoc_reader.trust import anchors, authority, crl_form, revocation_list
from mdoc_reader.trust.anchors import TrustAnchors
from mdoc_reader.trust.codes import CertificateCode
from mdoc_reader.trust.crl import open_crl
from mdoc_reader.trust.list_codes import ListCode
from mdoc_reader.trust.lists import ListKind, Order
from mdoc_reader.trust.revocation import serial_octets
from mdoc_reader.trust.revocation_codes import RevocationListCode as Code
from mdoc_reader.trust.revocation_list import REVOKED, SUSPENDED, OpenedList

AT = certificates.now()
PLACE = "https://lab.invalid/iaca.crl"
Flags = x509.ReasonFlags
YESTERDAY = CrlShape(issued=AT - timedelta(days=1))


@functools.cache
def iaca(curve: str = "P-256", name: str = "Utopia Lab IACA") -> Credential:
    return certificates.make_iaca(curve, common_name=name)


def trusted(*roots: Credential) -> TrustAnchors:
    return anchors.build([("root", root.der) for root in roots or (iaca(),)])[0]


def opened(data: bytes, *roots: Credential, at: datetime = AT, signers: list[bytes] | None = None) -> OpenedList:
    return open_crl(data, trusted(*roots), at, signers or ())


def codes(found: OpenedList, severity: Severity) -> set[ReasonCode]:
    return {each.code for each in found.findings if each.severity is severity}


def refused_for(found: OpenedList) -> set[ReasonCode]:
    assert found.refused == (found.content is None)
    return codes(found, Severity.ERROR)


def entry(found: OpenedList, serial: int) -> int:
    assert found.content is not None, found.findings
    return found.content.entry(serial_octets(serial))


def division(**given: object) -> CrlShape:
    parts: dict[str, object] = {
        "full_name": None,
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
        **given,
    }
    return CrlShape(extensions=[(x509.IssuingDistributionPoint(**parts), True)])  # type: ignore[arg-type]


@pytest.mark.parametrize("curve", certificates.AUTHORITY_CURVES)
def test_a_list_of_every_curve_is_taken_and_tells_who_was_revoked(curve: str) -> None:
    found = opened(
        crls.make_crl(iaca(curve), [5, 2**158 + 7, Revoked(9, Flags.certificate_hold)], YESTERDAY), iaca(curve)
    )
    assert found.findings == ()
    assert [entry(found, serial) for serial in (5, 2**158 + 7, 9, 6, 0)] == [REVOKED, REVOKED, SUSPENDED, 0, 0]
    assert found.count == 3
    assert found.order == Order("cRLNumber", number=1)
    assert found.origin.kind is ListKind.CRL
    assert found.origin.name == "Utopia Lab IACA"
    assert found.origin.issued == AT - timedelta(days=1)
    assert found.origin.next_update == AT + timedelta(days=29)
    assert found.content is not None
    assert found.content.authority == authority.identity(iaca(curve).der)


def test_pem_gzip_and_what_is_beside_it_are_read() -> None:
    plain = crls.make_crl(iaca(), [5])
    for data in (crls.to_pem(plain), iaca().pem + crls.to_pem(plain)):
        assert entry(opened(data), 5) == REVOKED
    with pytest.raises(Malformed) as two:
        opened(crls.to_pem(plain) * 2)
    assert two.value.code is MalformedCode.UNSUPPORTED
    with pytest.raises(Malformed) as cut:
        opened(crls.to_pem(plain)[:-20])
    assert cut.value.code is MalformedCode.TRUNCATED


@pytest.mark.parametrize("reason", list(Flags), ids=str)
def test_every_reason(reason: x509.ReasonFlags) -> None:
    found = opened(crls.make_crl(iaca(), [Revoked(7, reason)]))
    held = {Flags.certificate_hold: SUSPENDED, Flags.remove_from_crl: 0}.get(reason, REVOKED)
    assert entry(found, 7) == held
    assert (Code.CRL_REMOVED in codes(found, Severity.WARNING)) == (reason is Flags.remove_from_crl)


def test_the_heavier_of_two_entries_counts() -> None:
    found = opened(crls.make_crl(iaca(), [Revoked(7, Flags.certificate_hold), 7, Revoked(7, Flags.certificate_hold)]))
    assert entry(found, 7) == REVOKED


def reason_of(number: int) -> tuple[x509.ExtensionType, bool]:
    return x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.21"), bytes((0x0A, 1, number))), False


def test_a_reason_without_meaning_is_told_and_revokes() -> None:
    found = opened(crls.make_crl(iaca(), [Revoked(7, None, [reason_of(7)]), Revoked(8, None, [reason_of(77)])]))
    assert (entry(found, 7), entry(found, 8)) == (REVOKED, REVOKED)
    assert codes(found, Severity.WARNING) == {Code.CRL_REASON}


UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.55555.1"), b"\x05\0")
REFUSED: dict[str, tuple[CrlShape, list[int | Revoked], ReasonCode]] = {
    "delta": (CrlShape(extensions=[(x509.DeltaCRLIndicator(1), True)]), [], Code.CRL_DELTA),
    "indirect": (division(indirect_crl=True), [], Code.CRL_INDIRECT),
    "some reasons": (division(only_some_reasons=frozenset({Flags.key_compromise})), [], Code.CRL_SOME_REASONS),
    "authorities only": (division(only_contains_ca_certs=True), [], Code.CRL_NOT_FOR_SIGNERS),
    "attributes only": (division(only_contains_attribute_certs=True), [], Code.CRL_NOT_FOR_SIGNERS),
    "a place by name": (
        division(full_name=[x509.DirectoryName(x509.Name([]))]),
        [],
        Code.CRL_PLACE_FORM,
    ),
    "unknown critical": (CrlShape(extensions=[(UNKNOWN, True)]), [], Code.CRL_CRITICAL),
    "unknown critical of an entry": (CrlShape(), [4, Revoked(5, None, [(UNKNOWN, True)])], Code.CRL_ENTRY_CRITICAL),
    "an entry of another issuer": (
        CrlShape(),
        [Revoked(5, None, [(x509.CertificateIssuer([x509.DNSName("other.invalid")]), True)])],
        Code.CRL_INDIRECT,
    ),
    "an old hash": (CrlShape(hash=hashes.SHA224()), [], Code.ALGORITHM),
    "another name": (CrlShape(name=x509.Name([])), [], Code.CRL_ISSUER_UNKNOWN),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    shape, revoked, code = REFUSED[case]
    assert refused_for(opened(crls.make_crl(iaca(), revoked, shape))) == {code}


NOTED: dict[str, tuple[CrlShape, set[ReasonCode]]] = {
    "unknown extension": (CrlShape(extensions=[(UNKNOWN, False)]), set()),
    "for users only": (division(only_contains_user_certs=True), set()),
    "no number": (CrlShape(number=None), {Code.CRL_NO_NUMBER}),
    "a number of twenty octets": (CrlShape(number=2**158), set()),
    "no key identifier": (CrlShape(authority_key=None), {Code.CRL_KEY_MISSING}),
    "another key identifier": (CrlShape(authority_key=b"other"), {Code.CRL_KEY_MISMATCH}),
    "overdue": (CrlShape(next_update=timedelta(hours=3)), {ListCode.STALE}),
    "from the future": (CrlShape(issued=AT + timedelta(days=1)), {ListCode.NOT_YET_ISSUED}),
    "freshest": (
        CrlShape(
            extensions=[
                (
                    x509.FreshestCRL(
                        [
                            x509.DistributionPoint(
                                [x509.UniformResourceIdentifier("https://a.invalid")], None, None, None
                            )
                        ]
                    ),
                    False,
                )
            ]
        ),
        set(),
    ),
}


@pytest.mark.parametrize("case", NOTED)
def test_noted_and_taken(case: str) -> None:
    shape, expected = NOTED[case]
    found = opened(crls.make_crl(iaca(), [5], shape))
    assert codes(found, Severity.WARNING) == expected
    assert entry(found, 5) == REVOKED


def test_without_a_next_update_it_has_no_end_of_its_own() -> None:
    found = opened(crls.make_crl(iaca(), [5], CrlShape(next_update=None)))
    assert codes(found, Severity.INFO) == {ListCode.NO_NEXT_UPDATE}
    assert found.content is not None
    assert found.content.next_update is None
    assert found.content.until == iaca().certificate.not_valid_after_utc


def test_without_a_number_the_date_orders() -> None:
    found = opened(crls.make_crl(iaca(), [], CrlShape(issued=AT - timedelta(days=1), number=None)))
    assert found.order == Order("thisUpdate", moment=AT - timedelta(days=1))


def test_a_part_of_a_list_says_which() -> None:
    shape = division(full_name=[x509.UniformResourceIdentifier(PLACE), x509.UniformResourceIdentifier("ldap://x")])
    found, whole = opened(crls.make_crl(iaca(), [5], shape)), opened(crls.make_crl(iaca(), [5]))
    assert found.content is not None
    assert found.content.points == (PLACE, "ldap://x")
    assert found.origin.identity.startswith(whole.origin.identity + ":")  # neither is an issue of the other


def test_nobody_else_can_sign() -> None:
    other = certificates.make_iaca()  # the same name
    assert refused_for(opened(crls.make_crl(other, [5]))) == {Code.SIGNATURE}
    assert refused_for(open_crl(crls.make_crl(other, [5]), anchors.NONE, AT)) == {Code.CRL_ISSUER_UNKNOWN}
    assert entry(opened(crls.make_crl(other, [5]), iaca(), other), 5) == REVOKED


def test_an_altered_list_is_refused() -> None:
    plain = crls.make_crl(iaca(), [5])
    place = plain.index(b"\x02\x01\x05\x17")
    assert refused_for(opened(plain[:place] + b"\x02\x01\x06" + plain[place + 3 :])) == {Code.SIGNATURE}
    assert refused_for(opened(plain[:-1] + bytes((plain[-1] ^ 1,)))) == {Code.SIGNATURE}


def test_algorithms_that_differ() -> None:
    wrong = crls.parts_of(crls.parts_of(crls.make_crl(iaca("P-384"), []))[1])
    other = crls.element(0x30, b"".join(wrong))
    plain = crls.make_crl(iaca(), [])
    found = opened(crls.altered(plain, iaca(), lambda parts: [parts[0], other, *parts[2:]]))
    assert refused_for(found) == {CertificateCode.ALGORITHMS_DIFFER}


def test_a_key_that_may_not_sign_lists() -> None:
    usage = x509.KeyUsage(False, False, False, False, False, True, False, False, False)
    plain = certificates.make_iaca(changes=Changes(put=[(usage, True)]))
    assert refused_for(opened(crls.make_crl(plain), plain)) == {CertificateCode.CRL_SIGNER_KEY_USAGE}


def test_an_authority_that_ended() -> None:
    ended = certificates.make_iaca(not_before=AT - timedelta(days=400), not_after=AT - timedelta(days=2))
    data = crls.make_crl(ended, [5], CrlShape(issued=AT - timedelta(days=9)))
    assert refused_for(opened(data, ended)) == {CertificateCode.ANCHOR_EXPIRED}
    assert not opened(data, ended, at=AT - timedelta(days=3)).refused


class TestDelegated:
    """Lists signed by a key that the authority certified for it."""

    def test_under_its_own_name(self) -> None:
        signer = crls.make_crl_signer(iaca())
        data = crls.make_crl(signer, [5], YESTERDAY)
        for found in (opened(data, signers=[signer.der]), opened(crls.to_pem(data) + signer.pem)):
            assert entry(found, 5) == REVOKED
            assert found.content is not None
            assert found.content.authority == authority.identity(iaca().der)
            assert found.content.until == AT + timedelta(days=29)
        assert refused_for(opened(data)) == {Code.SIGNATURE}

    def test_not_under_another_name(self) -> None:
        signer = crls.make_crl_signer(iaca(), name="Somebody")
        assert refused_for(opened(crls.make_crl(signer), signers=[signer.der])) == {Code.CRL_ISSUER_UNKNOWN}
        pretending = crls.make_crl(signer, [], CrlShape(name=iaca().certificate.subject))
        assert refused_for(opened(pretending, signers=[signer.der])) == {Code.SIGNATURE}

    def test_not_certified_by_somebody_else(self) -> None:
        signer = crls.make_crl_signer(certificates.make_iaca())
        assert refused_for(opened(crls.make_crl(signer), signers=[signer.der])) == {Code.NO_AUTHORITY}

    def test_not_with_a_key_for_documents(self) -> None:
        signer = certificates.make_document_signer(iaca(), common_name="Utopia Lab IACA")
        found = refused_for(opened(crls.make_crl(signer), signers=[signer.der]))
        assert CertificateCode.CRL_SIGNER_KEY_USAGE in found

    def test_not_beyond_its_end(self) -> None:
        signer = crls.make_crl_signer(iaca())
        late = AT + timedelta(days=500)
        found = refused_for(opened(crls.make_crl(signer), signers=[signer.der], at=late))
        assert found == {CertificateCode.SIGNER_EXPIRED}


def link_to(new: Credential, old: Credential) -> Credential:
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    constraints = x509.BasicConstraints(ca=True, path_length=0)
    return certificates.make_document_signer(
        old,
        common_name="New IACA",
        purpose=x509.ObjectIdentifier("1.0.18013.5.1.4"),
        key=new.key,
        changes=Changes(put=[(usage, True), (constraints, True)]),
    )


def test_a_link_from_a_trusted_authority_is_one() -> None:
    new = certificates.make_iaca(common_name="New IACA")
    link = link_to(new, iaca())
    found = opened(crls.make_crl(new, [5]), iaca(), link)
    assert entry(found, 5) == REVOKED
    assert found.content is not None
    assert found.content.authority == authority.identity(new.der)
    assert refused_for(opened(crls.make_crl(new, [5]), link)) == {Code.CRL_ISSUER_UNKNOWN}  # it hangs in the air


FORMS = {
    "nothing": (b"", MalformedCode.TRUNCATED),
    "no sequence": (b"\x31\0", MalformedCode.WRONG_TYPE),
    "a certificate": (None, MalformedCode.WRONG_TYPE),
    "a long length": (b"\x30\x81\x05", MalformedCode.BAD_VALUE),
    "an endless one": (b"\x30\x80\0\0", MalformedCode.BAD_VALUE),
    "a promise": (b"\x30\x84\xff\xff\xff\xff", MalformedCode.TRUNCATED),
    "a tag of two octets": (b"\x3f\x81\0\0", MalformedCode.UNSUPPORTED),
}


@pytest.mark.parametrize("case", FORMS)
def test_what_is_no_list(case: str) -> None:
    data, code = FORMS[case]
    with pytest.raises(Malformed) as refused:
        opened(iaca().der if data is None else data)
    assert refused.value.code is code


def test_what_follows_a_list_is_refused() -> None:
    with pytest.raises(Malformed) as refused:
        opened(crls.make_crl(iaca()) + b"\0")
    assert refused.value.code is MalformedCode.TRAILING_BYTES


CHANGED = {
    "a third version": (0, crls.element(0x02, b"\x02"), MalformedCode.UNSUPPORTED),
    "a time of another form": (3, crls.element(0x17, b"2611210800Z"), MalformedCode.BAD_VALUE),
    "a thirteenth month": (3, crls.element(0x17, b"261321080000Z"), MalformedCode.BAD_VALUE),
    "local time": (3, crls.element(0x18, b"20261121080000+0100"), MalformedCode.BAD_VALUE),
}


@pytest.mark.parametrize("case", CHANGED)
def test_parts_of_a_wrong_form(case: str) -> None:
    place, part, code = CHANGED[case]
    plain = crls.make_crl(iaca(), [5])
    with pytest.raises(Malformed) as refused:
        opened(crls.altered(plain, iaca(), lambda parts: [*parts[:place], part, *parts[place + 1 :]]))
    assert refused.value.code is code


def extensions_changed(extensions: bytes) -> bytes:
    plain = crls.make_crl(iaca(), [5])
    return crls.altered(plain, iaca(), lambda parts: [*parts[:-1], crls.element(0xA0, extensions)])


def test_an_extension_comes_once() -> None:
    number = crls.element(0x30, crls.element(0x06, crl_form.NUMBER) + crls.element(0x04, b"\x02\x01\x05"))
    assert opened(extensions_changed(crls.element(0x30, number))).order == Order("cRLNumber", number=5)
    with pytest.raises(Malformed) as twice:
        opened(extensions_changed(crls.element(0x30, number * 2)))
    assert twice.value.code is MalformedCode.DUPLICATE_KEY


def test_a_number_too_long_is_told_and_one_below_nothing_refused() -> None:
    def numbered(content: bytes) -> bytes:
        value = crls.element(0x04, crls.element(0x02, content))
        return extensions_changed(crls.element(0x30, crls.element(0x30, crls.element(0x06, crl_form.NUMBER) + value)))

    assert Code.CRL_NUMBER_FORM in codes(opened(numbered(b"\x01" * 21)), Severity.WARNING)
    for content in (b"\xff", b"", b"\x01" * 300):
        with pytest.raises(Malformed):
            opened(numbered(content))


def test_the_first_version_is_told() -> None:
    plain = crls.make_crl(iaca(), [5])
    found = opened(crls.altered(plain, iaca(), lambda parts: parts[1:-1]))
    assert codes(found, Severity.WARNING) == {Code.CRL_VERSION}
    assert entry(found, 5) == REVOKED


def test_times_of_both_kinds() -> None:
    plain = crls.make_crl(iaca(), [5])
    far = crls.element(0x18, b"20560102030405Z")
    found = opened(crls.altered(plain, iaca(), lambda parts: [*parts[:4], far, *parts[5:]]))
    assert found.origin.next_update is not None
    assert found.origin.next_update.year == 2056
    old = crls.element(0x17, b"700102030405Z")
    found = opened(crls.altered(plain, iaca(), lambda parts: [*parts[:3], old, *parts[4:]]))
    assert found.origin.issued is not None
    assert found.origin.issued.year == 1970


def test_a_peer_reads_the_same() -> None:
    chance = random.Random(7)
    revoked: list[int | Revoked] = []
    for _ in range(300):
        serial = chance.getrandbits(chance.randint(1, 159)) or 1
        reason = chance.choice([None, *Flags])
        since = x509.InvalidityDate((AT - timedelta(days=chance.randint(1, 900))).replace(tzinfo=None))
        revoked.append(Revoked(serial, reason, [(since, False)] if chance.random() < 0.3 else []))
    der = crls.make_crl(iaca(), revoked)
    peer = x509.load_der_x509_crl(der)
    form = crl_form.parse(der)
    ours = [
        (int.from_bytes(serial, "big", signed=True), facts.reason) for serial, facts in crl_form.walk(der, form.entries)
    ]
    numbers = {flag: int.from_bytes(x509.CRLReason(flag).public_bytes()[2:], "big") for flag in Flags}
    theirs = []
    for each in peer:
        try:
            told = numbers[each.extensions.get_extension_for_class(x509.CRLReason).value.reason]
        except x509.ExtensionNotFound:
            told = None
        theirs.append((each.serial_number, told))
    assert ours == theirs
    assert (form.this_update, form.next_update) == (peer.last_update_utc, peer.next_update_utc)
    assert form.issuer == peer.issuer.public_bytes()
    assert bytes(form.signed) == peer.tbs_certlist_bytes
    assert form.signature == peer.signature


def test_ten_thousand_entries_and_the_store_form() -> None:
    serials = [b"\x7f" + index.to_bytes(19, "big") for index in range(10_000)]
    found = opened(crls.make_large_crl(iaca(), serials))
    assert found.count == 10_000
    compiled = found.compiled
    assert compiled is not None
    assert len(compiled) < 10_000 * 15 + 1024
    again = revocation_list.read(compiled)
    assert again.compile() == compiled
    assert found.content is not None
    assert (again.authority, again.until, again.kind) == (
        found.content.authority,
        found.content.until,
        found.content.kind,
    )
    assert all(again.entry(serial) == REVOKED for serial in serials)
    assert not any(again.entry(b"\x7e" + serial[1:]) for serial in serials)


def test_the_same_serial_in_another_form_is_refused() -> None:
    for serial in (b"\0\x05", b"\xff\x85", b""):
        with pytest.raises(Malformed) as refused:
            opened(crls.make_large_crl(iaca(), [b"\x07", serial, b"\x08" * 9]))
        assert refused.value.code is MalformedCode.BAD_VALUE


def test_pem_made_by_the_peer() -> None:
    peer = x509.load_der_x509_crl(crls.make_crl(iaca(), [5]))
    assert entry(opened(peer.public_bytes(Encoding.PEM)), 5) == REVOKED
