"""The trees that `inspect` shows: decoded items with the names of their kind, certificates, handover messages."""

from __future__ import annotations

import base64
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from cbor2 import CBORSimpleValue, CBORTag
from cryptography import x509

from mdoc_reader.app import inspect_names as names
from mdoc_reader.mdoc import cbor, cose, handover
from mdoc_reader.mdoc.keys import curve_of
from mdoc_reader.model.connection import BleMethod
from mdoc_reader.model.reasons import Malformed, MalformedCode
from mdoc_reader.trust.anchors import UNREADABLE, certificates_in

_LIMITS = cbor.Limits(max_bytes=16 * 1024 * 1024, max_depth=24, max_items=100_000)
_DEEPEST = 8  # encoded CBOR in encoded CBOR
_SHORT = 24


@dataclass(slots=True)
class _Place:
    """How deep in encoded CBOR we are, and how many items the whole tree may still have (shared by all places)."""

    depth: int
    left: list[int]

    def open(self, content: bytes) -> object:
        """Decode encoded CBOR within what is left of the whole tree's items. Raises Malformed."""
        limits = cbor.Limits(_LIMITS.max_bytes, _LIMITS.max_depth, self.left[0])
        items = sum(1 for _ in cbor.walk(content, limits=limits))
        value = cbor.decode(content, limits)
        self.left[0] -= items
        return value

    def below(self) -> _Place:
        """Return the place inside encoded CBOR here."""
        return _Place(self.depth + 1, self.left)


@dataclass(slots=True)
class Node:
    """One place of a tree: what it is called, what it says in short, and what is below.

    `type` is what programs go by: a text and a byte string of the same digits differ in it alone. `key` is a map's key.
    """

    label: str
    text: str = ""
    value: object = None
    children: list[Node] = field(default_factory=list)
    type: str = "text"
    key: int | str | None = None

    def lines(self, indent: str = "", *, colour: bool = False) -> list[str]:
        """Return the tree as lines."""
        label = f"\x1b[36m{_safe(self.label)}\x1b[0m" if colour else _safe(self.label)
        lines = [f"{indent}{label}{': ' if self.label and self.text else ''}{_safe(self.text)}"]
        for child in self.children:
            lines += child.lines(indent + "  ", colour=colour)
        return lines

    def as_json(self) -> object:
        """Return the tree as JSON has it: every byte of it."""
        told: dict[str, object] = {"name": self.label, "type": self.type}
        if self.key is not None:
            told["key"] = self.key
        if self.type in _PARENTS:
            told["children"] = [child.as_json() for child in self.children]
            if self.value is not None:  # what was encoded here, as it was received
                told["encoded"] = self.value
        else:
            told["value"] = self.value
        return told


_PARENTS = frozenset({"map", "array", "certificate", "certificates", "handover", "carrier"})


def _safe(text: str) -> str:
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def cbor_tree(data: bytes, kind: str) -> Node:
    """Return the tree of one encoded item; an empty `kind` lets its shape say what it is. Raises Malformed."""
    place = _Place(0, [_LIMITS.max_items])
    value = place.open(data)
    kind = kind or names.kind_of(value)
    return _node(kind, value, kind, place)


def _node(label: str, value: object, kind: str, place: _Place) -> Node:
    if isinstance(value, CBORTag):
        return _tagged(label, value, kind, place)
    if isinstance(value, Mapping):
        node = Node(label, f"map of {len(value)}", type="map")
        node.children = [_entry(key, item, kind, place) for key, item in value.items()]
        return node
    if isinstance(value, (list, tuple)):
        return _array(label, value, kind, place)
    if isinstance(value, bytes):
        return _bytes(label, value, kind, place)
    return Node(label, _scalar(value), _json_scalar(value), type=_type(value))


def _type(value: object) -> str:
    if value is None:
        return "null"
    for kind, name in ((bool, "bool"), (int, "int"), (float, "float"), (str, "text")):
        if isinstance(value, kind):
            return name
    return "simple"


def _entry(key: object, item: object, kind: str, place: _Place) -> Node:
    node = _named_entry(key, item, kind, place)
    node.key = key if isinstance(key, (int, str)) and not isinstance(key, bool) else None
    return node


def _named_entry(key: object, item: object, kind: str, place: _Place) -> Node:
    name, below = names.entry(kind, key)
    if below == "digest" and isinstance(item, bytes):
        return Node(name, f"digest, {len(item)} bytes", _b64(item), type="bytes")
    if below == "uuid" and isinstance(item, bytes) and len(item) == 16:
        return Node(name, str(UUID(bytes=item)), _b64(item), type="bytes")
    if below == "curve" and isinstance(item, int):
        return Node(name, f"{item} ({names.curve(item)})", item, type="int")
    if below == "algorithm" and isinstance(item, int):
        known = cose.ALGORITHMS.get(item)
        return Node(
            name, f"{item} ({known.name if known else 'HMAC 256/256' if item == 5 else 'unknown'})", item, type="int"
        )
    return _node(name, item, below, place)


def _array(label: str, value: Sequence[object], kind: str, place: _Place) -> Node:
    node = Node(label, f"array of {len(value)}", type="array")
    for index, item in enumerate(value):
        name, below = names.element(kind, index)
        node.children.append(_node(name, item, below, place))
    return node


def _tagged(label: str, value: CBORTag, kind: str, place: _Place) -> Node:
    if value.tag == cbor.ENCODED_CBOR and isinstance(value.value, bytes):
        if place.depth < _DEEPEST:
            try:
                below = _node(label, place.open(value.value), kind, place.below())
            except Malformed as problem:
                return Node(label, f"encoded CBOR that cannot be read: {problem}", _b64(value.value), type="bytes")
            below.text = f"encoded CBOR, {len(value.value)} bytes; {below.text}"
            if below.type in _PARENTS:
                below.value = _b64(value.value)
            return below
        return Node(label, f"encoded CBOR, {len(value.value)} bytes", _b64(value.value), type="bytes")
    below = _node(label, value.value, kind, place)
    below.text = f"tag {value.tag} {below.text}"
    return below


def _bytes(label: str, value: bytes, kind: str, place: _Place) -> Node:
    if kind == "certificate":
        found = try_certificate(value)
        if found is not None:
            found.label = label
            return found
    if kind in {"protected", "mso payload"} and place.depth < _DEEPEST and value:
        below = {"protected": "header", "mso payload": "MSO"}[kind]
        try:
            node = _node(label, place.open(value), below, place.below())
        except Malformed:
            return Node(label, _shortened(value), _b64(value), type="bytes")
        node.text = f"{len(value)} bytes; {node.text}"
        if node.type in _PARENTS:
            node.value = _b64(value)
        return node
    return Node(label, _shortened(value), _b64(value), type="bytes")


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
    return found[0] if len(found) == 1 else Node("certificates", f"{len(found)}", children=found, type="certificates")


def try_certificate(der: bytes) -> Node | None:
    """Return the tree of a DER certificate, or None when it is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on a serial number below one, say: it is shown, which is enough
        return _certificate(der)


def _certificate(der: bytes) -> Node | None:
    try:
        certificate = x509.load_der_x509_certificate(der)
        node = Node("certificate", f"{len(der)} bytes", _b64(der), type="certificate")
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
    except (*UNREADABLE, TypeError):  # TypeError: a name attribute that is a bit string
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
    select = isinstance(found, handover.HandoverSelect)
    version = ".".join(map(str, found.version))
    node = Node("Handover Select" if select else "Handover Request", f"version {version}", _b64(data), type="handover")
    for carrier in found.carriers:
        method = carrier.method
        facts = f"reference h'{carrier.reference.hex()}', power state {carrier.power_state.name.lower()}"
        below = Node(f"carrier {carrier.kind}", facts, type="carrier")
        if isinstance(method, BleMethod):
            below.children = [
                Node("mdoc peripheral server mode", str(method.peripheral_server).lower(), method.peripheral_server),
                Node("mdoc central client mode", str(method.central_client).lower(), method.central_client),
                _fact("UUID", str(method.peripheral_uuid or method.central_uuid or "none")),
                _fact("address", method.address.hex(":") if method.address else "none"),
                _fact("L2CAP PSM", "none" if method.psm is None else str(method.psm)),
            ]
            for mode in below.children[:2]:
                mode.type = "bool"
        elif method is not None:
            below.children = [_fact("options", str(method))]
        node.children.append(below)
    if isinstance(found, handover.HandoverSelect):
        node.children.append(cbor_tree(found.engagement.raw, "DeviceEngagement"))
    elif found.reader_engagement is not None:
        node.children.append(cbor_tree(found.reader_engagement, "ReaderEngagement"))
    return node


def _fact(name: str, text: str) -> Node:
    return Node(name, text, text)
