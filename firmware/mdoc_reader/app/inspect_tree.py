"""The trees that `inspect` shows: decoded items with the names of their kind, certificates, handover messages."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from cbor2 import CBORSimpleValue, CBORTag
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from mdoc_reader.app import inspect_names as names
from mdoc_reader.mdoc import cbor, cose, handover
from mdoc_reader.mdoc.keys import curve_of
from mdoc_reader.model.connection import BleMethod
from mdoc_reader.model.reasons import Malformed, MalformedCode
from mdoc_reader.trust.anchors import certificates_in

_LIMITS = cbor.Limits(max_bytes=16 * 1024 * 1024, max_depth=24, max_items=200_000)
_DEEPEST = 8  # encoded CBOR in encoded CBOR
_SHORT = 24


@dataclass(slots=True)
class Node:
    """One place of a tree: what it is called, what it says in short, and what is below."""

    label: str
    text: str = ""
    value: object = None
    children: list[Node] = field(default_factory=list)

    def lines(self, indent: str = "", *, colour: bool = False) -> list[str]:
        """Return the tree as lines."""
        label = f"\x1b[36m{_safe(self.label)}\x1b[0m" if colour else _safe(self.label)
        lines = [f"{indent}{label}{': ' if self.label and self.text else ''}{_safe(self.text)}"]
        for child in self.children:
            lines += child.lines(indent + "  ", colour=colour)
        return lines

    def as_json(self) -> object:
        """Return the tree as JSON has it: every byte of it."""
        told: dict[str, object] = {"name": self.label}
        if self.children:
            told["children"] = [child.as_json() for child in self.children]
        else:
            told["value"] = self.value if self.value is not None else self.text
        return told


def _safe(text: str) -> str:
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def cbor_tree(data: bytes, kind: str) -> Node:
    """Return the tree of one encoded item; an empty `kind` lets its shape say what it is. Raises Malformed."""
    value = cbor.decode(data, _LIMITS)
    kind = kind or names.kind_of(value)
    return _node(kind, value, kind, 0)


def _node(label: str, value: object, kind: str, depth: int) -> Node:
    if isinstance(value, CBORTag):
        return _tagged(label, value, kind, depth)
    if isinstance(value, Mapping):
        node = Node(label, f"map of {len(value)}")
        node.children = [_entry(key, item, kind, depth) for key, item in value.items()]
        return node
    if isinstance(value, (list, tuple)):
        return _array(label, value, kind, depth)
    if isinstance(value, bytes):
        return _bytes(label, value, kind, depth)
    return Node(label, _scalar(value), _json_scalar(value))


def _entry(key: object, item: object, kind: str, depth: int) -> Node:
    name, below = names.entry(kind, key)
    if below == "digest" and isinstance(item, bytes):
        return Node(name, f"digest, {len(item)} bytes", _b64(item))
    if below == "uuid" and isinstance(item, bytes) and len(item) == 16:
        return Node(name, str(UUID(bytes=item)), str(UUID(bytes=item)))
    if below == "curve" and isinstance(item, int):
        return Node(name, f"{item} ({names.curve(item)})", item)
    if below == "algorithm" and isinstance(item, int):
        known = cose.ALGORITHMS.get(item)
        return Node(name, f"{item} ({known.name if known else 'HMAC 256/256' if item == 5 else 'unknown'})", item)
    return _node(name, item, below, depth)


def _array(label: str, value: Sequence[object], kind: str, depth: int) -> Node:
    node = Node(label, f"array of {len(value)}")
    for index, item in enumerate(value):
        name, below = names.element(kind, index)
        node.children.append(_node(name, item, below, depth))
    return node


def _tagged(label: str, value: CBORTag, kind: str, depth: int) -> Node:
    if value.tag == cbor.ENCODED_CBOR and isinstance(value.value, bytes):
        if depth < _DEEPEST:
            try:
                below = _node(label, cbor.decode(value.value, _LIMITS), kind, depth + 1)
            except Malformed as problem:
                return Node(label, f"encoded CBOR that cannot be read: {problem}", _b64(value.value))
            below.text = f"encoded CBOR, {len(value.value)} bytes; {below.text}"
            return below
        return Node(label, f"encoded CBOR, {len(value.value)} bytes", _b64(value.value))
    below = _node(label, value.value, kind, depth)
    below.text = f"tag {value.tag} {below.text}"
    return below


def _bytes(label: str, value: bytes, kind: str, depth: int) -> Node:
    if kind == "certificate":
        found = try_certificate(value)
        if found is not None:
            found.label = label
            return found
    if kind in {"protected", "mso payload"} and depth < _DEEPEST and value:
        below = {"protected": "header", "mso payload": "MSO"}[kind]
        try:
            node = _node(label, cbor.decode(value, _LIMITS), below, depth + 1)
        except Malformed:
            return Node(label, _shortened(value), _b64(value))
        node.text = f"{len(value)} bytes; {node.text}"
        return node
    return Node(label, _shortened(value), _b64(value))


def _shortened(value: bytes) -> str:
    if value[:2] == b"\xff\xd8":
        return f"JPEG image ({len(value)} bytes)"
    if value[4:8] == b"jP  ":
        return f"JPEG 2000 image ({len(value)} bytes)"
    if len(value) <= _SHORT:
        return f"h'{value.hex()}'"
    return f"h'{value[:_SHORT].hex()}…' ({len(value)} bytes)"


def _scalar(value: object) -> str:
    if isinstance(value, str):
        return f'"{value}"' if len(value) <= 400 else f'"{value[:400]}…" ({len(value)} characters)'
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, CBORSimpleValue):
        return f"simple({value.value})"
    return str(value)


def _json_scalar(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value if isinstance(value, (bool, int, str)) else _scalar(value)


def _b64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def certificates_tree(pem: bytes) -> Node:
    """Return the tree of every certificate of a PEM file. Raises Malformed when none can be read."""
    found = [tree for der in certificates_in(pem)[:64] if (tree := try_certificate(der)) is not None]
    if not found:
        raise Malformed(MalformedCode.BAD_CERTIFICATE)
    return found[0] if len(found) == 1 else Node("certificates", f"{len(found)}", children=found)


def try_certificate(der: bytes) -> Node | None:
    """Return the tree of a DER certificate, or None when it is none."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        node = Node("certificate", f"{len(der)} bytes", _b64(der))
        facts = {
            "subject": certificate.subject.rfc4514_string(),
            "issuer": certificate.issuer.rfc4514_string(),
            "serial": f"{certificate.serial_number:x}",
            "valid": f"{certificate.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ} to "
            f"{certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}",
            "key": _key_name(certificate),
        }
        node.children = [Node(name, text, text) for name, text in facts.items()]
        for extension in certificate.extensions:
            text = names.extension(extension.value) + (" (critical)" if extension.critical else "")
            node.children.append(Node(extension.oid._name, text, text))
    except (ValueError, UnsupportedAlgorithm, x509.UnsupportedGeneralNameType, x509.DuplicateExtension):
        return None
    return node


def _key_name(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    try:
        return curve_of(key).name
    except Malformed:
        return type(key).__name__


def try_handover(data: bytes) -> Node | None:
    """Return the tree of an NFC handover message, or None when it is none."""
    try:
        found = handover.parse(data)
    except Malformed:
        return None
    node = Node("Handover Select" if found.select else "Handover Request", f"version {found.version}")
    for carrier in found.carriers:
        method = carrier.method
        name = type(method).__name__.removesuffix("Method") if method is not None else "unknown carrier"
        below = Node(f"carrier {name}", f"reference h'{carrier.reference.hex()}', power state {carrier.power_state}")
        if isinstance(method, BleMethod):
            below.children = [
                Node("mdoc peripheral server mode", str(method.peripheral_server).lower()),
                Node("mdoc central client mode", str(method.central_client).lower()),
                Node("UUID", str(method.peripheral_uuid or method.central_uuid or "none")),
                Node("address", method.address.hex(":") if method.address else "none"),
            ]
        elif method is not None:
            below.children = [Node("options", str(method))]
        node.children.append(below)
    if found.engagement is not None:
        kind = "DeviceEngagement" if found.select else "ReaderEngagement"
        try:
            node.children.append(cbor_tree(found.engagement, kind))
        except Malformed as problem:
            node.children.append(Node(kind, f"cannot be read: {problem}", _b64(found.engagement)))
    return node
