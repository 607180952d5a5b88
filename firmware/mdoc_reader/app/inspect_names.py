"""What the parts of each structure are called: the tables behind `inspect`."""

from __future__ import annotations

from collections.abc import Mapping

from cbor2 import CBORTag
from cryptography import x509

from mdoc_reader.mdoc.keys import CURVES

Names = Mapping[object, tuple[str, str]]
"""Key or index to (name, kind of what is below)."""

_COSE_PARTS: Names = {0: ("protected", "protected"), 1: ("unprotected", "header"), 3: ("signature or tag", "")}
_STRUCTURES: dict[str, Names] = {
    "DeviceEngagement": {
        0: ("version", ""),
        1: ("Security", "Security"),
        2: ("DeviceRetrievalMethods", "methods"),
        3: ("ServerRetrievalMethods", ""),
        4: ("ProtocolInfo", ""),
        5: ("OriginInfos", ""),
        6: ("Capabilities", "Capabilities"),
    },
    "ReaderEngagement": {0: ("version", ""), 1: ("Security", "Security"), 2: ("methods", "methods")},
    "Security": {0: ("cipher suite", ""), 1: ("EDeviceKeyBytes", "COSE_Key")},
    "method": {0: ("type (1 NFC, 2 BLE, 3 Wi-Fi Aware, 4 website)", ""), 1: ("version", ""), 2: ("options", "options")},
    "options": {
        0: ("0 (BLE: mdoc peripheral server mode; NFC: max command data)", ""),
        1: ("1 (BLE: mdoc central client mode; NFC: max response data)", ""),
        10: ("peripheral server UUID", "uuid"),
        11: ("central client UUID", "uuid"),
        20: ("BLE address", ""),
        21: ("L2CAP PSM", ""),
    },
    "Capabilities": {
        0: ("MacKeysSupport", ""),
        1: ("MacKeysCurves", ""),
        2: ("HandoverSessionEstablishmentSupport", ""),
        3: ("ReaderAuthAllSupport", ""),
        4: ("ExtendedRequestSupport", ""),
    },
    "COSE_Key": {1: ("kty", ""), 3: ("alg", ""), -1: ("crv", "curve"), -2: ("x", ""), -3: ("y", ""), -4: ("d", "")},
    "header": {
        1: ("alg", "algorithm"),
        2: ("crit", ""),
        4: ("kid", ""),
        33: ("x5chain", "certificate"),
        34: ("x5t", ""),
    },
    "COSE": {**_COSE_PARTS, 2: ("payload", "")},
    "issuerAuth": {**_COSE_PARTS, 2: ("payload", "mso payload")},
    "SessionTranscript": {
        0: ("DeviceEngagementBytes", "DeviceEngagement"),
        1: ("EReaderKeyBytes", "COSE_Key"),
        2: ("Handover", ""),
    },
    "SessionEstablishment": {"eReaderKey": ("eReaderKey", "COSE_Key")},
    "DeviceRequest": {
        "docRequests": ("docRequests", "DocRequests"),
        "readerAuthAll": ("readerAuthAll", "COSE list"),
    },
    "DocRequest": {"itemsRequest": ("itemsRequest", "ItemsRequest"), "readerAuth": ("readerAuth", "COSE")},
    "DeviceResponse": {"documents": ("documents", "Documents")},
    "Document": {"issuerSigned": ("issuerSigned", "IssuerSigned"), "deviceSigned": ("deviceSigned", "DeviceSigned")},
    "IssuerSigned": {"nameSpaces": ("nameSpaces", ""), "issuerAuth": ("issuerAuth", "issuerAuth")},
    "DeviceSigned": {"nameSpaces": ("nameSpaces", ""), "deviceAuth": ("deviceAuth", "DeviceAuth")},
    "DeviceAuth": {"deviceSignature": ("deviceSignature", "COSE"), "deviceMac": ("deviceMac", "COSE")},
    "MSO": {"valueDigests": ("valueDigests", "digests"), "deviceKeyInfo": ("deviceKeyInfo", "DeviceKeyInfo")},
    "DeviceKeyInfo": {"deviceKey": ("deviceKey", "COSE_Key")},
}
_LISTS = {
    "methods": "method",
    "DocRequests": "DocRequest",
    "Documents": "Document",
    "COSE list": "COSE",
    "certificate": "certificate",
}
_PURPOSES = {
    "1.0.18013.5.1.2": "mDL document signer",
    "1.0.18013.5.1.3": "mDL JWS signer",
    "1.0.18013.5.1.4": "IACA link",
    "1.0.18013.5.1.6": "mdoc reader authentication",
    "1.0.18013.5.1.7": "IACA",
    "1.0.18013.5.1.8": "VICAL signer",
    "1.0.23220.4.1.2": "mdoc document signer",
    "1.0.23220.4.1.6": "mdoc reader authentication",
    "1.0.23220.4.1.8": "VICAL signer",
}


def entry(kind: str, key: object) -> tuple[str, str]:
    """Return the name of a map's key, and the kind of its value."""
    if kind == "digests":
        return (str(key), "digest map")
    if kind == "digest map":
        return (f"digestID {key}", "digest")
    known = _STRUCTURES.get(kind, {}).get(key)
    if known is not None:
        return known
    return (key if isinstance(key, str) else str(key), "")


def element(kind: str, index: int) -> tuple[str, str]:
    """Return the name of an array's element, and its kind."""
    below = _LISTS.get(kind)
    if below is not None:
        return (f"[{index}]", below)
    known = _STRUCTURES.get(kind, {}).get(index)
    return known if known is not None else (f"[{index}]", "")


def curve(number: int) -> str:
    """Return a COSE curve's name."""
    return CURVES[number].name if number in CURVES else "unknown"


_MARKS: tuple[tuple[str, frozenset[object]], ...] = (
    ("SessionEstablishment", frozenset({"eReaderKey", "data"})),
    ("DeviceRequest", frozenset({"version", "docRequests"})),
    ("MSO", frozenset({"digestAlgorithm", "valueDigests", "docType"})),
    ("ItemsRequest", frozenset({"docType", "nameSpaces"})),
    ("Document", frozenset({"docType", "issuerSigned"})),
    ("IssuerSigned", frozenset({"issuerAuth"})),
    ("DeviceResponse", frozenset({"version", "status"})),
    ("IssuerSignedItem", frozenset({"digestID", "elementIdentifier"})),
    ("SessionData", frozenset({"data"})),
    ("SessionData", frozenset({"status"})),
    ("COSE_Key", frozenset({1, -1})),
    ("DeviceEngagement", frozenset({0, 1})),
)


def kind_of(value: object) -> str:
    """Return what a decoded item looks like, `CBOR` when like nothing in particular."""
    if isinstance(value, CBORTag) and value.tag == 24 and isinstance(value.value, bytes):
        return _embedded_kind(value.value)
    if isinstance(value, CBORTag) and value.tag in {17, 18}:
        return "COSE"
    if isinstance(value, Mapping):
        keys = value.keys()
        return next((kind for kind, marks in _MARKS if marks <= keys), "CBOR")
    if isinstance(value, (list, tuple)):
        if len(value) == 4 and isinstance(value[0], bytes) and isinstance(value[1], Mapping):
            return "issuerAuth" if isinstance(value[2], bytes) else "COSE"
        if len(value) == 3 and all(part is None or isinstance(part, CBORTag) for part in value[:2]):
            return "SessionTranscript"
    return "CBOR"


def _embedded_kind(content: bytes) -> str:
    from mdoc_reader.mdoc import cbor
    from mdoc_reader.model.reasons import Malformed

    try:
        inner = cbor.decode(content)
    except Malformed:
        return "CBOR"
    return "CBOR" if isinstance(inner, CBORTag) else kind_of(inner)


def extension(value: x509.ExtensionType) -> str:
    """Return what a certificate extension says, in short."""
    if isinstance(value, x509.ExtendedKeyUsage):
        oids = [purpose.dotted_string for purpose in value]
        return ", ".join(f"{oid} ({_PURPOSES[oid]})" if oid in _PURPOSES else oid for oid in oids)
    if isinstance(value, x509.KeyUsage):
        uses = ("digital_signature", "content_commitment", "key_agreement", "key_cert_sign", "crl_sign")
        return ", ".join(use for use in uses if getattr(value, use))
    if isinstance(value, x509.BasicConstraints):
        return f"CA, path length {value.path_length}" if value.ca else "not a CA"
    if isinstance(value, x509.SubjectKeyIdentifier):
        return value.digest.hex()
    if isinstance(value, x509.AuthorityKeyIdentifier):
        return value.key_identifier.hex() if value.key_identifier else "no key identifier"
    if isinstance(value, (x509.IssuerAlternativeName, x509.SubjectAlternativeName)):
        return ", ".join(str(name.value) for name in value)
    if isinstance(value, x509.CRLDistributionPoints):
        return ", ".join(str(name.value) for point in value for name in point.full_name or ())
    return type(value).__name__
