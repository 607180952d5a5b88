"""The phone's device engagement: its encoders, and what the phone keeps of it (ISO 18013-5 clause 8.2.1).

The reader's language only reads engagements; writing them is the phone's part.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mdoc_reader.mdoc import cbor
from mdoc_reader.mdoc.engagement import CIPHER_SUITE_1, Capabilities, OriginInfo
from mdoc_reader.mdoc.keys import AgreementPrivateKey, encode_cose_key
from mdoc_reader.mdoc.session import ble_ident
from mdoc_reader.mdoc.transcript import NfcHandover
from mdoc_reader.model.connection import (
    BleMethod,
    ConnectionMethod,
    NfcMethod,
    RestMethod,
    UnknownMethod,
    WifiAwareMethod,
)


@dataclass(frozen=True, slots=True)
class Engagement:
    """One engagement of the phone.

    `encoded` is DeviceEngagement without tag 24; `e_device_key_bytes` is EDeviceKeyBytes with it. `ble` is how the
    phone can be reached over Bluetooth, `handover` what was said over NFC, where it was a tap.
    """

    private_key: AgreementPrivateKey = field(repr=False)
    encoded: bytes = field(repr=False)
    e_device_key_bytes: bytes = field(repr=False)
    ble: BleMethod | None = None
    handover: NfcHandover | None = field(default=None, repr=False)

    @property
    def qr_text(self) -> str:
        """Return the text of the QR code."""
        return qr_text(self.encoded)

    @property
    def ident(self) -> bytes:
        """Return the BLE Ident the reader must show."""
        return ble_ident(self.e_device_key_bytes)


def qr_text(device_engagement: bytes) -> str:
    """Return `mdoc:` and the base64url of an encoded DeviceEngagement, without padding."""
    return "mdoc:" + base64.urlsafe_b64encode(device_engagement).decode().rstrip("=")


def make_engagement(
    private_key: AgreementPrivateKey,
    methods: Sequence[ConnectionMethod] = (),
    *,
    compressed: bool = False,
    origin_infos: Sequence[OriginInfo] | None = None,
    capabilities: Capabilities | None = None,
    extra: Mapping[int, object] | None = None,
) -> Engagement:
    """Put an engagement together around an ephemeral key.

    No methods means no key 2, as in NFC engagement. Origin infos or capabilities make it version 1.1. `extra` adds
    keys a reader must ignore.
    """
    e_device_key_bytes = cbor.embed(encode_cose_key(private_key.public_key(), compressed=compressed))
    second_edition = origin_infos is not None or capabilities is not None
    entries = [
        cbor.encode(0) + cbor.tstr("1.1" if second_edition else "1.0"),
        cbor.encode(1) + b"\x82" + cbor.encode(CIPHER_SUITE_1) + e_device_key_bytes,
    ]
    if methods:
        entries.append(cbor.encode(2) + cbor.encode([_method(method) for method in methods]))
    if second_edition:
        entries.append(cbor.encode(5) + cbor.encode([_origin(info) for info in origin_infos or ()]))
    if capabilities is not None:
        entries.append(cbor.encode(6) + cbor.encode(_capabilities(capabilities)))
    entries += [cbor.encode(key) + cbor.encode(value) for key, value in (extra or {}).items()]
    ble = next((method for method in methods if isinstance(method, BleMethod)), None)
    return Engagement(private_key, cbor.head(5, len(entries)) + b"".join(entries), e_device_key_bytes, ble)


def _method(method: ConnectionMethod) -> list[object]:
    if isinstance(method, BleMethod):
        return [2, 1, _ble(method)]
    if isinstance(method, NfcMethod):
        return [1, 1, {0: method.max_command_data, 1: method.max_response_data}]
    if isinstance(method, WifiAwareMethod):
        options = {0: method.passphrase, 1: method.operating_class, 2: method.channel, 3: method.bands}
        return [3, 1, {key: value for key, value in options.items() if value is not None}]
    if isinstance(method, RestMethod):
        return [4, 1, {0: method.uri}]
    return _unknown(method)


def _unknown(method: UnknownMethod) -> list[object]:
    return [method.type, method.version, {}]


def _ble(method: BleMethod) -> dict[int, object]:
    options: dict[int, object] = {0: method.peripheral_server, 1: method.central_client}
    if method.peripheral_uuid is not None:
        options[10] = method.peripheral_uuid.bytes
    if method.central_uuid is not None:
        options[11] = method.central_uuid.bytes
    if method.address is not None:
        options[20] = method.address
    if method.psm is not None:
        options[21] = method.psm
    return options


def _origin(info: OriginInfo) -> dict[str, object]:
    details = {} if info.domain is None else {"domain": info.domain}
    return {"cat": info.category, "type": info.type, "details": details}


def _capabilities(capabilities: Capabilities) -> dict[int, object]:
    encoded: dict[int, object] = {}
    if capabilities.mac_keys:
        encoded[0] = True
    if capabilities.mac_key_curves:
        encoded[1] = list(capabilities.mac_key_curves)
    flags = (
        capabilities.handover_session_establishment,
        capabilities.reader_auth_all,
        capabilities.extended_request,
    )
    # Where these are present they are always true.
    encoded |= {key: True for key, flag in zip((2, 3, 4), flags, strict=True) if flag}
    return encoded
