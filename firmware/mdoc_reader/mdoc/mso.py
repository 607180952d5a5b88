"""Mobile security object: what the issuer signed about a document (ISO 18013-5 clause 9.1.2.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cbor2 import CBORTag

from mdoc_reader.mdoc import cbor
from mdoc_reader.mdoc.keys import Curve, PublicKey, parse_cose_key
from mdoc_reader.model.reasons import Malformed, MalformedCode

DIGEST_ALGORITHMS = {"SHA-256": 32, "SHA-384": 48, "SHA-512": 64}
LIMITS = cbor.Limits(max_bytes=1024 * 1024, max_depth=16, max_items=50_000, uncounted=4096)


@dataclass(frozen=True, slots=True)
class ValidityInfo:
    """Times of the MSO, in UTC. `unconforming` names those not written as the standard wants (`Z`, whole seconds)."""

    signed: datetime
    valid_from: datetime
    valid_until: datetime
    expected_update: datetime | None = None
    unconforming: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KeyAuthorizations:
    """What the device key may sign: whole namespaces, and single elements of others."""

    namespaces: frozenset[str] = frozenset()
    elements: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def allow(self, namespace: str, identifier: str) -> bool:
        """Say whether the device may sign this element."""
        return namespace in self.namespaces or identifier in self.elements.get(namespace, ())


@dataclass(frozen=True, slots=True)
class MobileSecurityObject:
    """A parsed MSO. `value_digests` is namespace to digestID to digest, as decoded: check types on use."""

    version: str
    doctype: str
    digest_algorithm: str
    value_digests: Mapping[str, Mapping[object, object]] = field(repr=False)
    device_key_value: object = field(repr=False)
    key_authorizations: KeyAuthorizations
    validity: ValidityInfo
    status: Mapping[object, object] | None = field(default=None, repr=False)

    def device_key(self) -> tuple[Curve, PublicKey]:
        """Return the device key. Raises Malformed when it is not a key this reader can use."""
        return parse_cose_key(self.device_key_value, "MSO.deviceKeyInfo.deviceKey")


def parse(payload: bytes) -> MobileSecurityObject:
    """Read the payload of issuerAuth: an MSO in tag 24. Raises Malformed."""
    return parse_content(cbor.unwrap(payload, "MSO", LIMITS))


def parse_content(content: bytes) -> MobileSecurityObject:
    """Read an MSO, without tag 24. Raises Malformed."""
    top = cbor.as_map(cbor.decode(content, LIMITS), "MSO")
    version = cbor.need_text(top, "version", "MSO", maximum=16)
    if version.partition(".")[0] != "1":
        raise Malformed(MalformedCode.UNSUPPORTED, "MSO.version", detail="major version 1 is expected")
    algorithm = cbor.need_text(top, "digestAlgorithm", "MSO", maximum=32)
    if algorithm not in DIGEST_ALGORITHMS:
        raise Malformed(MalformedCode.UNSUPPORTED, "MSO.digestAlgorithm", detail="SHA-256, SHA-384 or SHA-512")
    digests = {
        cbor.as_text(namespace, "MSO.valueDigests"): cbor.as_map(entries, "MSO.valueDigests")
        for namespace, entries in cbor.need_map(top, "valueDigests", "MSO").items()
    }
    key_info = cbor.need_map(top, "deviceKeyInfo", "MSO")
    status = top.get("status")
    return MobileSecurityObject(
        version,
        cbor.need_text(top, "docType", "MSO"),
        algorithm,
        digests,
        cbor.need(key_info, "deviceKey", "MSO.deviceKeyInfo"),
        _key_authorizations(key_info.get("keyAuthorizations")),
        _validity(cbor.need(top, "validityInfo", "MSO")),
        None if status is None else cbor.as_map(status, "MSO.status"),
    )


_NO_AUTHORIZATIONS = KeyAuthorizations()


def _key_authorizations(value: object) -> KeyAuthorizations:
    if value is None:
        return _NO_AUTHORIZATIONS
    path = "MSO.deviceKeyInfo.keyAuthorizations"
    given = cbor.as_map(value, path)
    return KeyAuthorizations(
        frozenset(cbor.as_text(name, path) for name in cbor.as_array(given.get("nameSpaces", ()), path)),
        {
            cbor.as_text(namespace, path): frozenset(cbor.as_text(name, path) for name in cbor.as_array(names, path))
            for namespace, names in cbor.as_map(given.get("dataElements", {}), path).items()
        },
    )


def _validity(value: object) -> ValidityInfo:
    path = "MSO.validityInfo"
    given = cbor.as_map(value, path)
    times: dict[str, datetime] = {}
    unconforming = []
    for name in ("signed", "validFrom", "validUntil", "expectedUpdate"):
        if name == "expectedUpdate" and name not in given:
            continue
        times[name], conforming = parse_tdate(cbor.need(given, name, path), f"{path}.{name}")
        if not conforming:
            unconforming.append(name)
    return ValidityInfo(
        times["signed"], times["validFrom"], times["validUntil"], times.get("expectedUpdate"), tuple(unconforming)
    )


def parse_tdate(value: object, path: str) -> tuple[datetime, bool]:
    """Read a tag 0 date-time (RFC 3339). Returns it in UTC, and whether it is written as `YYYY-MM-DDThh:mm:ssZ`.

    Other RFC 3339 forms, and a missing tag, are read all the same: issuers differ, and the moment is clear.
    """
    tagged = isinstance(value, CBORTag) and value.tag == cbor.TDATE
    text = cbor.as_text(value.value if isinstance(value, CBORTag) and tagged else value, path, maximum=64)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Malformed(MalformedCode.BAD_VALUE, path, detail="not an RFC 3339 date and time") from None
    if moment.tzinfo is None:
        raise Malformed(MalformedCode.BAD_VALUE, path, detail="a time without its zone")
    try:
        moment = moment.astimezone(UTC)
    except OverflowError:
        raise Malformed(MalformedCode.BAD_VALUE, path, detail="a time out of range") from None
    return moment, tagged and len(text) == 20 and text[-1] == "Z" and text[10] == "T"
