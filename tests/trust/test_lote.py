"""Lists of trusted entities: who they make an issuer of what, and the code of everything that is wrong with one."""

from __future__ import annotations

import base64
import functools
import gzip
import json
import random
from collections.abc import Mapping, Sequence
from datetime import timedelta

import pytest

from mdoc_reader.lab import certificates
from mdoc_reader.lab import lote as lab
from mdoc_reader.model.reasons import Malformed, MalformedCode, ReasonCode, Severity
from mdoc_reader.trust import authority
from mdoc_reader.trust.codes import CertificateCode
from mdoc_reader.trust.list_codes import EntryCode, ListCode
from mdoc_reader.trust.lists import Entry, ListKind, Order, SignedList
from mdoc_reader.trust.lote import Lote, open_lote, read_lote

AT = certificates.now()
PID, MDL = frozenset({"eu.europa.ec.eudi.pid.1"}), frozenset({"org.iso.18013.5.1.mDL"})
ISSUANCE, REVOCATION = lab.PID_SERVICE + "Issuance", lab.PID_SERVICE + "Revocation"


@functools.cache
def operator(kind: str = "P-256") -> lab.Operator:
    return lab.make_operator(kind)


@functools.cache
def issuer(number: int = 0) -> certificates.Credential:
    return certificates.make_iaca(common_name=f"Authority {number}")


@functools.cache
def signer(number: int = 0) -> certificates.Credential:
    return certificates.make_document_signer(issuer(number), common_name=f"Signer {number}")


def read(data: bytes, *pins: bytes, doctypes: frozenset[str] | None = None) -> Lote:
    return read_lote(data, pins or (operator().certificate,), AT, doctypes)


def made(services: Sequence[object], **more: object) -> bytes:
    return lab.sign(operator(), lab.content([lab.entity(services)], **more))  # type: ignore[arg-type]


def errors(found: SignedList) -> set[ReasonCode]:
    return {each.code for each in found.findings if each.severity is Severity.ERROR}


def codes(found: SignedList) -> set[ReasonCode]:
    return {each.code for each in found.findings}


def told(entries: Sequence[Entry]) -> list[tuple[bytes, frozenset[str] | None, bool]]:
    return [(each.der, each.doctypes, each.direct) for each in entries]


def test_a_good_list() -> None:
    found = open_lote(lab.make_lote(operator(), [issuer().der, signer().der]), [operator().issuer], AT)
    assert found.findings == ()
    assert found.skipped == ()
    assert told(found.entries) == [(issuer().der, PID, False), (signer().der, PID, True)]
    assert [each.subject for each in found.entries] == ["Authority 0, UT", "Signer 0, UT"]
    assert found.order == Order("LoTESequenceNumber", number=7)
    assert found.origin.kind is ListKind.LOTE
    assert found.origin.name == "Utopia Lab Providers"
    root = authority.identity(operator().issuer).hex()[:32]
    assert found.origin.identity == f"lote:{root}:{lab.PID_LIST}:UT"
    assert found.origin.next_update is not None
    assert found.origin.issued is not None
    assert found.chain == (operator().certificate,)


def test_it_is_what_the_standard_library_reads() -> None:
    data = lab.make_lote(operator(), [issuer().der])
    header, payload, _ = (json.loads(base64.urlsafe_b64decode(part + b"==")) if index < 2 else part
                          for index, part in enumerate(data.split(b".")))  # fmt: skip
    found = read(data).issuers
    assert header["alg"] == "ES256"
    assert base64.b64decode(header["x5c"][0]) == operator().certificate
    tree = payload["LoTE"]
    assert tree["ListAndSchemeInformation"]["LoTESequenceNumber"] == 7
    services = tree["TrustedEntitiesList"][0]["TrustedEntityServices"]
    identity = services[0]["ServiceInformation"]["ServiceDigitalIdentity"]
    assert [base64.b64decode(each["val"]) for each in identity["X509Certificates"]] == [
        each.der for each in found.entries
    ]


@pytest.mark.parametrize("kind", ["P-256", "P-384", "P-521", "Ed25519", "Ed448", "RSA-2048", "RSA-4096"])
@pytest.mark.parametrize("pinned", ["certificate", "issuer"])
def test_every_kind_of_key(kind: str, pinned: str) -> None:
    by = operator(kind)
    found = read(lab.make_lote(by, [issuer().der]), getattr(by, pinned)).issuers
    assert (len(found.entries), found.findings) == (1, ())


@pytest.mark.parametrize("kind", ["P-384", "RSA-3072"])
def test_every_kind_of_issuer(kind: str) -> None:
    by = lab.make_operator(issuer_kind=kind)
    found = read(lab.make_lote(by, [issuer().der]), by.issuer).issuers
    assert (len(found.entries), errors(found)) == (1, set())


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256", "PS512"])
def test_every_way_of_rsa(algorithm: str) -> None:
    by = operator("RSA-2048")
    data = lab.sign(by, lab.content([lab.entity([lab.service([issuer().der])])]), alg=algorithm)
    assert read(data, by.certificate).issuers.entries


# --- what a list says about whom ---------------------------------------------------------------------------------


LISTS: dict[str, tuple[str, str | None, frozenset[str] | None, set[ReasonCode]]] = {
    "PID": (lab.PID_LIST, ISSUANCE, PID, set()),
    "PID, not said of the service": (lab.PID_LIST, None, PID, set()),
    "PID in other letters": (lab.PID_LIST.upper(), ISSUANCE.lower(), PID, set()),
    "mDL": (lab.MDL_LIST, lab.MDL_SERVICE + "Issuance", MDL, set()),
    "mDL, as the first ones were": (lab.MDL_LIST, lab.ETSI + "SvcType/mDL/Issuance", MDL, set()),
    "public attestations": (lab.PUB_EAA_LIST, lab.PUB_EAA_SERVICE + "Issuance", None, {ListCode.ANY_DOCTYPE}),
    "attestations": (
        lab.ETSI + "LoTEType/EUEAAProvidersList",
        lab.ETSI + "SvcType/EAA/Issuance",
        None,
        {ListCode.ANY_DOCTYPE},
    ),
    "a list of no known type": (lab.ETSI + "LoTEType/local", ISSUANCE, PID, {ListCode.TYPE_UNKNOWN}),
}


@pytest.mark.parametrize("name", LISTS)
def test_what_a_list_is_for(name: str) -> None:
    kind, service, doctypes, noted = LISTS[name]
    found = read(made([lab.service([issuer().der], service)], kind=kind)).issuers
    assert told(found.entries) == [(issuer().der, doctypes, False)]
    assert codes(found) == noted


def test_a_list_need_not_say_what_it_is() -> None:
    found = read(made([lab.service([issuer().der])], LoTEType=None)).issuers
    assert (told(found.entries), codes(found)) == ([(issuer().der, PID, False)], {ListCode.TYPE_UNKNOWN})


def test_lists_that_say_too_little_are_for_what_somebody_chose() -> None:
    age = frozenset({"eu.europa.ec.av.1"})
    service = lab.service([issuer().der], lab.PUB_EAA_SERVICE + "Issuance")
    found = read(made([service], kind=lab.PUB_EAA_LIST), doctypes=age).issuers
    assert (told(found.entries), codes(found)) == ([(issuer().der, age, False)], set())
    services = [
        lab.service([issuer().der], "urn:utopia:age/Issuance"),
        lab.service([signer().der], "urn:utopia:age/Revocation"),
        lab.service([issuer(1).der], "urn:utopia:age/Other"),
    ]
    both = read(made(services, kind="urn:utopia:ages"), doctypes=age)
    assert told(both.issuers.entries) == [(issuer().der, age, False)]
    assert told(both.revocation) == [(signer().der, age, True)]
    assert [each.code for each in both.issuers.skipped] == [EntryCode.SERVICE_OTHER]
    # What a list says by itself is not widened.
    assert told(read(lab.make_lote(operator(), [issuer().der]), doctypes=age).issuers.entries)[0][1] == PID


@pytest.mark.parametrize("name", ["EUWalletProvidersList", "EUWRPACProvidersList", "EUWRPRCProvidersList"])
def test_lists_of_others_than_issuers_are_refused(name: str) -> None:
    found = read(made([lab.service([issuer().der])], kind=lab.ETSI + "LoTEType/" + name)).issuers
    assert (errors(found), found.entries) == ({ListCode.TYPE_OTHER}, ())


def test_revocation_services_are_kept_apart() -> None:
    found = read(made([lab.service([issuer().der]), lab.service([signer().der], REVOCATION)]))
    assert told(found.issuers.entries) == [(issuer().der, PID, False)]
    assert told(found.revocation) == [(signer().der, PID, True)]
    alone = read(made([lab.service([signer().der], REVOCATION)]))
    assert (alone.issuers.entries, codes(alone.issuers)) == ((), {ListCode.EMPTY})


# --- services and certificates that do not count ------------------------------------------------------------------


STATES: dict[str, tuple[Mapping[str, object], EntryCode | None]] = {
    "notified": ({"ServiceStatus": lab.NOTIFIED}, None),
    "granted": ({"ServiceStatus": "http://uri.etsi.org/TrstSvc/TrustedList/Svcstatus/granted"}, None),
    "granted long ago": (
        {"ServiceStatus": lab.NOTIFIED, "StatusStartingTime": "2026-01-01T00:00:00Z"},
        None,
    ),
    "since no date": ({"ServiceStatus": lab.NOTIFIED, "StatusStartingTime": "once"}, None),
    "not yet": ({"ServiceStatus": lab.NOTIFIED, "StatusStartingTime": "2999-01-01T00:00:00Z"}, EntryCode.NOT_STARTED),
    "withdrawn": ({"ServiceStatus": lab.WITHDRAWN}, EntryCode.WITHDRAWN),
    "deprecated": (
        {"ServiceStatus": "http://uri.etsi.org/TrstSvc/TrustedList/Svcstatus/deprecatedatnationallevel"},
        EntryCode.WITHDRAWN,
    ),
    "of no known state": ({"ServiceStatus": "urn:utopia:fine"}, EntryCode.STATUS_UNKNOWN),
    "a state of no text": ({"ServiceStatus": ["granted"]}, EntryCode.STATUS_UNKNOWN),
}


@pytest.mark.parametrize("name", STATES)
def test_the_state_of_a_service(name: str) -> None:
    parts, code = STATES[name]
    services = [lab.service([issuer().der], **parts), lab.service([issuer(1).der])]  # type: ignore[arg-type]
    found = read(made(services)).issuers
    assert [each.code for each in found.skipped] == ([] if code is None else [code])
    assert len(found.entries) == (2 if code is None else 1)
    assert errors(found) == set()


def _text(der: bytes) -> str:
    return base64.b64encode(der).decode()


IDENTITIES: dict[str, tuple[object, EntryCode | None]] = {
    "base64 alone": (_text, None),
    "with line breaks": (lambda der: {"val": base64.encodebytes(der).decode()}, None),
    "with more beside": (lambda der: {"val": _text(der), "encoding": "urn:ietf:rfc:5280", "specRef": "RFC 5280"}, None),
    "PEM": (
        lambda der: f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(der).decode()}-----END CERTIFICATE-----\n",
        None,
    ),
    "a number": (lambda _: 7, EntryCode.NOT_A_CERTIFICATE),
    "no value": (lambda _: {"value": "MII"}, EntryCode.NOT_A_CERTIFICATE),
    "not base64": (lambda _: {"val": "#"}, EntryCode.NOT_A_CERTIFICATE),
    "not a certificate": (lambda _: {"val": "AAAA"}, EntryCode.NOT_A_CERTIFICATE),
    "cut short": (lambda der: {"val": _text(der[:-9])}, EntryCode.NOT_A_CERTIFICATE),
    "too long": (lambda _: {"val": "A" * 100_000}, EntryCode.NOT_A_CERTIFICATE),
    "an RSA key": (lambda _: {"val": _text(operator("RSA-2048").certificate)}, EntryCode.UNSUPPORTED_KEY),
}


@pytest.mark.parametrize("name", IDENTITIES)
def test_how_a_certificate_is_written(name: str) -> None:
    write, code = IDENTITIES[name]
    assert callable(write)
    found = read(made([lab.service([issuer(0).der, write(issuer(1).der), issuer(2).der])])).issuers
    wanted = [issuer(0).der, issuer(2).der] if code else [issuer(number).der for number in range(3)]
    assert [each.der for each in found.entries] == wanted
    assert [(each.subject, each.code) for each in found.skipped] == (
        [("Utopia Lab PID Provider", code)] if code else []
    )


SKIPPED: dict[str, tuple[object, EntryCode]] = {
    "no service": (7, EntryCode.MALFORMED),
    "no information": ({"ServiceInformation": []}, EntryCode.MALFORMED),
    "of another list": (lab.service([b"x"], lab.MDL_SERVICE + "Issuance"), EntryCode.SERVICE_OTHER),
    "of no known kind": (lab.service([b"x"], "urn:utopia:baking"), EntryCode.SERVICE_OTHER),
    "of a kind of no text": (lab.service([b"x"], 7), EntryCode.SERVICE_OTHER),  # type: ignore[arg-type]
    "no identity": (lab.service([], ServiceDigitalIdentity=None), EntryCode.NO_CERTIFICATE),
    "an identity of no map": (lab.service([], ServiceDigitalIdentity=[1]), EntryCode.NO_CERTIFICATE),
    "a key alone": (
        lab.service([], ServiceDigitalIdentity={"PublicKeyValues": [{"kty": "EC"}], "X509SKIs": ["AA"]}),
        EntryCode.NO_CERTIFICATE,
    ),
    "no certificate": (lab.service([]), EntryCode.NO_CERTIFICATE),
    "certificates of no list": (
        lab.service([], ServiceDigitalIdentity={"X509Certificates": "MII"}),
        EntryCode.MALFORMED,
    ),
    "too many certificates": (lab.service(["AA"] * 257), EntryCode.MALFORMED),
}


@pytest.mark.parametrize("name", SKIPPED)
def test_one_bad_service_among_good_ones_is_skipped_and_said(name: str) -> None:
    bad, code = SKIPPED[name]
    found = read(made([lab.service([issuer(0).der]), bad, lab.service([issuer(1).der])])).issuers
    assert [each.der for each in found.entries] == [issuer(0).der, issuer(1).der]
    assert [(each.subject, each.code) for each in found.skipped] == [("Utopia Lab PID Provider", code)]
    assert errors(found) == set()


@pytest.mark.parametrize("bad", [7, {}, {"TrustedEntityServices": {}}, {"TrustedEntityInformation": []}])
def test_one_bad_entity_among_good_ones_is_skipped_and_said(bad: object) -> None:
    good = lab.entity([lab.service([issuer().der])])
    found = read(lab.sign(operator(), lab.content([bad, good]))).issuers
    assert [(each.subject, each.code) for each in found.skipped] == [("TrustedEntitiesList[0]", EntryCode.MALFORMED)]
    assert len(found.entries) == 1


def test_the_same_certificate_twice() -> None:
    found = read(made([lab.service([issuer().der, issuer().der]), lab.service([issuer().der])])).issuers
    assert len(found.entries) == 1
    assert [each.code for each in found.skipped] == [EntryCode.DUPLICATE] * 2


def test_names_are_safe_to_show() -> None:
    name = "\x1b[2J\u202e\ud800" + "A" * 500
    data = lab.content([lab.entity([7], name)], SchemeName=lab.text(name), SchemeTerritory="\x1b")
    found = read(lab.sign(operator(), data)).issuers
    for shown in (found.origin.name, found.origin.identity, found.skipped[0].subject):
        assert shown.isprintable()
        assert len(shown) < 300


def test_names_in_several_languages() -> None:
    names = [{"lang": "fr", "value": "Liste"}, {"lang": "en", "value": "List"}, {"lang": "de", "value": "Verzeichnis"}]
    assert read(made([], SchemeName=names)).issuers.origin.name == "List"
    assert read(made([], SchemeName=names[:1])).issuers.origin.name == "Liste"
    assert read(made([], SchemeName=None)).issuers.origin.name == "Utopia Lab"
    assert read(made([], SchemeName=7, SchemeOperatorName=[7])).issuers.origin.name == lab.PID_LIST


# --- who signed it ---------------------------------------------------------------------------------------------------


def _payload() -> dict[str, object]:
    return lab.content([lab.entity([lab.service([issuer().der])])])


def refused(data: bytes, *pins: bytes) -> set[ReasonCode]:
    found = read(data, *pins)
    assert (found.issuers.entries, found.revocation) == ((), ())
    assert errors(found.issuers)
    return errors(found.issuers)


def test_nobody_is_pinned() -> None:
    found = read_lote(lab.make_lote(operator(), [issuer().der]), (), AT).issuers
    assert (errors(found), found.entries) == ({ListCode.NO_PINS}, ())
    assert found.origin.name == "Utopia Lab Providers"


def test_somebody_else_is_pinned() -> None:
    other = lab.make_operator()
    assert ListCode.NOT_PINNED in refused(lab.make_lote(operator(), [issuer().der]), other.certificate)
    assert ListCode.NOT_PINNED in refused(lab.make_lote(operator(), [issuer().der]), other.issuer, issuer().der)


def test_the_pinned_certificate_with_another_key() -> None:
    stranger = lab.make_operator()
    false = lab.Operator(stranger.key, operator().certificate, operator().issuer)
    assert refused(lab.sign(false, _payload())) == {ListCode.SIGNATURE}
    assert refused(lab.sign(false, _payload()), operator().issuer) == {ListCode.SIGNATURE}


def test_a_chain_that_brings_the_pin_along_proves_nothing() -> None:
    stranger = lab.make_operator()
    chain = [base64.b64encode(each).decode() for each in (stranger.certificate, operator().issuer)]
    assert ListCode.NOT_PINNED in refused(lab.sign(stranger, _payload(), x5c=chain), operator().issuer)


def test_headers_that_name_their_signer_otherwise() -> None:
    data = lab.sign(operator(), _payload(), x5c=None)
    assert read(data).issuers.entries  # by the digest of the pinned certificate
    assert refused(data, operator().issuer) == {ListCode.SIGNER_MISSING}
    assert refused(lab.sign(operator(), _payload(), x5c=None, x5t_S256=None)) == {ListCode.SIGNER_MISSING}
    assert refused(lab.sign(operator(), _payload(), x5t_S256="AA")) == {ListCode.SIGNER_DIGEST}
    assert read(lab.sign(operator(), _payload(), x5t_S256=None)).issuers.entries
    assert refused(lab.sign(operator(), _payload(), x5c=["MAA="])) >= {ListCode.SIGNER_UNREADABLE}


@pytest.mark.parametrize("algorithm", ["none", "HS256", "ES384", "RS256", "EdDSA"])
def test_algorithms_that_do_not_fit(algorithm: str) -> None:
    assert refused(lab.sign(operator(), _payload(), alg=algorithm)) == {ListCode.ALGORITHM}


def test_a_list_without_a_signature() -> None:
    plain = json.dumps(_payload()).encode()
    found = read(b"\n" + plain).issuers
    assert (errors(found), found.entries, found.origin.name) == ({ListCode.NOT_SIGNED}, (), "Utopia Lab Providers")
    head, body, _ = lab.make_lote(operator(), [issuer().der]).split(b".")
    assert refused(head + b"." + body + b".") == {ListCode.SIGNATURE}


def test_altered_payloads() -> None:
    head, _, proof = lab.make_lote(operator(), [issuer().der]).split(b".")
    other = lab.base64url(json.dumps(lab.content([lab.entity([lab.service([issuer(9).der])])])).encode())
    assert refused(b".".join((head, other, proof))) == {ListCode.SIGNATURE}


def test_every_bit_counts() -> None:
    dice = random.Random(7)
    good = lab.make_lote(operator(), [issuer().der])
    for _ in range(400):
        data = bytearray(good)
        data[dice.randrange(len(good))] ^= 1 << dice.randrange(8)
        try:
            found = read(bytes(data)).issuers
        except Malformed:
            continue
        assert found.entries == ()
        assert errors(found)


SIGNERS: dict[str, tuple[lab.Operator, set[ReasonCode]]] = {
    "expired": (lab.make_operator(not_after=AT - timedelta(days=1)), {CertificateCode.SIGNER_EXPIRED}),
    "an authority": (
        lab.make_operator(authority=True),
        {CertificateCode.SIGNER_IS_AUTHORITY, CertificateCode.SIGNER_KEY_USAGE},
    ),
    "a document signer": (lab.make_operator(purposes=["1.0.18013.5.1.2"]), {CertificateCode.SIGNER_EKU_OTHER}),
    "a short RSA key": (lab.make_operator("RSA-1024"), {ListCode.ALGORITHM}),
}


@pytest.mark.parametrize("name", SIGNERS)
def test_signers_that_may_not_sign_lists(name: str) -> None:
    by, wanted = SIGNERS[name]
    assert refused(lab.make_lote(by, [issuer().der]), by.issuer) == wanted


def test_a_signer_without_purposes() -> None:
    by = lab.make_operator(purposes=())
    assert read(lab.make_lote(by, [issuer().der]), by.issuer).issuers.entries


# --- when, and which issue -------------------------------------------------------------------------------------------


DATED: dict[str, tuple[Mapping[str, object], set[ReasonCode]]] = {
    "stale": ({"NextUpdate": AT - timedelta(hours=1)}, {ListCode.STALE}),
    "no next update": ({"NextUpdate": None}, {ListCode.NO_NEXT_UPDATE}),
    "a far next update": ({"NextUpdate": AT + timedelta(days=200)}, {ListCode.NEXT_UPDATE_FAR}),
    "issued tomorrow": ({"ListIssueDateTime": AT + timedelta(days=1)}, {ListCode.NOT_YET_ISSUED}),
    "ends before it begins": (
        {"ListIssueDateTime": AT, "NextUpdate": AT - timedelta(days=2)},
        {ListCode.STALE, ListCode.DATES_ORDER},
    ),
    "another version": ({"LoTEVersionIdentifier": 2}, {ListCode.VERSION}),
    "no version": ({"LoTEVersionIdentifier": None}, {ListCode.VERSION}),
    "not counted": ({"LoTESequenceNumber": None}, {ListCode.NO_ORDER}),
    "counted in words": ({"LoTESequenceNumber": "7"}, {ListCode.NO_ORDER}),
    "no territory": ({"SchemeTerritory": None}, set()),
    "more than known": ({"PointersToOtherLoTE": [{"LoTELocation": "https://lab.invalid"}], "X": {"y": [1]}}, set()),
}


@pytest.mark.parametrize("name", DATED)
def test_heads(name: str) -> None:
    parts, noted = DATED[name]
    found = read(made([lab.service([issuer().der])], **parts)).issuers
    assert codes(found) == noted
    assert errors(found) == set()
    assert len(found.entries) == 1


def test_what_orders_issues() -> None:
    found = read(made([], LoTESequenceNumber=None, ListIssueDateTime="2026-02-03T04:05:06Z")).issuers
    assert found.order is not None
    assert (found.order.field, str(found.order.moment)) == ("ListIssueDateTime", "2026-02-03 04:05:06+00:00")


# --- what is no such list --------------------------------------------------------------------------------------------


WRONG: dict[str, tuple[Mapping[str, object], MalformedCode]] = {
    "a type of no text": ({"LoTEType": 7}, MalformedCode.WRONG_TYPE),
    "no date": ({"ListIssueDateTime": None}, MalformedCode.MISSING_KEY),
    "no date at all": ({"ListIssueDateTime": "soon"}, MalformedCode.BAD_VALUE),
    "a date without its zone": ({"ListIssueDateTime": "2026-01-01T00:00:00"}, MalformedCode.BAD_VALUE),
    "a date of no text": ({"NextUpdate": 7}, MalformedCode.WRONG_TYPE),
    "too deep": ({"X": functools.reduce(lambda inner, _: [inner], range(40), 1)}, MalformedCode.TOO_DEEP),
}


@pytest.mark.parametrize("name", WRONG)
def test_lists_that_cannot_be_read(name: str) -> None:
    parts, code = WRONG[name]
    with pytest.raises(Malformed) as caught:
        read(made([], **parts))
    assert caught.value.code is code


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"{}", MalformedCode.MISSING_KEY),
        (b"[]", MalformedCode.WRONG_TYPE),
        (b'{"LoTE":[]}', MalformedCode.WRONG_TYPE),
        (b'{"LoTE":{}}', MalformedCode.MISSING_KEY),
        (b'{"LoTE":{"ListAndSchemeInformation":1}}', MalformedCode.WRONG_TYPE),
        (b'{"LoTE":{},"LoTE":{}}', MalformedCode.DUPLICATE_KEY),
        (b'{"status_list":{"bits":1,"lst":"eNrbuRgAAhcBXQ"}}', MalformedCode.MISSING_KEY),
        (b"PK\x03\x04", MalformedCode.BAD_VALUE),
    ],
)
def test_payloads_that_are_no_list(payload: bytes, code: MalformedCode) -> None:
    with pytest.raises(Malformed) as caught:
        read(lab.sign(operator(), payload))
    assert caught.value.code is code


def test_entities_of_no_list_and_none_at_all() -> None:
    payload = _payload()
    assert isinstance(payload["LoTE"], dict)
    payload["LoTE"]["TrustedEntitiesList"] = {}
    with pytest.raises(Malformed):
        read(lab.sign(operator(), payload))
    found = read(lab.sign(operator(), lab.content(None))).issuers
    assert (found.entries, codes(found)) == ((), {ListCode.EMPTY})


def test_without_the_name_around_it() -> None:
    assert read(lab.sign(operator(), _payload()["LoTE"])).issuers.entries  # type: ignore[arg-type]


def test_more_entries_than_a_list_may_have() -> None:
    with pytest.raises(Malformed) as caught:
        read(lab.sign(operator(), lab.content([7] * 20_001)))
    assert caught.value.code is MalformedCode.TOO_MANY_ITEMS
    with pytest.raises(Malformed) as caught:
        read(made([7] * 10_000 + [lab.service(["AA"] * 200) for _ in range(51)]))
    assert caught.value.code is MalformedCode.TOO_MANY_ITEMS


def test_many_items_in_few_bytes() -> None:
    with pytest.raises(Malformed) as caught:
        read(made([], X=[[]] * 60_000))
    assert caught.value.code is MalformedCode.TOO_MANY_ITEMS


def test_lists_cut_short_anywhere_and_lists_too_large() -> None:
    data = lab.make_lote(operator(), [issuer().der])
    for length in {*range(0, len(data), 23), *range(len(data) - 40, len(data))}:
        try:
            found = read(data[:length]).issuers
        except Malformed:
            continue
        assert errors(found) == {ListCode.SIGNATURE}
        assert found.entries == ()
    packed = gzip.compress(data)
    assert read(packed).issuers.entries
    for length in range(0, len(packed), 37):
        with pytest.raises(Malformed):
            read(packed[:length])
    most = 32 * 1024 * 1024
    for whole in (b"{" + bytes(most), gzip.compress(b"{" + bytes(most), 1)):
        with pytest.raises(Malformed) as caught:
            read(whole)
        assert caught.value.code is MalformedCode.TOO_LARGE
