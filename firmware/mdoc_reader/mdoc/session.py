"""Session encryption, both ends (ISO 18013-5 clause 9.1.1): key derivation, messages, counters, status codes.

A cipher is a small state: two keys and two counters. The reader's end is what the firmware uses; the device's end is
the same mathematics mirrored, for those who play a phone.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mdoc_reader.mdoc import cbor
from mdoc_reader.mdoc.keys import AgreementPrivateKey, PublicKey, agree
from mdoc_reader.model.reasons import Malformed, MalformedCode

_READER_IV, _DEVICE_IV = bytes(8), b"\0\0\0\0\0\0\0\1"


class Status(IntEnum):
    """Status codes of SessionData (table 20 of the first edition)."""

    SESSION_ENCRYPTION_ERROR = 10
    CBOR_DECODING_ERROR = 11
    TERMINATION = 20


class DecryptionFailed(Exception):  # noqa: N818 -- what happened, not a defect of ours
    """Data that does not decrypt under the session: to be answered with status 10, then the session ends."""


def hkdf_sha256(key_material: bytes, salt: bytes, info: bytes, length: int = 32) -> bytes:
    """HKDF with SHA-256 for up to 32 octets (RFC 5869); an empty salt means 32 zero octets."""
    pseudo_random_key = hmac.digest(salt or bytes(32), key_material, "sha256")
    return hmac.digest(pseudo_random_key, info + b"\x01", "sha256")[:length]


def ble_ident(e_device_key_bytes: bytes) -> bytes:
    """Return the 16-octet BLE Ident of EDeviceKeyBytes including tag 24 (clause 8.3.3.1.1.3)."""
    return hkdf_sha256(e_device_key_bytes, b"", b"BLEIdent", 16)


def transcript_salt(session_transcript: bytes) -> bytes:
    """Return SHA-256 of SessionTranscriptBytes (the transcript in tag 24)."""
    return hashlib.sha256(cbor.embed(session_transcript)).digest()


def e_mac_key(private: AgreementPrivateKey, device_key: PublicKey, session_transcript: bytes) -> bytes:
    """Return EMacKey for device authentication by MAC (clause 9.1.3.5). Raises Malformed(BAD_KEY)."""
    return hkdf_sha256(agree(private, device_key), transcript_salt(session_transcript), b"EMacKey")


class SessionCipher:
    """One end of an encrypted session. Not to be shared between presentations."""

    __slots__ = ("_receive", "_receive_iv", "_received", "_send", "_send_iv", "_sent")

    def __init__(
        self, private: AgreementPrivateKey, public: PublicKey, session_transcript: bytes, *, reader: bool = True
    ) -> None:
        """Derive both keys. `reader` says which end this is. Raises Malformed(BAD_KEY)."""
        secret, salt = agree(private, public), transcript_salt(session_transcript)
        sk_reader = AESGCM(hkdf_sha256(secret, salt, b"SKReader"))
        sk_device = AESGCM(hkdf_sha256(secret, salt, b"SKDevice"))
        self._send, self._receive = (sk_reader, sk_device) if reader else (sk_device, sk_reader)
        self._send_iv, self._receive_iv = (_READER_IV, _DEVICE_IV) if reader else (_DEVICE_IV, _READER_IV)
        self._sent = self._received = 0

    def encrypt(self, plaintext: bytes) -> bytes:
        """Encrypt the next message of ours; the 16-octet tag is appended."""
        self._sent += 1
        return self._send.encrypt(self._send_iv + self._sent.to_bytes(4, "big"), plaintext, None)

    def decrypt(self, ciphertext: bytes) -> bytes:
        """Decrypt the peer's next message. Raises DecryptionFailed."""
        self._received += 1
        try:
            return self._receive.decrypt(self._receive_iv + self._received.to_bytes(4, "big"), ciphertext, None)
        except (InvalidTag, ValueError):
            raise DecryptionFailed from None


@dataclass(frozen=True, slots=True)
class SessionEstablishment:
    """The reader's first message: its ephemeral key (encoded COSE_Key, without tag 24) and encrypted data."""

    e_reader_key: bytes = field(repr=False)
    data: bytes = field(repr=False)

    def encode(self) -> bytes:
        """Return the message."""
        return (
            b"\xa2" + cbor.tstr("eReaderKey") + cbor.embed(self.e_reader_key) + cbor.tstr("data") + cbor.bstr(self.data)
        )


@dataclass(frozen=True, slots=True)
class SessionData:
    """Any later message: encrypted data, a status, or both."""

    data: bytes | None = field(default=None, repr=False)
    status: int | None = None

    def encode(self) -> bytes:
        """Return the message, with no keys beyond these two: some wallets refuse others."""
        message: dict[str, object] = {}
        if self.data is not None:
            message["data"] = self.data
        if self.status is not None:
            message["status"] = int(self.status)
        return cbor.encode(message)


def parse_session_establishment(message: bytes, limits: cbor.Limits = cbor.DEFAULT_LIMITS) -> SessionEstablishment:
    """Read a SessionEstablishment. Raises Malformed."""
    top = cbor.as_map(cbor.decode(message, limits), "SessionEstablishment")
    return SessionEstablishment(
        cbor.as_embedded(cbor.need(top, "eReaderKey", ""), "eReaderKey"),
        cbor.as_bytes(cbor.need(top, "data", ""), "data"),
    )


def parse_session_data(message: bytes, limits: cbor.Limits = cbor.DEFAULT_LIMITS) -> SessionData:
    """Read a SessionData; other keys are ignored. Raises Malformed, also when it holds neither data nor status."""
    top: Mapping[object, object] = cbor.as_map(cbor.decode(message, limits), "SessionData")
    data, status = top.get("data"), top.get("status")
    if data is None and status is None:
        raise Malformed(MalformedCode.MISSING_KEY, "SessionData", detail="neither data nor status")
    return SessionData(
        None if data is None else cbor.as_bytes(data, "data"), None if status is None else cbor.as_int(status, "status")
    )
