"""One thing wrong at a time: each gives its code and its check, and leaves the other checks as they were."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import cbor2
import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from mdoc_reader.lab import certificates, issuer, people
from mdoc_reader.lab.certificates import Changes, Credential
from mdoc_reader.lab.issuer import DEVICE_CURVES
from mdoc_reader.lab.wallet import Holding, Wallet, WalletBehaviour
from mdoc_reader.mdoc import cbor, request, response
from mdoc_reader.mdoc.keys import CURVES_BY_NAME, encode_cose_key, generate_agreement_key
from mdoc_reader.mdoc.mso import KeyAuthorizations
from mdoc_reader.mdoc.response import DeviceAuthKind
from mdoc_reader.mdoc.transcript import session_transcript
from mdoc_reader.model.reasons import Severity
from mdoc_reader.model.verdict import Check, CheckState, DocumentVerdict, Validity
from mdoc_reader.trust import anchors
from mdoc_reader.trust.codes import AS_WRITTEN, Grading
from mdoc_reader.verification.age import age_over
from mdoc_reader.verification.certificate import SignerCache
from mdoc_reader.verification.document import Evidence
from mdoc_reader.verification.verify import drop_unrequested, requested_elements, verify_response

NOW = certificates.now()
ASKED = request.ItemsRequest(people.MDL_DOCTYPE, {people.MDL_NAMESPACE: {"family_name": False, "age_over_18": False}})
REQUIRED = [check for check in Check if check is not Check.REVOCATION]


@dataclass
class World:
    """What a document is made of and judged by; a test changes one thing."""

    curve: str = "P-256"
    signer_curve: str | None = None
    device_curve: str = "P-256"
    session_curve: str = "P-256"
    iaca: dict[str, object] = field(default_factory=dict)
    signer: dict[str, object] = field(default_factory=dict)
    document: dict[str, object] = field(default_factory=dict)
    elements: Mapping[str, object] = field(default_factory=dict)
    behaviour: WalletBehaviour = field(default_factory=WalletBehaviour)
    anchor: Callable[[Credential], bytes] = lambda iaca: iaca.der
    change: Callable[[bytes], bytes] = bytes
    doctype: str = people.MDL_DOCTYPE
    ages: tuple[int, ...] = (18,)
    grading: Grading = AS_WRITTEN

    def judge(self) -> DocumentVerdict:
        iaca = certificates.make_iaca(self.curve, **self.iaca)  # type: ignore[arg-type]
        signer = certificates.make_document_signer(iaca, self.signer_curve or self.curve, **self.signer)  # type: ignore[arg-type]
        device = issuer.generate_device_key(self.device_curve)
        values = {**people.mdl_elements(people.adult(NOW.date()), NOW.date())[people.MDL_NAMESPACE], **self.elements}
        issued = issuer.issue(
            signer,
            device.public_key(),
            self.doctype,
            {people.MDL_NAMESPACE: values},
            **self.document,  # type: ignore[arg-type]
        )
        wallet = Wallet([Holding(issued, device)], self.behaviour)
        engagement = wallet.engage(self.session_curve)
        private = generate_agreement_key(CURVES_BY_NAME[self.session_curve])
        bare = session_transcript(engagement.encoded, encode_cose_key(private.public_key()))
        wanted = dict.fromkeys(["family_name", "age_over_18", *self.elements], False)
        items = request.ItemsRequest(self.doctype, {people.MDL_NAMESPACE: wanted})
        asked = request.parse_device_request(request.build_device_request([items.encode()], bare))
        answer = self.change(wallet.respond(asked, bare, reader_key=private.public_key()))
        trusted, _ = anchors.build([("anchor", self.anchor(iaca))])
        evidence = Evidence(
            bare, NOW, SignerCache(trusted, self.grading), private, requested_elements(asked), self.ages
        )
        (verdict,) = verify_response(response.parse(answer), evidence).documents
        return verdict


def codes(verdict: DocumentVerdict, severity: Severity | None = None) -> set[str]:
    return {str(f.code) for f in verdict.findings if severity is None or f.severity is severity}


def test_nothing_wrong() -> None:
    verdict = World().judge()
    assert verdict.validity is Validity.VALID
    assert verdict.findings == ()
    assert verdict.age == {18: CheckState.PASSED}


@pytest.mark.parametrize("curve", certificates.AUTHORITY_CURVES)
@pytest.mark.parametrize("signer_curve", [None, "Ed25519", "Ed448"])
def test_every_curve_of_issuers(curve: str, signer_curve: str | None) -> None:
    verdict = World(curve=curve, signer_curve=signer_curve).judge()
    assert verdict.validity is Validity.VALID, verdict.findings


@pytest.mark.parametrize("curve", DEVICE_CURVES)
@pytest.mark.parametrize("kind", list(DeviceAuthKind))
def test_every_curve_of_device_keys(curve: str, kind: DeviceAuthKind) -> None:
    row = CURVES_BY_NAME[curve]
    session_curve = curve if row.agreement else "P-256"
    world = World(device_curve=curve, session_curve=session_curve, behaviour=WalletBehaviour(device_auth=kind))
    verdict = world.judge()
    assert verdict.validity is Validity.VALID, verdict.findings


@pytest.mark.parametrize("algorithm", ["SHA-256", "SHA-384", "SHA-512"])
def test_digests_and_compressed_keys(algorithm: str) -> None:
    world = World(document={"digest_algorithm": algorithm, "compressed_device_key": True, "decoys": 5})
    assert world.judge().validity is Validity.VALID


EKU = x509.ExtendedKeyUsage
KU = x509.KeyUsage(
    digital_signature=False,
    content_commitment=True,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)
OTHER_PURPOSE = x509.ObjectIdentifier("1.0.18013.5.1.6")
MDL_SIGNER = x509.ObjectIdentifier("1.0.18013.5.1.2")
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")


def days(number: int) -> timedelta:
    return timedelta(days=number)


FAILURES: dict[str, tuple[World, Check, str]] = {
    "unknown issuer": (
        World(anchor=lambda _: certificates.make_iaca(common_name="Other").der),
        Check.CERTIFICATE_PATH,
        "issuer_unknown",
    ),
    "same name, other key": (
        World(anchor=lambda _: certificates.make_iaca(changes=Changes([x509.SubjectKeyIdentifier])).der),
        Check.CERTIFICATE_PATH,
        "path_signature",
    ),
    "anchor that is no authority": (
        World(iaca={"changes": Changes(put=[(x509.BasicConstraints(ca=False, path_length=None), True)])}),
        Check.CERTIFICATE_PATH,
        "anchor_not_authority",
    ),
    "signer expired": (
        World(
            signer={"not_before": NOW - days(100), "not_after": NOW - days(1)},
            document={"signed": NOW - days(50), "valid_until": NOW + days(5)},
        ),
        Check.CERTIFICATE_PATH,
        "signer_expired",
    ),
    "root expired": (
        World(iaca={"not_before": NOW - days(900), "not_after": NOW - days(1)}),
        Check.CERTIFICATE_PATH,
        "anchor_expired",
    ),
    "key usage": (World(signer={"changes": Changes(put=[(KU, True)])}), Check.CERTIFICATE_PATH, "signer_key_usage"),
    "signer is an authority": (
        World(signer={"changes": Changes(put=[(x509.BasicConstraints(ca=True, path_length=0), True)])}),
        Check.CERTIFICATE_PATH,
        "signer_is_authority",
    ),
    "other purpose": (
        World(signer={"changes": Changes(put=[(EKU([OTHER_PURPOSE]), True)])}),
        Check.CERTIFICATE_PATH,
        "signer_eku_other",
    ),
    "no purpose": (World(signer={"changes": Changes([EKU])}), Check.CERTIFICATE_PATH, "signer_eku_missing"),
    "critical extension": (
        World(signer={"changes": Changes(put=[(UNKNOWN, True)])}),
        Check.CERTIFICATE_PATH,
        "critical_extension",
    ),
    "prohibited extension": (
        World(signer={"changes": Changes(put=[(x509.InhibitAnyPolicy(1), True)])}),
        Check.CERTIFICATE_PATH,
        "prohibited_extension",
    ),
    "country": (World(signer={"country": "XX"}), Check.CERTIFICATE_PATH, "country_mismatch"),
    "state": (World(iaca={"state": "A"}, signer={"state": "B"}), Check.CERTIFICATE_PATH, "state_mismatch"),
    "issuing country": (World(elements={"issuing_country": "XX"}), Check.CERTIFICATE_PATH, "issuing_country_mismatch"),
    "issuing jurisdiction": (
        World(iaca={"state": "A"}, signer={"state": "A"}, elements={"issuing_jurisdiction": "B"}),
        Check.CERTIFICATE_PATH,
        "issuing_state_mismatch",
    ),
    "not yet valid": (World(document={"valid_from": NOW + days(1)}), Check.VALIDITY, "not_yet_valid"),
    "expired": (
        World(document={"signed": NOW - days(9), "valid_from": NOW - days(9), "valid_until": NOW - days(1)}),
        Check.VALIDITY,
        "expired",
    ),
    "signed before its signer": (
        World(signer={"not_before": NOW - days(2)}, document={"signed": NOW - days(30)}),
        Check.VALIDITY,
        "signed_outside_signer",
    ),
    "altered": (World(behaviour=WalletBehaviour(altered={"family_name": "Other"})), Check.DIGESTS, "digest_mismatch"),
    "twice": (World(behaviour=WalletBehaviour(duplicate=frozenset({"family_name"}))), Check.DIGESTS, "digest_twice"),
    "wrong device key": (
        World(behaviour=WalletBehaviour(wrong_device_key=True)),
        Check.DEVICE_AUTHENTICATION,
        "device_signature_invalid",
    ),
    "wrong MAC": (
        World(behaviour=WalletBehaviour(device_auth=DeviceAuthKind.MAC, wrong_transcript=True)),
        Check.DEVICE_AUTHENTICATION,
        "device_mac_invalid",
    ),
    "no proof": (
        World(behaviour=WalletBehaviour(no_device_auth=True)),
        Check.DEVICE_AUTHENTICATION,
        "device_auth_missing",
    ),
    "unauthorised": (
        World(behaviour=WalletBehaviour(device_signed={"org.example": {"x": 1}})),
        Check.DEVICE_AUTHENTICATION,
        "device_element_unauthorized",
    ),
    "other docType": (
        World(behaviour=WalletBehaviour(claimed_doctype="org.example.other")),
        Check.DOCTYPE,
        "doctype_mismatch",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_one_thing_wrong(name: str) -> None:
    world, check, code = FAILURES[name]
    verdict = world.judge()
    assert verdict.validity is Validity.INVALID
    assert verdict.checks[check] is CheckState.FAILED
    assert code in codes(verdict, Severity.ERROR)
    others = [other for other in REQUIRED if other is not check and verdict.checks[other] is CheckState.FAILED]
    # A docType that was changed breaks the device's proof too, which covers it.
    assert set(others) <= ({Check.DEVICE_AUTHENTICATION} if name == "other docType" else set()), verdict.findings


WARNINGS: dict[str, tuple[World, str]] = {
    "outlives its signer": (World(document={"valid_until": NOW + days(900)}), "outlives_signer"),
    "state missing": (World(iaca={"state": "A"}), "state_missing"),
    "country missing": (World(iaca={"country": None}, signer={"country": None}), "country_missing"),
    "signer too long": (World(signer={"not_after": NOW + days(900)}), "signer_too_long"),
    "purpose not critical": (
        World(signer={"changes": Changes(put=[(EKU([MDL_SIGNER]), False)])}),
        "signer_eku_not_critical",
    ),
    "no authority key": (
        World(signer={"changes": Changes([x509.AuthorityKeyIdentifier])}),
        "authority_key_missing",
    ),
    "not asked for": (World(behaviour=WalletBehaviour(extra=("document_number",))), "element_not_requested"),
    "no purpose, not an mDL": (
        World(signer={"changes": Changes([EKU])}, doctype="org.iso.23220.photoid.1"),
        "signer_eku_missing",
    ),
}


@pytest.mark.parametrize("name", WARNINGS)
def test_what_is_odd_is_said_and_blocks_nothing(name: str) -> None:
    world, code = WARNINGS[name]
    verdict = world.judge()
    assert verdict.validity is Validity.VALID, verdict.findings
    assert code in codes(verdict, Severity.WARNING)


def test_findings_weigh_what_the_operator_says() -> None:
    late = World(document={"valid_until": NOW + days(900)}, grading=Grading.of({"outlives_signer": "error"}))
    verdict = late.judge()
    assert verdict.checks[Check.VALIDITY] is CheckState.FAILED
    assert "outlives_signer" in codes(verdict, Severity.ERROR)
    elsewhere = World(
        iaca={"state": "A"},
        signer={"state": "A"},
        elements={"issuing_jurisdiction": "B"},
        grading=Grading.of({"issuing_state_mismatch": "warning"}),
    )
    verdict = elsewhere.judge()
    assert verdict.validity is Validity.VALID, verdict.findings
    assert "issuing_state_mismatch" in codes(verdict, Severity.WARNING)


def test_status_is_named_and_unchecked() -> None:
    verdict = World(document={"status": {"status_list": {"idx": 1, "uri": "https://status.example"}}}).judge()
    assert verdict.validity is Validity.VALID
    assert verdict.checks[Check.REVOCATION] is CheckState.UNCHECKED
    assert codes(verdict) == {"status_not_checked"}


def test_device_signed_elements_the_issuer_allows() -> None:
    world = World(
        behaviour=WalletBehaviour(device_signed={"org.example": {"x": 1}}),
        document={"key_authorizations": KeyAuthorizations(frozenset({"org.example"}))},
    )
    verdict = world.judge()
    assert verdict.validity is Validity.VALID
    assert verdict.device_signed == {"org.example": {"x": 1}}
    assert "org.example" not in verdict.elements, "nothing the phone says itself counts as the issuer's word"


def _recode(change: Callable[[dict[str, object]], None]) -> Callable[[bytes], bytes]:
    def apply(data: bytes) -> bytes:
        value = cbor2.loads(data)
        change(value["documents"][0])
        return cbor2.dumps(value)

    return apply


def _tagged(document: dict[str, object]) -> None:
    signed = document["issuerSigned"]
    assert isinstance(signed, dict)
    signed["issuerAuth"] = cbor2.CBORTag(18, signed["issuerAuth"])


def _undefined_kid(document: dict[str, object]) -> None:
    signed = document["issuerSigned"]
    assert isinstance(signed, dict)
    signed["issuerAuth"][1][4] = cbor2.undefined


def _algorithm_unprotected(document: dict[str, object]) -> None:
    signed = document["issuerSigned"]
    assert isinstance(signed, dict)
    signed["issuerAuth"][0] = b""
    signed["issuerAuth"][1][1] = -7


def _empty_payload(document: dict[str, object]) -> None:
    signed = document["deviceSigned"]
    assert isinstance(signed, dict)
    signed["deviceAuth"]["deviceSignature"][2] = b""


def test_a_payload_that_is_not_what_was_signed_is_refused() -> None:
    def change(document: dict[str, object]) -> None:
        signed = document["deviceSigned"]
        assert isinstance(signed, dict)
        signed["deviceAuth"]["deviceSignature"][2] = b"something else"

    verdict = World(change=_recode(change)).judge()
    assert verdict.checks[Check.DEVICE_AUTHENTICATION] is CheckState.FAILED
    assert "device_payload_present" in codes(verdict, Severity.ERROR)


@pytest.mark.parametrize("change", [_tagged, _undefined_kid, _empty_payload])
def test_variations_that_are_tolerated(change: Callable[[dict[str, object]], None]) -> None:
    assert World(change=_recode(change)).judge().validity is Validity.VALID


def test_the_algorithm_counts_only_where_it_is_protected() -> None:
    verdict = World(change=_recode(_algorithm_unprotected)).judge()
    assert verdict.checks[Check.ISSUER_SIGNATURE] is CheckState.FAILED
    assert "issuer_algorithm" in codes(verdict)


@pytest.mark.parametrize("algorithm", [-35, -36, -8, -52, 0, 5])
def test_an_algorithm_that_does_not_fit_the_key_is_refused(algorithm: int) -> None:
    def change(document: dict[str, object]) -> None:
        signed = document["issuerSigned"]
        assert isinstance(signed, dict)
        signed["issuerAuth"][0] = cbor.encode({1: algorithm})

    verdict = World(change=_recode(change)).judge()
    assert "issuer_algorithm" in codes(verdict, Severity.ERROR)


def test_bytes_count_as_they_were_received() -> None:
    """A length in a longer form than needed is hashed as it is: the digest of another spelling does not fit."""

    def longer(data: bytes) -> bytes:
        at = data.index(b"\xd8\x18\x58")
        return data[:at] + b"\xd8\x18\x59\x00" + data[at + 3 :]

    verdict = World(change=longer).judge()
    assert verdict.checks[Check.DIGESTS] is CheckState.FAILED
    assert "digest_mismatch" in codes(verdict)


def test_what_nobody_asked_for_is_dropped() -> None:
    world = World(behaviour=WalletBehaviour(extra=("document_number",)))
    verdict = world.judge()
    assert "document_number" in verdict.elements[people.MDL_NAMESPACE]
    from mdoc_reader.model.verdict import ResponseVerdict

    wanted = {people.MDL_DOCTYPE: {people.MDL_NAMESPACE: frozenset({"age_over_18"})}}
    kept = drop_unrequested(ResponseVerdict(Validity.VALID, (verdict,)), wanted).documents[0]
    assert set(kept.elements[people.MDL_NAMESPACE]) == {"age_over_18"}


@given(st.dictionaries(st.integers(1, 99), st.booleans(), max_size=8), st.integers(1, 99))
def test_the_age_rule(answers: dict[int, bool], asked: int) -> None:
    elements = {f"age_over_{age:02d}": answer for age, answer in answers.items()}
    over = max((age for age, answer in answers.items() if answer), default=None)
    under = min((age for age, answer in answers.items() if not answer), default=None)
    state = age_over(elements, asked)
    if over is not None and under is not None and under <= over:
        assert state is CheckState.UNDETERMINED, "contradictions open nothing"
    elif over is not None and over >= asked:
        assert state is CheckState.PASSED
    elif under is not None and under <= asked:
        assert state is CheckState.FAILED
    else:
        assert state is CheckState.UNDETERMINED


@pytest.mark.parametrize("value", ["true", 1, None, b"\x01", [True]])
def test_only_true_itself_is_true(value: object) -> None:
    assert age_over({"age_over_21": value}, 18) is CheckState.UNDETERMINED
