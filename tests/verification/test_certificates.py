"""Signers and their anchors: what is wrong with a certificate is what the verdict says; links, lists, gradings."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from cryptography import x509

from mdoc_reader.lab import wrong_certificates as wrong
from mdoc_reader.lab.certificates import AUTHORITY_CURVES, SIGNER_CURVES, generate_signing_key
from mdoc_reader.lab.wrong_certificates import AT, Draft, good, having, holding, named, on, sign, signed, without
from mdoc_reader.lab.wrong_table import TABLE, Row
from mdoc_reader.model.reasons import Malformed, Severity
from mdoc_reader.model.verdict import Finding
from mdoc_reader.trust import anchors, codes
from mdoc_reader.trust.anchors import MAX_CANDIDATES, Grant, Offer, TrustAnchors
from mdoc_reader.trust.codes import CertificateCode as Code
from mdoc_reader.trust.codes import Grading
from mdoc_reader.trust.consequences import primary
from mdoc_reader.trust.lists import ListKind, Origin
from mdoc_reader.trust.profile_rules import MDL, Kind
from mdoc_reader.verification import certificate
from mdoc_reader.verification.certificate import SignerCache

PHOTO = "org.iso.23220.photoid.1"
DS, IACA = Kind.DOCUMENT_SIGNER, Kind.IACA
TOO_LATE = AT + timedelta(days=100)


def trusting(*ders: bytes) -> TrustAnchors:
    trusted, skipped = anchors.build((f"root {number}", der) for number, der in enumerate(ders))
    assert not skipped
    return trusted


def judge(
    der: bytes, trusted: TrustAnchors, doctype: str = MDL, at: datetime = AT, grading: Grading = codes.AS_WRITTEN
) -> Sequence[Finding]:
    cache = SignerCache(trusted, grading)
    first = certificate.judge(cache.signer(der), doctype, at)
    assert list(certificate.judge(cache.signer(der), doctype, at)) == list(first), "remembered as it was found"
    return tuple(first)


def found(findings: Sequence[Finding], severity: Severity | None = None) -> set[str]:
    return {str(finding.code) for finding in findings if severity in {None, finding.severity}}


SIGNERS = [row for row in TABLE if row.kind in {DS, Kind.OTHER_SIGNER}]
UNSUPPORTED = [row for row in SIGNERS if row.code is Code.KEY_UNSUPPORTED]


@pytest.mark.parametrize("row", [row for row in SIGNERS if row not in UNSUPPORTED], ids=lambda row: str(row.name))
def test_the_verdict_says_what_the_table_says(row: Row) -> None:
    made = row.make()
    doctype = MDL if row.kind is DS else PHOTO
    first = primary(judge(made.der, trusting(made.above), doctype, made.at))
    assert first is not None
    assert first.code is row.code, first


@pytest.mark.parametrize("row", UNSUPPORTED, ids=lambda row: str(row.name))
def test_a_key_without_use_is_refused(row: Row) -> None:
    made = row.make()
    with pytest.raises(Malformed):
        SignerCache(trusting(made.above)).signer(made.der)


@pytest.mark.parametrize("kind", [DS, Kind.OTHER_SIGNER])
def test_a_good_signer_passes_clean(kind: Kind) -> None:
    made = wrong.specimen(kind)
    assert judge(made.der, trusting(made.above), PHOTO) == ()
    assert found(judge(made.der, trusting(made.above))) == (set() if kind is DS else {"signer_eku_other"})


@pytest.mark.parametrize("curve", AUTHORITY_CURVES)
@pytest.mark.parametrize("signer_curve", SIGNER_CURVES)
def test_every_curve_over_every_curve(curve: str, signer_curve: str) -> None:
    made = wrong.specimen(DS, on(signer_curve), on(curve))
    assert judge(made.der, trusting(made.above)) == ()


# Several anchors


def test_two_roots_of_one_name_and_two_keys() -> None:
    old, new = good(IACA), good(IACA)
    assert old.name == new.name
    trusted = trusting(sign(old, None), sign(new, None))
    for root in (old, new):
        assert judge(sign(good(DS), root), trusted) == ()
        nameless = sign(without(x509.AuthorityKeyIdentifier)(good(DS)), root)
        assert found(judge(nameless, trusted)) == {"authority_key_missing"}, "found by its name, then by its signature"
    assert [str(remark.code) for remark in trusted.remarks()] == ["roots_share_name"]


def test_two_roots_of_one_key_identifier_and_two_names() -> None:
    same_identifier = having(x509.SubjectKeyIdentifier(b"\x07" * 20))
    right = same_identifier(good(IACA))
    other = named(common_name="Elsewhere")(same_identifier(good(IACA)))
    trusted = trusting(sign(other, None), sign(right, None))
    aki = having(x509.AuthorityKeyIdentifier(b"\x07" * 20, None, None))
    assert judge(sign(aki(good(DS)), right), trusted) == ()
    assert [str(remark.code) for remark in trusted.remarks()] == ["roots_share_key_identifier"]


def test_another_name_with_the_right_key_identifier() -> None:
    root = good(IACA)
    elsewhere = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Elsewhere")])
    der = sign(signed(issuer=elsewhere)(good(DS)), root)
    assert "issuer_name" in found(judge(der, trusting(sign(root, None))), Severity.ERROR)


def test_of_two_certificates_for_one_root_the_one_that_holds_counts() -> None:
    root = good(IACA)
    over = replace(root, not_before=AT - timedelta(days=900), not_after=AT - timedelta(days=1))
    for pair in ((over, root), (root, over)):
        trusted = trusting(*(sign(each, None) for each in pair))
        assert judge(sign(good(DS), root), trusted) == ()
    assert "anchor_expired" in found(judge(sign(good(DS), root), trusting(sign(over, None))))


def test_a_crowd_of_claimants_is_bounded() -> None:
    root = good(IACA)
    crowd = [sign(good(IACA), None) for _ in range(3 * MAX_CANDIDATES)]
    nameless = without(x509.AuthorityKeyIdentifier)
    trusted = trusting(*crowd, sign(root, None))
    assert len(trusted.named(trusted.anchors[0].subject)) == MAX_CANDIDATES + 1
    assert "too_many_issuers" in found(judge(sign(nameless(good(DS)), root), trusted), Severity.ERROR)
    assert judge(sign(good(DS), root), trusted) == (), "whoever names the key is found among any number"


# Links


def line(*, links: int = 1) -> tuple[list[Draft], list[bytes]]:
    """Return drafts of roots, old to new, and the link certificates between them."""
    roots = [named(common_name=f"Root {number}")(good(IACA)) for number in range(links + 1)]
    made = []
    for old, new in itertools.pairwise(roots):
        link = replace(good(Kind.LINK), common_name=new.common_name, not_after=AT + timedelta(days=900))
        made.append(sign(holding(new.key)(link), old))
    return roots, made


def test_a_link_leads_from_a_new_root_to_an_old_one() -> None:
    (old, new), (link,) = line()
    signer = sign(good(DS), new)
    assert "issuer_unknown" in found(judge(signer, trusting(sign(old, None))))
    trusted = trusting(link, sign(old, None))
    assert judge(signer, trusted) == ()
    (step,) = SignerCache(trusted).signer(signer).steps
    assert [anchor.source for anchor in step.line] == ["root 0", "root 1"]
    assert judge(signer, trusting(sign(old, None), link, sign(new, None))) == ()


def test_a_link_alone_proves_nothing() -> None:
    (_, new), (link,) = line()
    assert "path_not_rooted" in found(judge(sign(good(DS), new), trusting(link)), Severity.ERROR)
    stranger = named(common_name="Root 0")(good(IACA))
    for others in ([sign(stranger, None)], [sign(named(common_name="X")(good(IACA)), None)]):
        assert "path_not_rooted" in found(judge(sign(good(DS), new), trusting(link, *others)), Severity.ERROR)


def test_a_link_ends_with_its_time_and_with_that_of_the_old_root() -> None:
    (old, new), (link,) = line()
    signer = sign(replace(good(DS), not_before=AT + timedelta(days=800), not_after=AT + timedelta(days=1200)), new)
    trusted = trusting(link, sign(old, None))
    assert judge(signer, trusted, at=AT + timedelta(days=899))
    assert "link_expired" not in found(judge(signer, trusted, at=AT + timedelta(days=899)))
    assert "link_expired" in found(judge(signer, trusted, at=AT + timedelta(days=901)), Severity.ERROR)
    short = replace(old, not_after=AT + timedelta(days=1))
    assert "path_not_rooted" in found(judge(sign(good(DS), new), trusting(link, sign(short, None)))), "it outlives it"


def test_links_of_links_are_bounded() -> None:
    roots, links = line(links=certificate.MAX_LINKS + 1)
    newest = sign(good(DS), roots[-1])
    assert "path_not_rooted" in found(judge(newest, trusting(sign(roots[0], None), *links)), Severity.ERROR)
    assert judge(newest, trusting(sign(roots[1], None), *links[1:])) == ()


def test_a_link_counts_for_what_both_are_listed_for() -> None:
    (old, new), (link,) = line()
    listed = [offer(link, doctypes={MDL, PHOTO}), offer(sign(old, None), doctypes={PHOTO})]
    trusted, _ = anchors.collect(listed)
    signer = sign(good(DS), new)
    assert judge(signer, trusted, PHOTO) == ()
    assert found(judge(signer, trusted, MDL), Severity.ERROR) == {"anchor_other_doctype"}


# Lists


def offer(
    der: bytes,
    name: str = "a",
    *,
    doctypes: set[str] | None = None,
    until: datetime | None = None,
    direct: bool = False,
    kind: ListKind = ListKind.VICAL,
) -> Offer:
    origin = Origin(kind, name, f"list:{name}", not_after=until)
    return Offer(der, Grant(origin, None if doctypes is None else frozenset(doctypes), direct), name)


def test_an_anchor_counts_for_the_types_its_lists_name() -> None:
    root = good(IACA)
    signer, der = sign(good(DS), root), sign(root, None)
    trusted, _ = anchors.collect([offer(der, doctypes={PHOTO})])
    assert judge(signer, trusted, PHOTO) == ()
    assert found(judge(signer, trusted, MDL), Severity.ERROR) == {"anchor_other_doctype"}
    united, _ = anchors.collect([offer(der, doctypes={PHOTO}), offer(der, "b", doctypes={MDL}), offer(der, "b")])
    (anchor,) = united.anchors
    assert judge(signer, united, MDL) == ()
    assert [origin.name for origin in anchor.origins] == ["a", "b"]
    assert anchor.doctypes is None
    assert trusted.anchors[0].doctypes == {PHOTO}


def test_an_anchor_counts_until_the_last_of_its_lists_ends() -> None:
    root = good(IACA)
    signer, der = sign(good(DS), root), sign(root, None)
    trusted, _ = anchors.collect([offer(der, until=AT)])
    assert judge(signer, trusted) == ()
    late = AT + timedelta(seconds=1)
    assert found(judge(signer, trusted, at=late), Severity.ERROR) == {"anchor_list_expired"}
    both, _ = anchors.collect([offer(der, until=AT), offer(der, "b", until=TOO_LATE, doctypes={PHOTO})])
    assert judge(signer, both, PHOTO, late) == ()
    assert found(judge(signer, both, MDL, late), Severity.ERROR) == {"anchor_list_expired"}, "the other is for photos"
    assert judge(signer, both, MDL, AT) == ()


def test_a_signer_that_a_list_names_itself() -> None:
    root = good(IACA)
    signer = sign(good(DS), root)
    listed, _ = anchors.collect([offer(signer, direct=True, kind=ListKind.LOTE)])
    assert [(str(f.code), f.severity) for f in judge(signer, listed)] == [("direct_trust", Severity.INFO)]
    assert found(judge(signer, trusting(signer)), Severity.WARNING) == {"direct_trust"}
    assert found(judge(signer, listed, at=TOO_LATE + timedelta(days=500)), Severity.ERROR) == {"signer_expired"}
    stands_alone, _ = anchors.collect([offer(sign(root, None), direct=True)])
    assert found(judge(signer, stands_alone), Severity.ERROR) == {"anchor_not_authority"}, "it stands for no other"


def test_an_authority_off_the_profile_passes_where_a_european_list_names_it() -> None:
    loose = having(x509.BasicConstraints(ca=True, path_length=None))(
        without(x509.IssuerAlternativeName)(good(Kind.ISSUING_CA))
    )
    der = sign(loose, None)
    european, _ = anchors.collect([offer(der, kind=ListKind.LOTE)])
    assert european.anchors[0].findings() == ()
    assert {str(each.code) for each in trusting(der).anchors[0].findings()} == {
        "path_length_missing",
        "issuer_alt_name_missing",
    }


def test_what_is_wrong_with_a_root_by_itself_stops_its_signers() -> None:
    for row in TABLE:
        skipped_before = {Code.CERTIFICATE_VERSION, Code.KEY_UNSUPPORTED}
        if row.kind is not IACA or row.code.severity is not Severity.ERROR or row.code in skipped_before:
            continue
        root = row.change(good(IACA))
        signer = sign(good(DS), root)
        trusted, skipped = anchors.build([("root", sign(root, None))])
        assert not skipped
        assert row.code.value in found(judge(signer, trusted), Severity.ERROR), row.name


# Grading


def test_a_grading_lowers_what_may_be_lowered_and_raises_anything() -> None:
    made = wrong.specimen(DS, named(state="UT-B"))
    trusted = trusting(made.above)
    assert found(judge(made.der, trusted), Severity.ERROR) == {"state_mismatch"}
    lowered = Grading.of({"state_mismatch": "warning"})
    assert found(judge(made.der, trusted, grading=lowered), Severity.WARNING) == {"state_mismatch"}
    missing = wrong.specimen(DS, without(x509.CRLDistributionPoints))
    strict = Grading.of({"crl_point_missing": "error"})
    assert found(judge(missing.der, trusting(missing.above), grading=strict), Severity.ERROR) == {"crl_point_missing"}
    rooted = wrong.specimen(DS, above=without(x509.KeyUsage))
    assert found(judge(rooted.der, trusting(rooted.above)), Severity.ERROR) == {"key_usage_missing"}
    lenient = Grading.of({"key_usage_missing": "warning"})
    assert not found(judge(rooted.der, trusting(rooted.above), grading=lenient), Severity.ERROR)


@pytest.mark.parametrize("code", [code for code in Code if code.severity is Severity.ERROR and not code.gradable])
@pytest.mark.parametrize("severity", ["warning", "info"])
def test_what_decides_cannot_be_lowered(code: Code, severity: str) -> None:
    with pytest.raises(ValueError, match="cannot be lowered"):
        Grading.of({code.value: severity})
    assert Grading.of({code.value: "error"}).severity(code) is Severity.ERROR


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        ({"state_mismatch": "info"}, "to a warning, not further"),
        ({"state_mismatch": "never"}, "not one of error, warning, info"),
        ({"no_such_thing": "warning"}, "is no code"),
        ({"digest_mismatch": "warning"}, "is no code"),
    ],
)
def test_a_grading_says_what_is_wrong_with_it(mapping: dict[str, str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Grading.of(mapping)


NEVER = """
path_signature path_algorithm path_length path_too_long path_not_rooted issuer_name algorithms_differ root_signature
signer_expired signer_not_yet_valid anchor_expired anchor_not_yet_valid anchor_other_doctype anchor_list_expired
anchor_not_authority signer_is_authority signer_key_usage signer_eku_other signer_eku_missing critical_extension
prohibited_extension country_mismatch issuing_country_mismatch signed_outside_signer
"""


def test_what_is_never_graded_down_by_name() -> None:
    fixed = {code.value for code in Code if not code.gradable}
    assert set(NEVER.split()) <= fixed


def test_keys_of_a_table_row_are_fresh() -> None:
    assert generate_signing_key("P-256") is not generate_signing_key("P-256")
    assert TABLE[0].make().der != TABLE[0].make().der
