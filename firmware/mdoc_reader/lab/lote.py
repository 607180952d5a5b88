"""Lists of trusted entities of the lab's scheme operator, in every form and with every fault (ETSI TS 119 602)."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from mdoc_reader.lab.certificates import generate_signing_key, now
from mdoc_reader.mdoc.keys import SigningPrivateKey, curve_of

ETSI, EU = "http://uri.etsi.org/19602/", "http://trust.ec.europa.eu/lists/"
PID_LIST, PID_SERVICE = ETSI + "LoTEType/EUPIDProvidersList", ETSI + "SvcType/PID/"
MDL_LIST, MDL_SERVICE = EU + "mDL/mDLProvidersListType", EU + "mDL/SvcType/"
PUB_EAA_LIST, PUB_EAA_SERVICE = ETSI + "LoTEType/EUPubEAAProvidersList", ETSI + "SvcType/PubEAA/"
WALLET_LIST = ETSI + "LoTEType/EUWalletProvidersList"
NOTIFIED = ETSI + "PubEAAProvidersList/SvcStatus/notified"
WITHDRAWN = ETSI + "PubEAAProvidersList/SvcStatus/withdrawn"
Key = SigningPrivateKey | rsa.RSAPrivateKey
_DIGESTS: dict[str, hashes.HashAlgorithm] = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}


@dataclass(frozen=True, slots=True)
class Operator:
    """Who signs lists: a key, its certificate, and who issued that."""

    key: Key = field(repr=False)
    certificate: bytes = field(repr=False)
    issuer: bytes = field(repr=False)


def _key(kind: str) -> Key:
    if kind.startswith("RSA-"):
        return rsa.generate_private_key(public_exponent=65537, key_size=int(kind.removeprefix("RSA-")))
    return generate_signing_key(kind)


def make_operator(
    kind: str = "P-256",
    *,
    issuer_kind: str = "P-256",
    not_after: datetime | None = None,
    authority: bool = False,
    purposes: Sequence[str] = ("0.4.0.2231.3.0",),
) -> Operator:
    """Make an operator with a key on a curve, or "RSA-2048" and so on, and a certificate from an authority."""
    names = [
        x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "UT"), x509.NameAttribute(NameOID.COMMON_NAME, name)])
        for name in ("Utopia Lab List CA", "Utopia Lab List Signer")
    ]
    upper, key = _key(issuer_kind), _key(kind)
    start = now() - timedelta(days=400)
    made = []
    for index, (name, own) in enumerate(zip(names, (upper, key), strict=True)):
        ca = index == 0 or authority
        usage = dict.fromkeys(_USES, False) | {"key_cert_sign" if ca else "digital_signature": True}
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(names[0])
            .public_key(own.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(not_after if index and not_after else start + timedelta(days=1000))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=0 if ca else None), critical=True)
            .add_extension(x509.KeyUsage(**usage), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
        )
        if index and purposes:
            wanted = [x509.ObjectIdentifier(each) for each in purposes]
            builder = builder.add_extension(x509.ExtendedKeyUsage(wanted), critical=False)
        made.append(builder.sign(upper, _certificate_hash(upper)).public_bytes(Encoding.DER))  # type: ignore[arg-type]
    return Operator(key, made[1], made[0])


_USES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip


def _certificate_hash(key: Key) -> hashes.HashAlgorithm | None:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return {32: hashes.SHA256(), 48: hashes.SHA384()}.get(curve_of(key).octets, hashes.SHA512())
    return hashes.SHA256() if isinstance(key, rsa.RSAPrivateKey) else None


def text(value: str) -> list[dict[str, str]]:
    """Write a text as lists do, in English."""
    return [{"lang": "en", "value": value}]


def service(
    certificates: Sequence[object], kind: str | None = PID_SERVICE + "Issuance", **more: object
) -> dict[str, object]:
    """Make a service with these certificates, DER or anything else that is to stand there; `more` replaces parts."""
    written = [{"val": base64.b64encode(each).decode()} if isinstance(each, bytes) else each for each in certificates]
    made: dict[str, object] = {
        "ServiceName": text("Issuance"),
        "ServiceTypeIdentifier": kind,
        "ServiceDigitalIdentity": {"X509Certificates": written},
        **more,
    }
    return {"ServiceInformation": {key: value for key, value in made.items() if value is not None}}


def entity(services: Sequence[object], name: str = "Utopia Lab PID Provider") -> dict[str, object]:
    """Make a trusted entity with these services."""
    uris = [{"lang": "en", "uriValue": "https://lab.invalid"}]
    place = {"lang": "en", "StreetAddress": "1 Lab", "Locality": "Utopia", "PostalCode": "1", "Country": "UT"}
    information = {
        "TEName": text(name),
        "TEAddress": {"TEPostalAddress": [place], "TEElectronicAddress": uris},
        "TEInformationURI": uris,
    }
    return {"TrustedEntityInformation": information, "TrustedEntityServices": list(services)}


def _when(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def content(
    entities: Sequence[object] | None, *, kind: str = PID_LIST, issued: datetime | None = None, **more: object
) -> dict[str, object]:
    """Make a list's payload: issued yesterday, the next one due in a month. `more` replaces parts of its head."""
    moment = issued or now() - timedelta(days=1)
    head: dict[str, object] = {
        "LoTEVersionIdentifier": 1,
        "LoTESequenceNumber": 7,
        "LoTEType": kind,
        "SchemeOperatorName": text("Utopia Lab"),
        "SchemeName": text("Utopia Lab Providers"),
        "SchemeTerritory": "UT",
        "ListIssueDateTime": _when(moment),
        "NextUpdate": _when(moment + timedelta(days=30)),
        **{key: _when(value) if isinstance(value, datetime) else value for key, value in more.items()},
    }
    made: dict[str, object] = {
        "ListAndSchemeInformation": {key: value for key, value in head.items() if value is not None}
    }
    if entities is not None:
        made["TrustedEntitiesList"] = list(entities)
    return {"LoTE": made}


def base64url(data: bytes) -> bytes:
    """Encode without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def thumbprint(certificate: bytes) -> str:
    """Return a certificate's `x5t#S256`."""
    return base64url(hashlib.sha256(certificate).digest()).decode()


def compact(key: Key, header: Mapping[str, object], payload: bytes, algorithm: str | None = None) -> bytes:
    """Sign a payload in the compact form. `algorithm` is what is really used, else what the header says."""
    signed = base64url(json.dumps(header).encode()) + b"." + base64url(payload)
    return signed + b"." + base64url(signature(key, signed, algorithm or str(header.get("alg"))))


def signature(key: Key, signed: bytes, algorithm: str) -> bytes:
    """Return the octets of a signature with an algorithm by its JOSE name."""
    digest = _DIGESTS.get(algorithm[2:], hashes.SHA256())
    if isinstance(key, ec.EllipticCurvePrivateKey):
        octets = curve_of(key).octets
        r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(digest)))
        return r.to_bytes(octets, "big") + s.to_bytes(octets, "big")
    if isinstance(key, rsa.RSAPrivateKey):
        scheme = padding.PSS(padding.MGF1(digest), digest.digest_size) if algorithm[:2] == "PS" else padding.PKCS1v15()
        return key.sign(signed, scheme, digest)
    return key.sign(signed)


def algorithm_of(key: Key) -> str:
    """Return the algorithm that goes with a key."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return {32: "ES256", 48: "ES384"}.get(curve_of(key).octets, "ES512")
    return "RS256" if isinstance(key, rsa.RSAPrivateKey) else "EdDSA"


def sign(operator: Operator, payload: Mapping[str, object] | bytes, *, packed: bool = False, **header: object) -> bytes:
    """Sign a list. `header` replaces parts of the JWS header, with `_` for `#`; None leaves them out."""
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    made: dict[str, object] = {
        "alg": algorithm_of(operator.key),
        "typ": "JOSE",
        "iat": int(now().timestamp()),
        "x5c": [base64.b64encode(operator.certificate).decode()],
        "x5t#S256": thumbprint(operator.certificate),
        **{key.replace("_", "#"): value for key, value in header.items()},
    }
    made = {key: value for key, value in made.items() if value is not None}
    signed = compact(operator.key, made, raw)
    return gzip.compress(signed, mtime=0) if packed else signed


def make_lote(operator: Operator, certificates: Sequence[bytes], **more: object) -> bytes:
    """Make a list of one PID provider with these certificates that holds now; `more` replaces parts of its head."""
    return sign(operator, content([entity([service(certificates)])], **more))  # type: ignore[arg-type]
