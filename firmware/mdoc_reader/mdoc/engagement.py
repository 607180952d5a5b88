"""Device engagement: what the phone says about itself before anything is encrypted (ISO 18013-5 clauses 8.2.1 and 9.1).

Reads the first edition's keys 0 to 4 and the second edition's 5 (OriginInfos) and 6 (Capabilities). Unknown keys are
ignored. The bytes are kept as received: they are part of the session transcript.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from mdoc_reader.mdoc import cbor
from mdoc_reader.mdoc.keys import AgreementPublicKey, Curve, parse_cose_key
from mdoc_reader.model.connection import (
    BleMethod,
    ConnectionMethod,
    NfcMethod,
    RestMethod,
    UnknownMethod,
    WifiAwareMethod,
)
from mdoc_reader.model.reasons import Malformed, MalformedCode

CIPHER_SUITE_1 = 1
LIMITS = cbor.Limits(max_bytes=16 * 1024, max_depth=10, max_items=2000)
_MAX_METHODS = 16
_URI = re.compile(r"\s*mdoc:(?://)?([A-Za-z0-9_=+/-]+)\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class OriginInfo:
    """Where the engagement came from (ISO 18013-7 A.3). `domain` only for type 1."""

    category: int
    type: int
    domain: str | None = None


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a second-edition wallet says it can do; all False where it said nothing."""

    mac_keys: bool = False
    mac_key_curves: tuple[int, ...] = ()
    handover_session_establishment: bool = False
    reader_auth_all: bool = False
    extended_request: bool = False


@dataclass(frozen=True, slots=True)
class DeviceEngagement:
    """A device engagement.

    `raw` is the encoding as received, without tag 24. `e_device_key_bytes` is EDeviceKeyBytes including tag 24, as
    received: it is the key material of the BLE Ident.
    """

    raw: bytes = field(repr=False)
    version: str
    e_device_key_bytes: bytes = field(repr=False)
    e_device_key: AgreementPublicKey = field(repr=False)
    curve: Curve
    methods: tuple[ConnectionMethod, ...] = ()
    origin_infos: tuple[OriginInfo, ...] = ()
    capabilities: Capabilities = Capabilities()

    @property
    def ble(self) -> BleMethod | None:
        """Return the first Bluetooth method, if any."""
        return next((method for method in self.methods if isinstance(method, BleMethod)), None)


def from_qr(text: str) -> DeviceEngagement:
    """Read the text of a QR code: `mdoc:` and base64url of a DeviceEngagement (clause 8.2.2.3).

    Lenient on the case of the scheme, on `//`, on padding and on the plain base64 alphabet. Raises Malformed;
    NOT_AN_MDOC when the text is something else altogether.
    """
    match = _URI.fullmatch(text) if len(text) <= 8192 else None
    if match is None:
        raise Malformed(MalformedCode.NOT_AN_MDOC)
    digits = match[1].rstrip("=").replace("+", "-").replace("/", "_")
    try:
        raw = base64.urlsafe_b64decode(digits + "=" * (-len(digits) % 4))
    except (binascii.Error, ValueError):
        raise Malformed(MalformedCode.BAD_TEXT, "qr", detail="not base64url") from None
    return parse(raw)


def parse(raw: bytes, *, need_methods: bool = True) -> DeviceEngagement:
    """Read a DeviceEngagement. `need_methods`: key 2 is mandatory for QR and absent for NFC. Raises Malformed."""
    top = cbor.as_map(cbor.decode(raw, LIMITS), "DeviceEngagement")
    version = cbor.as_text(cbor.need(top, 0, "DeviceEngagement"), "version", maximum=16)
    if version.partition(".")[0] != "1":
        raise Malformed(MalformedCode.UNSUPPORTED, "version", detail="major version 1 is expected")
    security = cbor.as_array(cbor.need(top, 1, "DeviceEngagement"), "Security")
    if len(security) < 2:
        raise Malformed(MalformedCode.MISSING_KEY, "Security")
    if security[0] != CIPHER_SUITE_1 or isinstance(security[0], bool):
        raise Malformed(MalformedCode.UNSUPPORTED, "Security[0]", detail="only cipher suite 1 exists")
    key_content = cbor.as_embedded(security[1], "Security[1]")
    curve, key = parse_cose_key(cbor.decode(key_content, LIMITS), "EDeviceKey")
    if not curve.agreement:
        raise Malformed(MalformedCode.UNSUPPORTED, "EDeviceKey", detail="this curve has no key agreement")
    methods: tuple[ConnectionMethod, ...] = ()
    if 2 in top:
        entries = cbor.as_array(top[2], "DeviceRetrievalMethods", maximum=_MAX_METHODS)
        methods = tuple(_method(entry, f"DeviceRetrievalMethods[{index}]") for index, entry in enumerate(entries))
    if need_methods and not methods:
        raise Malformed(MalformedCode.MISSING_KEY, "DeviceRetrievalMethods")
    return DeviceEngagement(
        raw,
        version,
        cbor.Slices(raw).of(key_content),
        key,  # type: ignore[arg-type]  # a curve with key agreement has a key of that kind
        curve,
        methods,
        _origin_infos(top.get(5)),
        _capabilities(top.get(6)),
    )


def _method(value: object, path: str) -> ConnectionMethod:
    entry = cbor.as_array(value, path)
    if len(entry) < 2:
        raise Malformed(MalformedCode.MISSING_KEY, path)
    kind, version = cbor.as_int(entry[0], f"{path}.type"), cbor.as_int(entry[1], f"{path}.version")
    reader = _READERS.get(kind)
    if version != 1 or reader is None:
        return UnknownMethod(kind, version)
    options = cbor.as_map(entry[2], f"{path}.options") if len(entry) > 2 else {}
    return reader(options, f"{path}.options")


def _ble(options: Mapping[object, object], path: str) -> BleMethod:
    address = options.get(20)
    if address is not None and len(cbor.as_bytes(address, f"{path}.20")) not in {6, 7}:
        raise Malformed(MalformedCode.BAD_VALUE, f"{path}.20", detail="a Bluetooth address has six octets")
    psm = options.get(21)
    method = BleMethod(
        peripheral_server=cbor.as_bool(options.get(0, False), f"{path}.0"),
        central_client=cbor.as_bool(options.get(1, False), f"{path}.1"),
        peripheral_uuid=_uuid(options.get(10), f"{path}.10"),
        central_uuid=_uuid(options.get(11), f"{path}.11"),
        address=address[:6] if isinstance(address, bytes) else None,
        psm=None if psm is None else cbor.as_int(psm, f"{path}.21", maximum=0xFFFF),
    )
    if (method.peripheral_server and method.peripheral_uuid is None) or (
        method.central_client and method.central_uuid is None
    ):
        raise Malformed(MalformedCode.MISSING_KEY, path, detail="a Bluetooth mode is offered without its UUID")
    return method


def _uuid(value: object, path: str) -> UUID | None:
    if value is None:
        return None
    raw = cbor.as_bytes(value, path)
    if len(raw) != 16:
        raise Malformed(MalformedCode.BAD_VALUE, path, detail="a UUID has sixteen octets")
    return UUID(bytes=raw)


def _nfc(options: Mapping[object, object], path: str) -> NfcMethod:
    return NfcMethod(
        cbor.as_int(cbor.need(options, 0, path), f"{path}.0", minimum=1, maximum=65536),
        cbor.as_int(cbor.need(options, 1, path), f"{path}.1", minimum=1, maximum=65536),
    )


def _wifi_aware(options: Mapping[object, object], path: str) -> WifiAwareMethod:
    passphrase, bands = options.get(0), options.get(3)
    numbers = [None if options.get(key) is None else cbor.as_int(options[key], f"{path}.{key}") for key in (1, 2)]
    return WifiAwareMethod(
        None if passphrase is None else cbor.as_text(passphrase, f"{path}.0"),
        numbers[0],
        numbers[1],
        b"" if bands is None else cbor.as_bytes(bands, f"{path}.3"),
    )


def _rest(options: Mapping[object, object], path: str) -> RestMethod:
    return RestMethod(cbor.as_text(cbor.need(options, 0, path), f"{path}.0"))


_READERS: Mapping[int, Callable[[Mapping[object, object], str], ConnectionMethod]] = {
    1: _nfc,
    2: _ble,
    3: _wifi_aware,
    4: _rest,
}


def _origin_infos(value: object) -> tuple[OriginInfo, ...]:
    if value is None:
        return ()
    infos = []
    for index, item in enumerate(cbor.as_array(value, "OriginInfos", maximum=16)):
        path = f"OriginInfos[{index}]"
        info = cbor.as_map(item, path)
        details = info.get("details")
        domain = cbor.as_map(details, f"{path}.details").get("domain") if details is not None else None
        infos.append(
            OriginInfo(
                cbor.as_int(cbor.need(info, "cat", path), f"{path}.cat"),
                cbor.as_int(cbor.need(info, "type", path), f"{path}.type"),
                None if domain is None else cbor.as_text(domain, f"{path}.details.domain"),
            )
        )
    return tuple(infos)


def _capabilities(value: object) -> Capabilities:
    if value is None:
        return Capabilities()
    given = cbor.as_map(value, "Capabilities")
    curves = given.get(1)
    flags = {key: cbor.as_bool(given[key], f"Capabilities.{key}") for key in (0, 2, 3, 4) if key in given}
    return Capabilities(
        flags.get(0, False),
        ()
        if curves is None
        else tuple(
            cbor.as_int(item, "Capabilities.1", maximum=65535)
            for item in cbor.as_array(curves, "Capabilities.1", maximum=32)
        ),
        flags.get(2, False),
        flags.get(3, False),
        flags.get(4, False),
    )
