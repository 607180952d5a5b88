"""DeviceResponse: what the phone answers, read and nothing more (ISO 18013-5 clause 8.3.2.1.2.2).

Reading is separate from believing: nothing here has been verified. Whatever is hashed or signed is kept as the slice of
the message it arrived in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from mdoc_reader.mdoc import cbor, cose
from mdoc_reader.model.reasons import Malformed, MalformedCode

MAX_DOCUMENTS = 32
MAX_NAMESPACES = 64
MAX_ITEMS_OF_NAMESPACE = 1000
_INNER = cbor.Limits(max_depth=20, max_items=50_000)
_USUAL_DIGEST_IDS, _USUAL_NAME = 2**31, 256
_EMPTY_NAMESPACES = b"\xd8\x18\x41\xa0"


@dataclass(frozen=True, slots=True)
class IssuerSignedItem:
    """One data element with its salt. `encoded` is IssuerSignedItemBytes as received, with tag 24: what is hashed.

    `problem` is set, and the rest is empty, where the content could not be read.
    """

    encoded: bytes = field(repr=False)
    digest_id: int
    random: bytes = field(repr=False)
    identifier: str
    value: object = field(repr=False)
    problem: Malformed | None = None


class DeviceAuthKind(StrEnum):
    """How the phone proved that it holds the device key."""

    SIGNATURE = "deviceSignature"
    MAC = "deviceMac"


@dataclass(frozen=True, slots=True)
class Document:
    """One document. `device_namespaces_bytes` is DeviceNameSpacesBytes as received, with tag 24."""

    doctype: str
    issuer_auth: cose.Cose
    namespaces: Mapping[str, tuple[IssuerSignedItem, ...]] = field(repr=False)
    device_auth: cose.Cose | None
    device_auth_kind: DeviceAuthKind | None
    device_namespaces_bytes: bytes = field(default=_EMPTY_NAMESPACES, repr=False)
    device_namespaces: Mapping[str, Mapping[str, object]] = field(default_factory=dict, repr=False)
    errors: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeviceResponse:
    """A whole response. `unread` names parts this reader does not read (zkDocuments, encryptedDocuments)."""

    version: str
    status: int
    documents: tuple[Document, ...]
    document_errors: tuple[tuple[str, int], ...] = ()
    unread: tuple[str, ...] = ()


def parse(message: bytes, limits: cbor.Limits = cbor.DEFAULT_LIMITS) -> DeviceResponse:
    """Read a DeviceResponse. Raises Malformed with the place of the first defect of structure.

    An unreadable IssuerSignedItem is no defect of structure: its digest decides, and it carries its problem along.
    """
    top = cbor.as_map(cbor.decode(message, limits), "DeviceResponse")
    version = cbor.need_text(top, "version", "", maximum=16)
    if version.partition(".")[0] != "1":
        raise Malformed(MalformedCode.UNSUPPORTED, "version", detail="major version 1 is expected")
    slices, tally = cbor.Slices(message), cbor.Tally()
    entries = cbor.as_array(top.get("documents", ()), "documents", maximum=MAX_DOCUMENTS)
    documents = tuple(_document(entry, f"documents[{index}]", slices, tally) for index, entry in enumerate(entries))
    failures: list[tuple[str, int]] = []
    for index, entry in enumerate(
        cbor.as_array(top.get("documentErrors", ()), "documentErrors", maximum=MAX_DOCUMENTS)
    ):
        path = f"documentErrors[{index}]"
        failures += [
            (cbor.as_text(doctype, path), cbor.as_int(code, path, minimum=-(2**63)))
            for doctype, code in cbor.as_map(entry, path).items()
        ]
    return DeviceResponse(
        version,
        cbor.as_int(cbor.need(top, "status", ""), "status"),
        documents,
        tuple(failures[:MAX_DOCUMENTS]),
        tuple(name for name in ("zkDocuments", "encryptedDocuments") if name in top),
    )


def _document(value: object, path: str, slices: cbor.Slices, tally: cbor.Tally) -> Document:
    entry = cbor.as_map(value, path)
    doctype = cbor.need_text(entry, "docType", path)
    issuer_path, device_path = f"{path}.issuerSigned", f"{path}.deviceSigned"
    issuer_signed = cbor.need_map(entry, "issuerSigned", path)
    namespaces = _issuer_namespaces(issuer_signed.get("nameSpaces"), f"{issuer_path}.nameSpaces", slices, tally)
    issuer_auth = cose.parse(
        cbor.need(issuer_signed, "issuerAuth", issuer_path), "COSE_Sign1", f"{issuer_path}.issuerAuth"
    )
    errors = _errors(entry["errors"], f"{path}.errors") if "errors" in entry else {}
    if "deviceSigned" not in entry:
        return Document(doctype, issuer_auth, namespaces, None, None, errors=errors)
    device_signed = cbor.as_map(entry["deviceSigned"], device_path)
    content = cbor.as_embedded(cbor.need(device_signed, "nameSpaces", device_path), f"{device_path}.nameSpaces")
    proof, kind = _device_auth(device_signed.get("deviceAuth"), f"{device_path}.deviceAuth")
    return Document(
        doctype,
        issuer_auth,
        namespaces,
        proof,
        kind,
        slices.of(content),
        {} if content == b"\xa0" else _device_namespaces(content, f"{device_path}.nameSpaces", tally),
        errors,
    )


def _errors(value: object, path: str) -> Mapping[str, Mapping[str, int]]:
    return {
        cbor.as_text(namespace, path): {
            cbor.as_text(identifier, path): cbor.as_int(code, path, minimum=-(2**63))
            for identifier, code in cbor.as_map(failed, path).items()
        }
        for namespace, failed in cbor.as_map(value, path).items()
    }


def _issuer_namespaces(
    value: object, path: str, slices: cbor.Slices, tally: cbor.Tally
) -> Mapping[str, tuple[IssuerSignedItem, ...]]:
    if value is None:
        return {}
    given = cbor.as_map(value, path)
    if len(given) > MAX_NAMESPACES:
        raise Malformed(MalformedCode.TOO_MANY_ITEMS, path)
    namespaces = {}
    for namespace, items in given.items():
        name = cbor.as_text(namespace, path)
        array = cbor.as_array(items, path, maximum=MAX_ITEMS_OF_NAMESPACE)
        namespaces[name] = tuple([_item(item, path, index, slices, tally) for index, item in enumerate(array)])
    return namespaces


def _item(value: object, path: str, index: int, slices: cbor.Slices, tally: cbor.Tally) -> IssuerSignedItem:
    try:
        content = cbor.as_embedded(value, "")
    except Malformed as error:
        raise error.under(f"{path}[{index}]") from None
    encoded = slices.of(content)
    try:
        entry = cbor.decode(content, _INNER, tally)
        match entry:  # the usual item in one step; anything else goes through the checks one by one
            case {"digestID": digest_id, "random": random, "elementIdentifier": name, "elementValue": element} if (
                type(digest_id) is int
                and type(random) is bytes
                and type(name) is str
                and 0 <= digest_id < _USUAL_DIGEST_IDS
                and 0 < len(name) < _USUAL_NAME
            ):
                return IssuerSignedItem(encoded, digest_id, random, name, element)
        entry = cbor.as_map(entry, "")
        return IssuerSignedItem(
            encoded,
            cbor.as_int(cbor.need(entry, "digestID", ""), "digestID"),
            cbor.need_bytes(entry, "random", ""),
            cbor.need_text(entry, "elementIdentifier", ""),
            cbor.need(entry, "elementValue", ""),
        )
    except Malformed as problem:
        return IssuerSignedItem(encoded, -1, b"", "", None, problem.under(f"{path}[{index}]"))


def _device_namespaces(content: bytes, path: str, tally: cbor.Tally) -> Mapping[str, Mapping[str, object]]:
    try:
        given = cbor.as_map(cbor.decode(content, _INNER, tally), path)
    except Malformed as error:
        raise error.under(path) from None
    return {
        cbor.as_text(namespace, path): {
            cbor.as_text(identifier, path): element for identifier, element in cbor.as_map(elements, path).items()
        }
        for namespace, elements in given.items()
    }


def _device_auth(value: object, path: str) -> tuple[cose.Cose | None, DeviceAuthKind | None]:
    if value is None:
        return None, None
    given = cbor.as_map(value, path)
    present = [kind for kind in DeviceAuthKind if kind in given]
    if len(present) > 1:
        raise Malformed(MalformedCode.BAD_VALUE, path, detail="both a signature and a MAC")
    if not present:
        return None, None
    kind = present[0]
    structure = "COSE_Sign1" if kind is DeviceAuthKind.SIGNATURE else "COSE_Mac0"
    return cose.parse(given[kind], structure, f"{path}.{kind}"), kind


def device_authentication_bytes(session_transcript: bytes, document: Document) -> bytes:
    """Return DeviceAuthenticationBytes: what deviceSignature or deviceMac covers (clause 9.1.3.4)."""
    return cbor.embed(
        b"\x84"
        + cbor.tstr("DeviceAuthentication")
        + session_transcript
        + cbor.tstr(document.doctype)
        + document.device_namespaces_bytes
    )
