"""The port to the reader's own key: who signs requests, and why it cannot (ISO 18013-5 clause 9.1.4).

The private key is where the driver keeps it: in a token, or in memory of the process that owns the devices. Nothing
here, and nothing that travels to the network's process, can carry it: what leaves is a public key, a certificate chain
and signatures. This port is among the shared words and not beside its caller, `mdoc.request`, because drivers know
nothing of that language.
"""

from __future__ import annotations

from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519

from mdoc_reader.model.reasons import ReasonCode

SignerPublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey


class SignerTrouble(ReasonCode):
    """Why the reader's key cannot be used."""

    DISABLED = "key_disabled", "The configuration gives the reader no key."
    NO_KEY = "key_missing", "The reader's key is not where the configuration says."
    EXISTS = "key_exists", "There is a key already, and it is not overwritten."
    UNSAFE = "key_unsafe", "The reader's key, or what unlocks it, is not protected well enough."
    NO_SECRET = "key_no_secret", "The PIN or passphrase of the reader's key cannot be read."
    WRONG_SECRET = "key_wrong_secret", "The PIN or passphrase of the reader's key is wrong."
    LOCKED = "key_locked", "The token of the reader's key takes no PIN any more, or only one more try."
    NO_MODULE = "key_no_module", "The PKCS#11 module of the reader's key cannot be loaded."
    NO_TOKEN = "key_no_token", "The token that holds the reader's key is not there."
    UNSUITABLE = "key_unsuitable", "The reader's key is not of a kind that can sign requests."
    BUSY = "key_busy", "The token of the reader's key is still at work on something else."
    FAILED = "key_failed", "The reader's key did not sign."


class SignerError(Exception):
    """The reader's key cannot be opened or used."""

    def __init__(self, code: SignerTrouble, detail: str = "") -> None:
        """Keep the reason; `detail` is for the log and for people at the device, and never holds a secret."""
        self.code = code
        self.detail = detail[:300]
        super().__init__(code, self.detail)

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.code}: {self.detail or self.code.log}"


class ReaderSigner(Protocol):
    """The reader's key, open and ready. Every method may be called from any thread."""

    words: str
    """What and where it is, for people. No secret."""
    waits: bool
    """Whether `sign` waits for a device, so that it belongs in a thread; otherwise it takes under a millisecond."""

    @property
    def public_key(self) -> SignerPublicKey:
        """The public half."""

    def sign(self, message: bytes) -> bytes:
        """Sign with the curve's own algorithm: ECDSA as r || s at full length with the curve's hash, or EdDSA.

        P-256 and brainpoolP256r1 go with SHA-256, the 384-bit curves with SHA-384, P-521 and brainpoolP512r1 with
        SHA-512 (RFC 9053). Bounded in time as far as the device keeps to it. Raises SignerError.
        """

    def prepare(self) -> None:
        """Make the next signature quick: reopen what went away since. For idle moments. Raises SignerError."""

    def close(self) -> None:
        """Let go of the key. Never raises."""
