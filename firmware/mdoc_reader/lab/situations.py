"""Named situations at a reader: whose phone it is, what is on it, how it answers.

Each builds a wallet under a given issuer. The demo, the command line and tests of doors choose from here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from enum import StrEnum

from cryptography.x509.oid import NameOID

from mdoc_reader.lab import certificates, issuer, people
from mdoc_reader.lab.wallet import Wallet
from mdoc_reader.lab.wallet_behaviour import HONEST, Garbage, WalletBehaviour
from mdoc_reader.lab.wallet_response import Holding
from mdoc_reader.mdoc.mso import KeyAuthorizations
from mdoc_reader.mdoc.response import DeviceAuthKind

DEVICE_NAMESPACE = "org.example.lab.device"


class SignedBy(StrEnum):
    """Whose signature is on the MSO."""

    SIGNER = "signer"
    UNKNOWN = "unknown"  # a signer under an authority nobody knows
    IMPOSTOR = "impostor"  # the same, under an authority of the trusted one's name
    FORGER = "forger"  # a trusted signer's certificate beside another key's signature


@dataclass(frozen=True, slots=True)
class Situation:
    """One situation.

    Args:
        name: for the command line.
        about: one line for people.
        behaviour: how the wallet answers; a function where it must be drawn or made first.
        person: who it is, on a day.
        signed_days_ago: when the MSO was signed; it is valid for thirty days.
        signed_by: who signed the MSO.
        key_authorizations: what the device key may sign.
    """

    name: str
    about: str
    behaviour: WalletBehaviour | Callable[[date], WalletBehaviour] = HONEST
    person: Callable[[date], people.Person] = people.adult
    signed_days_ago: int = 1
    signed_by: SignedBy = SignedBy.SIGNER
    key_authorizations: KeyAuthorizations | None = field(default=None, repr=False)

    def wallet(
        self,
        iaca: certificates.Credential,
        signer: certificates.Credential,
        *,
        device_curve: str = "P-256",
        device_auth: DeviceAuthKind | None = None,
    ) -> Wallet:
        """Issue this situation's mDL under `signer`, and return the wallet that holds it.

        `device_auth` replaces the behaviour's. Raises ValueError for a curve that cannot be used.
        """
        today = certificates.now().date()
        device_key = issuer.generate_device_key(device_curve)
        if self.signed_by in {SignedBy.UNKNOWN, SignedBy.IMPOSTOR}:
            name = "Elsewhere Lab IACA" if self.signed_by is SignedBy.UNKNOWN else _common_name(iaca)
            signer = certificates.make_document_signer(certificates.make_iaca(common_name=name))
        elif self.signed_by is SignedBy.FORGER:
            stranger = certificates.make_document_signer(iaca)
            signer = certificates.Credential(stranger.key, signer.certificate)
        document = issuer.issue(
            signer,
            device_key.public_key(),
            people.MDL_DOCTYPE,
            people.mdl_elements(self.person(today), today),
            signed=certificates.now() - timedelta(days=self.signed_days_ago),
            key_authorizations=self.key_authorizations,
            decoys=3,
        )
        behaviour = self.behaviour if isinstance(self.behaviour, WalletBehaviour) else self.behaviour(today)
        if device_auth is not None:
            behaviour = replace(behaviour, device_auth=device_auth)
        return Wallet([Holding(document, device_key)], behaviour)


def _common_name(credential: certificates.Credential) -> str:
    (attribute,) = credential.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(attribute.value)


def _other_face(today: date) -> WalletBehaviour:
    return WalletBehaviour(altered={"portrait": people.portrait(people.stranger(today).look)})


_DEVICE_SIGNED = {DEVICE_NAMESPACE: {"checked_by_phone": True}}
_MAY_SIGN = KeyAuthorizations(namespaces=frozenset({DEVICE_NAMESPACE}))

_ALL = (
    Situation("adult", "A grown-up with a valid mDL."),
    Situation("adult_mac", "The same, proving the device key by MAC.", WalletBehaviour(device_auth=DeviceAuthKind.MAC)),
    Situation("minor", "A sixteen-year-old with a valid mDL.", person=people.minor),
    Situation("altered_portrait", "The portrait was replaced after issuing.", _other_face),
    Situation(
        "altered_age",
        "age_over_18 was changed after issuing.",
        WalletBehaviour(altered={"age_over_18": True}),
        people.minor,
    ),
    Situation("unknown_issuer", "Signed under an authority nobody knows.", signed_by=SignedBy.UNKNOWN),
    Situation(
        "impostor_issuer", "Signed under an authority that only has the right name.", signed_by=SignedBy.IMPOSTOR
    ),
    Situation("forged_issuer", "A trusted signer's certificate, another key's signature.", signed_by=SignedBy.FORGER),
    Situation("expired", "The MSO's thirty days are over.", signed_days_ago=60),
    Situation(
        "wrong_device_key", "Signed by a key the document was not issued to.", WalletBehaviour(wrong_device_key=True)
    ),
    Situation("replayed", "The device's signature belongs to another session.", WalletBehaviour(wrong_transcript=True)),
    Situation("no_device_auth", "No proof of the device key at all.", WalletBehaviour(no_device_auth=True)),
    Situation("declined", "The person said no.", WalletBehaviour(decline=True)),
    Situation(
        "partial",
        "The person shares no age and no portrait.",
        WalletBehaviour(withhold=frozenset({"portrait", *(f"age_over_{age:02d}" for age in people.AGES)})),
    ),
    Situation(
        "extra_elements",
        "Returns a document number and a city that nobody asked for.",
        WalletBehaviour(extra=("document_number", "resident_city")),
    ),
    Situation(
        "duplicate_element",
        "Returns one element twice.",
        WalletBehaviour(duplicate=frozenset({"portrait", "age_over_18"})),
    ),
    Situation(
        "wrong_doctype",
        "The Document claims another docType than its MSO.",
        WalletBehaviour(claimed_doctype="org.example.other"),
    ),
    Situation(
        "device_signed",
        "The phone signs an element of its own, as its key may.",
        WalletBehaviour(device_signed=_DEVICE_SIGNED),
        key_authorizations=_MAY_SIGN,
    ),
    Situation(
        "device_signed_unauthorised",
        "The phone signs an element its key may not sign.",
        WalletBehaviour(device_signed=_DEVICE_SIGNED),
    ),
    Situation("general_error", "The wallet answers with a general error.", WalletBehaviour(response_status=10)),
    Situation("garbage", "Random bytes, well encrypted.", WalletBehaviour(garbage=Garbage.ENCRYPTED_NOISE)),
    Situation("truncated", "Half a response, well encrypted.", WalletBehaviour(garbage=Garbage.ENCRYPTED_TRUNCATED)),
    Situation("not_encrypted", "The response in the clear.", WalletBehaviour(garbage=Garbage.NOT_ENCRYPTED)),
    Situation("not_a_message", "Random bytes in place of a message.", WalletBehaviour(garbage=Garbage.NOT_A_MESSAGE)),
    Situation(
        "wrong_session_key", "Encrypted under keys the reader does not have.", WalletBehaviour(wrong_session_key=True)
    ),
)
SITUATIONS: Mapping[str, Situation] = {situation.name: situation for situation in _ALL}
