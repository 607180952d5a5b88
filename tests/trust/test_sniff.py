"""What a file is: every kind in every form, and whatever else people put on a stick."""

from __future__ import annotations

import base64
import functools
import gzip
import json
import random
from datetime import timedelta

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, pkcs7

from mdoc_reader.lab import certificates
from mdoc_reader.lab import lote as lab_lote
from mdoc_reader.lab import vical as lab_vical
from mdoc_reader.model.reasons import Malformed, MalformedCode, Severity
from mdoc_reader.trust.list_codes import ListCode
from mdoc_reader.trust.lists import ListKind
from mdoc_reader.trust.lote import open_lote
from mdoc_reader.trust.sniff import kind_of
from mdoc_reader.trust.trusted_list import open_trusted_list
from mdoc_reader.trust.vical import open_vical

AT = certificates.now()


@functools.cache
def issuer() -> certificates.Credential:
    return certificates.make_iaca()


def crl(encoding: Encoding) -> bytes:
    builder = x509.CertificateRevocationListBuilder().issuer_name(issuer().certificate.subject)
    builder = builder.last_update(AT).next_update(AT + timedelta(days=30))
    return builder.sign(issuer().key, hashes.SHA256()).public_bytes(encoding)  # type: ignore[arg-type]


def cwt(kind: str | None, claims: dict[int, object]) -> list[object]:
    protected: dict[int, object] = {1: -7} if kind is None else {1: -7, 16: kind}
    return [cbor2.dumps(protected), {}, cbor2.dumps(claims), bytes(64)]


def jwt(header: dict[str, object], payload: dict[str, object]) -> bytes:
    parts = (json.dumps(header).encode(), json.dumps(payload).encode(), bytes(64))
    return b".".join(lab_lote.base64url(part) for part in parts)


STATUS: dict[int, object] = {2: "https://lab.invalid", 6: 1, 65533: {"bits": 1, "lst": bytes(9)}}
IDENTIFIERS: dict[int, object] = {2: "https://lab.invalid", 6: 1, 65530: {"identifiers": {b"\1": {}}}}
XML = b'<?xml version="1.0" encoding="UTF-8"?>\n<TrustServiceStatusList xmlns="http://uri.etsi.org/02231/v2#"/>'


@functools.cache
def files() -> dict[str, tuple[ListKind, bytes]]:
    provider, operator = lab_vical.make_provider(between=True), lab_lote.make_operator()
    vical = [
        lab_vical.make_vical(provider, [issuer()], wrap=wrap)
        for wrap in (lab_vical.PLAIN, lab_vical.Wrap(tagged=True), lab_vical.Wrap(packed=True))
    ]
    lote = lab_lote.make_lote(operator, [issuer().der])
    der, pem, revoked = issuer().der, issuer().pem, crl(Encoding.DER)
    old = "\n".join(["-----BEGIN X509 CRL-----", base64.b64encode(revoked).decode(), "-----END X509 CRL-----"])
    return {
        "VICAL": (ListKind.VICAL, vical[0]),
        "VICAL, tagged": (ListKind.VICAL, vical[1]),
        "VICAL, packed": (ListKind.VICAL, vical[2]),
        "VICAL, all tags": (ListKind.VICAL, cbor2.dumps(cbor2.CBORTag(61, cbor2.CBORTag(18, cbor2.loads(vical[0]))))),
        "LoTE": (ListKind.LOTE, lote),
        "LoTE, packed": (ListKind.LOTE, gzip.compress(lote)),
        "LoTE with line ends": (ListKind.LOTE, b"\n" + lote + b"\r\n"),
        "LoTE without a signature": (ListKind.LOTE, json.dumps(lab_lote.content([])).encode()),
        "LoTE of many": (ListKind.LOTE, lab_lote.make_lote(operator, [issuer().der] * 200)),
        "trusted list": (ListKind.TRUSTED_LIST, XML),
        "trusted list with a mark": (ListKind.TRUSTED_LIST, b"\xef\xbb\xbf" + XML),
        "trusted list, prefixed": (ListKind.TRUSTED_LIST, b"<!-- x --><tsl:TrustServiceStatusList a='b'>"),
        "trusted list in UTF-16": (ListKind.TRUSTED_LIST, XML.decode().encode("utf-16")),
        "LoTE in XML": (ListKind.TRUSTED_LIST, b"<lote:ListOfTrustedEntities xmlns:lote='x'/>"),
        "certificate": (ListKind.CERTIFICATES, der),
        "certificate, packed": (ListKind.CERTIFICATES, gzip.compress(der)),
        "certificate as PEM": (ListKind.CERTIFICATES, pem),
        "certificates as PEM": (ListKind.CERTIFICATES, pem + b"\n" + pem),
        "PEM with words before": (ListKind.CERTIFICATES, b"subject: C=UT\nissuer: C=UT\n" + pem),
        "certificate in hex": (ListKind.CERTIFICATES, der.hex().encode()),
        "certificate in capital hex": (ListKind.CERTIFICATES, b" " + der.hex().upper().encode() + b"\n"),
        "certificate in lines of hex": (ListKind.CERTIFICATES, der.hex("\n", 32).encode()),
        "CRL": (ListKind.CRL, revoked),
        "CRL as PEM": (ListKind.CRL, crl(Encoding.PEM)),
        "CRL as PEM by hand": (ListKind.CRL, old.encode()),
        "status list": (ListKind.STATUS_LIST, cbor2.dumps(cwt("application/statuslist+cwt", STATUS))),
        "status list, tagged": (ListKind.STATUS_LIST, cbor2.dumps(cbor2.CBORTag(18, cwt("statuslist+cwt", STATUS)))),
        "status list by its claim": (ListKind.STATUS_LIST, cbor2.dumps(cwt(None, STATUS))),
        "identifier list": (
            ListKind.IDENTIFIER_LIST,
            cbor2.dumps(cwt("application/identifierlist+cwt", IDENTIFIERS)),
        ),
        "identifier list by its claim": (ListKind.IDENTIFIER_LIST, cbor2.dumps(cwt(None, IDENTIFIERS))),
        "status list as JWT": (
            ListKind.STATUS_LIST,
            jwt({"alg": "ES256", "typ": "statuslist+jwt"}, {"sub": "https://lab.invalid", "status_list": {}}),
        ),
        "status list as JWT by its claim": (
            ListKind.STATUS_LIST,
            jwt({"alg": "ES256"}, {"sub": "https://lab.invalid", "status_list": {"bits": 1, "lst": "A" * 200_000}}),
        ),
    }


NAMES = [*files()]


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_in_every_form(name: str) -> None:
    kind, data = files()[name]
    assert kind_of(data) is kind


def test_keys_and_other_files() -> None:
    key = issuer().key.public_key()
    others = [
        b"",
        b"\n",
        b"hello",
        b"30",
        b"30" * 40,
        b"\x30",
        b"\x30\x84\xff\xff\xff\xff",
        b"\x30\x85" + bytes(40),
        b"\x1f\x8b",
        b"\x1f\x8b\x08" + bytes(20),
        b"PK\x03\x04" + bytes(400),
        b"%PDF-1.7",
        b"\x84",
        b"\x84\x40\xa0\x40\x40",
        b"\xd2\x84\xf6\xa0\x40\x40",
        b"\xd8\x3d" * 40,
        b"{}",
        b'{"a":1}',
        b"[]",
        b"<html><body>Sign in to the hotel's network</body></html>",
        b"<?xml version='1.0'?>",
        b"ey",
        b"eyJhbGciOiJFUzI1NiJ9.e30.",
        b"A" * 70_000 + b"." + b"B" * 70_000,
        issuer().key_pem,
        key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        pkcs7.serialize_certificates([issuer().certificate], Encoding.DER),
        cbor2.dumps(cwt(None, {2: "https://lab.invalid"})),
        cbor2.dumps([cbor2.dumps({1: -7}), {}, cbor2.dumps({"provider": "x", "certificateInfos": []}), bytes(64)]),
        jwt({"alg": "ES256", "typ": "JWT"}, {"sub": "x"}),
        bytes(32 * 1024 * 1024 + 1),
        gzip.compress(bytes(40 * 1024 * 1024), 1),
    ]
    for data in others:
        assert kind_of(data) is ListKind.UNKNOWN, data[:40]


def test_nothing_makes_it_fail() -> None:
    dice = random.Random(11)
    for _, data in files().values():
        for _ in range(60):
            changed = bytearray(data[: dice.randrange(1, len(data) + 1)])
            changed[dice.randrange(len(changed))] = dice.randrange(256)
            assert kind_of(bytes(changed)) in ListKind


@pytest.mark.parametrize("name", NAMES)
def test_whoever_opens_the_wrong_kind_takes_nothing(name: str) -> None:
    kind, data = files()[name]
    openers = {ListKind.VICAL: open_vical, ListKind.LOTE: open_lote, ListKind.TRUSTED_LIST: open_trusted_list}
    for opener in [each for wanted, each in openers.items() if wanted is not kind]:
        with pytest.raises(Malformed):
            opener(data, [issuer().der], AT)


def test_xml_lists_are_refused_with_a_reason() -> None:
    for data in (XML, gzip.compress(XML)):
        found = open_trusted_list(data, [issuer().der], AT)
        assert [(each.code, each.severity) for each in found.findings] == [
            (ListCode.TRUSTED_LIST_UNSUPPORTED, Severity.ERROR)
        ]
        assert found.entries == ()
        assert found.origin.kind is ListKind.TRUSTED_LIST


def test_xml_with_entities_is_not_even_looked_into() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "' + b"ha" * 4000 + b'">]>\n<TrustServiceStatusList>&a;</TrustServiceStatusList>'
    assert open_trusted_list(bomb, [], AT).entries == ()
    with pytest.raises(Malformed) as caught:
        open_trusted_list(b"<html/>", [], AT)
    assert caught.value.code is MalformedCode.WRONG_TYPE
