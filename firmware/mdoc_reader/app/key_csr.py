"""A certificate signing request, signed where the reader's key is (RFC 2986; ISO 18013-5 Annex B, reader certificate).

The X.509 library signs through an object that looks like one of its private keys. This one has nothing but the
signer's port behind it, so that a key in a token makes its request there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, KeySerializationEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from mdoc_reader.mdoc.keys import curve_of
from mdoc_reader.model.signer import ReaderSigner

READER_AUTHENTICATION = x509.ObjectIdentifier("1.0.18013.5.1.6")


_HASHES: Mapping[int, hashes.SHA256 | hashes.SHA384 | hashes.SHA512] = {
    32: hashes.SHA256(),
    48: hashes.SHA384(),
    64: hashes.SHA512(),
    66: hashes.SHA512(),
}


class CsrError(Exception):
    """A request that cannot be made. The text says why, for people."""


class _KeyElsewhere(ec.EllipticCurvePrivateKey):
    """What the X.509 library takes for a private key: it can sign, and no more."""

    def __init__(self, signer: ReaderSigner, public: ec.EllipticCurvePublicKey) -> None:
        self._signer = signer
        self._public = public
        self._row = curve_of(public)

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._public

    @property
    def curve(self) -> ec.EllipticCurve:
        return self._public.curve

    @property
    def key_size(self) -> int:
        return self._public.key_size

    def sign(self, data: object, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        asked = signature_algorithm.algorithm
        if isinstance(asked, Prehashed) or asked.name != _HASHES[self._row.octets].name:
            raise CsrError("the key signs with its curve's own hash alone")
        raw = self._signer.sign(bytes(data))  # type: ignore[call-overload]
        octets = self._row.octets
        return encode_dss_signature(int.from_bytes(raw[:octets], "big"), int.from_bytes(raw[octets:], "big"))

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> NoReturn:
        raise CsrError("this key only signs")

    def private_numbers(self) -> NoReturn:
        raise CsrError("this key only signs")

    def private_bytes(
        self,
        encoding: Encoding,
        format: PrivateFormat,  # noqa: A002 -- the library's word
        encryption_algorithm: KeySerializationEncryption,
    ) -> NoReturn:
        raise CsrError("this key only signs")

    def __copy__(self) -> _KeyElsewhere:
        return self

    def __deepcopy__(self, memo: object) -> _KeyElsewhere:
        return self


def make_csr(signer: ReaderSigner, subject: str) -> bytes:
    """Return a request as PEM, for digital signatures and reader authentication. Raises CsrError, SignerError.

    `subject` is an RFC 4514 name such as `CN=Door 3,O=Example,C=UT`; the common name must be there.
    """
    try:
        name = x509.Name.from_rfc4514_string(subject)
    except ValueError:
        raise CsrError("the subject is no name such as 'CN=Door 3,O=Example,C=UT'") from None
    if not name.get_attributes_for_oid(NameOID.COMMON_NAME):
        raise CsrError("the subject has no common name (CN)")
    public = signer.public_key
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise CsrError("a request is made for ECDSA keys alone")
    key = _KeyElsewhere(signer, public)
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    builder = builder.add_extension(usage, critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([READER_AUTHENTICATION]), critical=True)
    return builder.sign(key, _HASHES[curve_of(public).octets]).public_bytes(Encoding.PEM)
