"""Signed JSON: known answers, every algorithm, and everything that must not pass for a signature."""

from __future__ import annotations

import base64
import functools
import hmac
import json
from collections.abc import Mapping

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mdoc_reader.lab import lote as lab
from mdoc_reader.lab.certificates import generate_signing_key
from mdoc_reader.model.reasons import Malformed, MalformedCode
from mdoc_reader.trust import jws, strict_json
from mdoc_reader.trust.facts import CertificateKey
from mdoc_reader.trust.list_codes import ListCode

MOST = 1024 * 1024


def parsed(data: bytes) -> jws.Jws:
    return jws.parse(data, "jws", MOST)


def raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@functools.cache
def key(kind: str) -> lab.Key:
    if kind.startswith("RSA-"):
        return rsa.generate_private_key(public_exponent=65537, key_size=int(kind[4:]))
    return generate_signing_key(kind)


def public(kind: str) -> CertificateKey:
    return key(kind).public_key()


def test_the_known_answer_of_rfc_7515_a3() -> None:
    found = parsed(
        b"eyJhbGciOiJFUzI1NiJ9"
        b".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
        b".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    )
    x, y = raw("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"), raw("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0")
    signer = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + x + y)
    assert jws.signature_fault(found, signer) is None
    assert json.loads(found.payload)["iss"] == "joe"


def test_the_known_answer_of_rfc_8037_a4() -> None:
    found = parsed(
        b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
        b".hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    )
    signer = ed25519.Ed25519PublicKey.from_public_bytes(raw("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"))
    assert jws.signature_fault(found, signer) is None
    assert found.payload == b"Example of Ed25519 signing"


FITS = {
    "ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519", "Ed25519": "Ed25519", "Ed448": "Ed448",
    "RS256": "RSA-2048", "RS384": "RSA-2048", "RS512": "RSA-2048", "PS256": "RSA-2048", "PS384": "RSA-2048",
    "PS512": "RSA-2048",
}  # fmt: skip


@pytest.mark.parametrize("algorithm", FITS)
def test_every_algorithm(algorithm: str) -> None:
    found = parsed(lab.compact(key(FITS[algorithm]), {"alg": algorithm}, b"payload"))
    assert jws.signature_fault(found, public(FITS[algorithm])) is None
    assert found.payload == b"payload"
    others = {"P-256", "P-384", "P-521", "Ed25519", "Ed448", "RSA-2048", "brainpoolP256r1"} - {FITS[algorithm]}
    if algorithm == "EdDSA":
        others -= {"Ed448"}  # fits, and is not the key
        assert jws.signature_fault(found, public("Ed448")) is ListCode.SIGNATURE
    for other in others:
        assert jws.signature_fault(found, public(other)) is ListCode.ALGORITHM, other
    for part in (found.signed + b"A", b"B" + found.signed[1:]):
        assert jws.signature_fault(jws.Jws(found.header, b"", part, found.signature), public(FITS[algorithm])) is (
            ListCode.SIGNATURE
        )
    for proof in (b"", found.signature[:-1], found.signature + b"\0", bytes(len(found.signature))):
        assert jws.signature_fault(jws.Jws(found.header, b"", found.signed, proof), public(FITS[algorithm])) is (
            ListCode.SIGNATURE
        )


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "", "HS256", "HS512", "ES256K", "RS1", "RSA-OAEP", "es256", None, 7, []]
)
@pytest.mark.parametrize("kind", ["P-256", "RSA-2048", "Ed25519"])
def test_what_is_no_signature_algorithm(algorithm: object, kind: str) -> None:
    found = parsed(lab.compact(key(kind), {"alg": algorithm}, b"payload", "RS256" if kind[0] == "R" else "ES256"))
    assert jws.signature_fault(found, public(kind)) is ListCode.ALGORITHM


def test_no_signature_at_all() -> None:
    signed = lab.base64url(b'{"alg":"none"}') + b"." + lab.base64url(b"payload")
    found = parsed(signed + b".")
    assert jws.signature_fault(found, public("P-256")) is ListCode.ALGORITHM
    assert jws.signature_fault(found, None) is ListCode.ALGORITHM


def test_a_public_key_is_no_shared_secret() -> None:
    secret = public("RSA-2048").public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signed = lab.base64url(b'{"alg":"HS256"}') + b"." + lab.base64url(b"payload")
    forged = signed + b"." + lab.base64url(hmac.digest(secret, signed, "sha256"))
    assert jws.signature_fault(parsed(forged), public("RSA-2048")) is ListCode.ALGORITHM


def test_a_key_of_no_kind() -> None:
    found = parsed(lab.compact(key("P-256"), {"alg": "ES256"}, b"payload"))
    assert jws.signature_fault(found, None) is ListCode.ALGORITHM


def test_another_signature_form_is_none() -> None:
    """ECDSA in the form certificates use is not the one of JWS."""
    from cryptography.hazmat.primitives import hashes

    private = key("P-256")
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    signed = lab.base64url(b'{"alg":"ES256"}') + b"." + lab.base64url(b"payload")
    found = parsed(signed + b"." + lab.base64url(private.sign(signed, ec.ECDSA(hashes.SHA256()))))
    assert jws.signature_fault(found, public("P-256")) is ListCode.SIGNATURE


def test_a_signature_without_its_leading_noughts_is_none() -> None:
    for _ in range(20_000):
        found = parsed(lab.compact(key("P-256"), {"alg": "ES256"}, b"payload"))
        if found.signature[32] == 0:
            break
    short = jws.Jws(found.header, b"", found.signed, found.signature[:32] + found.signature[33:])
    assert jws.signature_fault(found, public("P-256")) is None
    assert jws.signature_fault(short, public("P-256")) is ListCode.SIGNATURE


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ({"crit": ["exp"], "exp": 1}, MalformedCode.UNSUPPORTED),
        ({"crit": ["sigT", "sigX"], "sigT": "2026-01-01T00:00:00Z", "sigX": 1}, MalformedCode.UNSUPPORTED),
        ({"crit": []}, MalformedCode.BAD_VALUE),
        ({"crit": ["sigT"]}, MalformedCode.BAD_VALUE),
        ({"crit": "sigT", "sigT": 1}, MalformedCode.WRONG_TYPE),
        ({"crit": [7]}, MalformedCode.BAD_VALUE),
        ({"crit": ["b64"], "b64": False}, MalformedCode.UNSUPPORTED),
        ({"b64": False}, MalformedCode.UNSUPPORTED),
        ({"b64": 0}, MalformedCode.UNSUPPORTED),
        ({"sigD": {}}, MalformedCode.UNSUPPORTED),
        ({"crit": ["sigT"] * 17, "sigT": 1}, MalformedCode.TOO_MANY_ITEMS),
    ],
)
def test_headers_that_change_what_is_meant(header: Mapping[str, object], code: MalformedCode) -> None:
    with pytest.raises(Malformed) as caught:
        parsed(lab.compact(key("P-256"), {"alg": "ES256", **header}, b"payload"))
    assert caught.value.code is code


def test_what_may_be_critical() -> None:
    header = {"alg": "ES256", "crit": ["sigT", "b64"], "sigT": "2026-01-01T00:00:00Z", "b64": True}
    found = parsed(b" " + lab.compact(key("P-256"), header, b"payload") + b"\r\n")
    assert jws.signature_fault(found, public("P-256")) is None


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", MalformedCode.WRONG_TYPE),
        (b"a.b", MalformedCode.WRONG_TYPE),
        (b"a.b.c.d", MalformedCode.WRONG_TYPE),
        (b"..", MalformedCode.BAD_VALUE),
        (b"W10.e30.", MalformedCode.WRONG_TYPE),  # an array for a header
        (b"e30=.e30.", MalformedCode.BAD_VALUE),
        (b"e3 0.e30.", MalformedCode.BAD_VALUE),
        (b"e30.e30+.", MalformedCode.BAD_VALUE),
        (b"e30.e3/0.", MalformedCode.BAD_VALUE),
        (b"e30.e30.e", MalformedCode.BAD_VALUE),
        (b"e31.e30.", MalformedCode.BAD_VALUE),  # bits left over
        (b"\xff\xff.e30.", MalformedCode.BAD_VALUE),
        (b"A" * (jws.MAX_HEADER + 1) + b".e30.", MalformedCode.TOO_LARGE),
        (b"e30.e30." + b"A" * 2049, MalformedCode.TOO_LARGE),
        (b"e30.e30." + bytes(MOST), MalformedCode.TOO_LARGE),
        (lab.base64url(b'{"alg":"ES256","alg":"none"}') + b".e30.", MalformedCode.DUPLICATE_KEY),
    ],
)
def test_what_is_no_compact_form(data: bytes, code: MalformedCode) -> None:
    with pytest.raises(Malformed) as caught:
        parsed(data)
    assert caught.value.code is code


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("MII", MalformedCode.WRONG_TYPE),
        ([7], MalformedCode.WRONG_TYPE),
        (["#"], MalformedCode.BAD_VALUE),
        ([""], MalformedCode.BAD_VALUE),
        (["AA"] * 9, MalformedCode.TOO_MANY_ITEMS),
        (["A" * 70_000], MalformedCode.BAD_VALUE),
    ],
)
def test_chains_that_are_none(given: object, code: MalformedCode) -> None:
    found = parsed(lab.compact(key("P-256"), {"alg": "ES256", "x5c": given}, b"payload"))
    with pytest.raises(Malformed) as caught:
        jws.chain(found, "jws")
    assert caught.value.code is code


def test_a_chain_and_its_digest() -> None:
    operator = lab.make_operator()
    written = [base64.b64encode(each).decode() for each in (operator.certificate, operator.issuer)]
    header = {"alg": "ES256", "x5c": written, "x5t#S256": lab.thumbprint(operator.certificate)}
    found = parsed(lab.compact(operator.key, header, b"payload"))
    assert jws.chain(found, "jws") == (operator.certificate, operator.issuer)
    assert not jws.names_other_signer(found, operator.certificate)
    assert jws.names_other_signer(found, operator.issuer)


NO_JSON: list[tuple[bytes, MalformedCode]] = [
    (b"", MalformedCode.BAD_VALUE),
    (b"{", MalformedCode.BAD_VALUE),
    (b'{"a":1}{', MalformedCode.BAD_VALUE),
    (b'{"a":1,}', MalformedCode.BAD_VALUE),
    (b"{'a':1}", MalformedCode.BAD_VALUE),
    (b"\xef\xbb\xbf{}", MalformedCode.BAD_VALUE),
    (b"{\x00}", MalformedCode.BAD_VALUE),
    (b'"\xff"', MalformedCode.BAD_TEXT),
    ('"{}"'.encode("utf-16"), MalformedCode.BAD_TEXT),
    (b'{"a":NaN}', MalformedCode.BAD_VALUE),
    (b"[Infinity]", MalformedCode.BAD_VALUE),
    (b"[-Infinity]", MalformedCode.BAD_VALUE),
    (b"1" * 5000, MalformedCode.BAD_VALUE),
    (b'{"a":1,"a":1}', MalformedCode.DUPLICATE_KEY),
    (b'{"a":1,"\\u0061":1}', MalformedCode.DUPLICATE_KEY),
    (b'[{"b":{"a":1,"a":2}}]', MalformedCode.DUPLICATE_KEY),
    (b"[" * 33 + b"]" * 33, MalformedCode.TOO_DEEP),
    (b"[" * 100_000, MalformedCode.TOO_DEEP),
    (b'{"a":' * 40 + b"1" + b"}" * 40, MalformedCode.TOO_DEEP),
    (b"[" + b"0," * 100_001 + b"0]", MalformedCode.TOO_MANY_ITEMS),
    (b"[" + b"[]," * 60_000 + b"0]", MalformedCode.TOO_MANY_ITEMS),
    (b"[" * 100_001, MalformedCode.TOO_MANY_ITEMS),
    (b" " * (4 * 1024 * 1024 + 1), MalformedCode.TOO_LARGE),
]


@pytest.mark.parametrize(("data", "code"), NO_JSON, ids=range(len(NO_JSON)))
def test_what_is_no_json(data: bytes, code: MalformedCode) -> None:
    with pytest.raises(Malformed) as caught:
        strict_json.decode(data, "json")
    assert caught.value.code is code


def test_brackets_in_strings_do_not_count() -> None:
    data = json.dumps({"a": "[" * 5000 + '"\\"' + "{,\\" * 200_000, "\\": ["]", '"']}).encode()
    assert strict_json.decode(data, "json") == json.loads(data)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("unit", [b'"', b'\\"', b'"\\', b'""\\', b'"\\"', b"\\"])
def test_strings_that_never_end_cost_no_more_than_their_size(unit: bytes) -> None:
    with pytest.raises(Malformed):
        strict_json.decode(b'["' + unit * (3 * 1024 * 1024 // len(unit)), "json")


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
def test_what_an_independent_library_signs_is_verified_and_the_other_way_round() -> None:
    theirs = pytest.importorskip("joserfc.jws")
    keys = pytest.importorskip("joserfc.jwk")
    registry = theirs.JWSRegistry(algorithms=list(FITS))
    kinds = {"E": keys.ECKey, "R": keys.RSAKey, "P": keys.RSAKey}
    for algorithm, kind in FITS.items():
        make = keys.OKPKey if algorithm.startswith("Ed") else kinds[algorithm[0]]
        their_key = make.import_key(key(kind))
        signed = theirs.serialize_compact({"alg": algorithm}, b"payload", their_key, registry=registry)
        assert jws.signature_fault(parsed(signed.encode()), public(kind)) is None, algorithm
        ours = lab.compact(key(kind), {"alg": algorithm}, b"payload")
        assert theirs.deserialize_compact(ours, their_key, registry=registry).payload == b"payload"
