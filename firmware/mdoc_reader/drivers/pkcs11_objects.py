"""A signing key among a token's objects: found by label or id, its public half read, or made (OASIS PKCS#11 2.40)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from cryptography.hazmat.primitives.asymmetric import ec
from pkcs11.constants import Attribute, MechanismFlag, ObjectClass
from pkcs11.exceptions import MultipleObjectsReturned, NoSuchKey, PKCS11Error
from pkcs11.mechanisms import KeyType, Mechanism
from pkcs11.types import Object, Session, SignMixin
from pkcs11.util.ec import encode_named_curve_parameters

from mdoc_reader.drivers.key_curves import CURVES, SigningCurve
from mdoc_reader.model.signer import SignerError, SignerTrouble

_BY_PARAMETERS: Mapping[bytes, SigningCurve] = {encode_named_curve_parameters(row.oid): row for row in CURVES.values()}
_MAX_POINT = 256


@dataclass(frozen=True, slots=True)
class KeyName:
    """What a key answers to: a label, an id, or both."""

    label: str | None
    id: bytes | None

    def sought(self, kind: ObjectClass) -> dict[Attribute, object]:
        """Return the attributes to look for."""
        wanted: dict[Attribute, object] = {Attribute.CLASS: kind, Attribute.KEY_TYPE: KeyType.EC}
        if self.label is not None:
            wanted[Attribute.LABEL] = self.label
        if self.id is not None:
            wanted[Attribute.ID] = self.id
        return wanted

    def __str__(self) -> str:
        """Return it for people."""
        return " ".join(
            ([repr(self.label)] if self.label is not None else []) + ([f"id {self.id.hex()}"] if self.id else [])
        )


def _only(session: Session, wanted: dict[Attribute, object]) -> Object:
    found = list(session.get_objects(wanted))
    if not found:
        raise NoSuchKey
    if len(found) > 1:
        raise MultipleObjectsReturned
    return found[0]


def says(item: Object, attribute: Attribute) -> object:
    """Return an attribute, or None where the token keeps it to itself or does not know it."""
    try:
        return cast("object", item[attribute])
    except PKCS11Error:
        return None


def find_private(session: Session, name: KeyName) -> SignMixin:
    """Find the private key, and see that it can sign here. Raises SignerError UNSUITABLE; PKCS11Error."""
    key = _only(session, name.sought(ObjectClass.PRIVATE_KEY))
    if not isinstance(key, SignMixin):
        raise SignerError(SignerTrouble.UNSUITABLE, f"{name} is not for signing")
    if says(key, Attribute.ALWAYS_AUTHENTICATE) is True:
        raise SignerError(SignerTrouble.UNSUITABLE, f"{name} asks for its PIN at every signature")
    return key


def find_public(session: Session, name: KeyName) -> tuple[SigningCurve, ec.EllipticCurvePublicKey]:
    """Read the public half that lies beside the private key. Raises SignerError; PKCS11Error."""
    try:
        item = _only(session, name.sought(ObjectClass.PUBLIC_KEY))
    except NoSuchKey:
        raise SignerError(SignerTrouble.NO_KEY, f"the token has no public key {name} beside the private one") from None
    return public_half(item, name)


def public_half(item: Object, name: KeyName) -> tuple[SigningCurve, ec.EllipticCurvePublicKey]:
    """Read a public key object. Raises SignerError UNSUITABLE."""
    parameters, point = says(item, Attribute.EC_PARAMS), says(item, Attribute.EC_POINT)
    row = _BY_PARAMETERS.get(parameters) if isinstance(parameters, bytes) else None
    if row is None:
        raise SignerError(SignerTrouble.UNSUITABLE, f"{name} is on none of the curves {', '.join(CURVES)}")
    if not isinstance(point, bytes) or len(point) > _MAX_POINT:
        raise SignerError(SignerTrouble.UNSUITABLE, f"{name}: the token does not give its public point")
    # The standard wraps the point in an OCTET STRING; some tokens leave that away.
    length = 1 + 2 * row.octets
    wrapped = bytes((0x04, *((0x81,) if length > 127 else ()), length))
    if point.startswith(wrapped) and len(point) == len(wrapped) + length:
        point = point[len(wrapped) :]
    try:
        return row, ec.EllipticCurvePublicKey.from_encoded_point(row.curve, point)
    except ValueError:
        raise SignerError(SignerTrouble.UNSUITABLE, f"{name}: its public point is not on its curve") from None


def make_pair(session: Session, name: KeyName, row: SigningCurve) -> None:
    """Make a key in the token: for signatures alone, and never to leave it. Raises SignerError EXISTS; PKCS11Error."""
    for kind in (ObjectClass.PRIVATE_KEY, ObjectClass.PUBLIC_KEY):
        if any(True for _ in session.get_objects(name.sought(kind))):
            raise SignerError(SignerTrouble.EXISTS, f"the token has a key {name}")
    parameters = {Attribute.EC_PARAMS: encode_named_curve_parameters(row.oid)}
    domain = session.create_domain_parameters(KeyType.EC, parameters, local=True)
    domain.generate_keypair(
        label=name.label or "reader",
        id=name.id or b"\x01",
        store=True,
        mechanism=Mechanism.EC_KEY_PAIR_GEN,
        capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
        private_template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False, Attribute.PRIVATE: True},
    )


def unprotected(key: Object) -> bool:
    """Say whether the key could be taken out of its token, as far as the token tells."""
    return says(key, Attribute.EXTRACTABLE) is True or says(key, Attribute.SENSITIVE) is False
