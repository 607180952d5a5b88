"""What lists of trusted entities call themselves, their services and their states (ETSI TS 119 602 annexes D to H).

Identifiers are compared without regard to case, as software in use does. Lists of attestation providers do not say for
which document types; for those, and for lists of a type not known here (no identifier is public for issuers of age
attestations), whoever pins the signer may say it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mdoc_reader.trust.list_codes import EntryCode

_ETSI, _EU = "http://uri.etsi.org/19602/", "http://trust.ec.europa.eu/lists/"


@dataclass(frozen=True, slots=True)
class ListType:
    """A kind of list that names issuers. `doctypes` None: it does not say which."""

    name: str
    doctypes: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Service:
    """A service as a list names it: it issues documents, or signs what revokes them."""

    type: ListType
    revocation: bool


PID = ListType("PID", frozenset({"eu.europa.ec.eudi.pid.1"}))
MDL = ListType("mDL", frozenset({"org.iso.18013.5.1.mDL"}))
PUB_EAA = ListType("public attestation", None)
EAA = ListType("attestation", None)

_LIST_NAMES = (
    (_ETSI + "LoTEType/EUPIDProvidersList", PID),
    (_EU + "mDL/mDLProvidersListType", MDL),
    (_ETSI + "LoTEType/EUPubEAAProvidersList", PUB_EAA),
    (_ETSI + "LoTEType/EUEAAProvidersList", EAA),
)
LISTS: Mapping[str, ListType] = {name.casefold(): row for name, row in _LIST_NAMES}
OTHER_LISTS = frozenset(
    (_ETSI + "LoTEType/" + name).casefold()
    for name in (
        "EUWalletProvidersList",
        "EUWRPACProvidersList",
        "EUWRPRCProvidersList",
        "EURegistrarsAndRegistersList",
    )
)
"""Lists of others than issuers: wallets, and who certifies and registers readers."""

_SERVICE_STEMS = (
    (_ETSI + "SvcType/PID", PID),
    (_EU + "mDL/SvcType", MDL),
    (_ETSI + "SvcType/mDL", MDL),
    (_ETSI + "SvcType/PubEAA", PUB_EAA),
    (_ETSI + "SvcType/EAA", EAA),
)
_SERVICES: Mapping[str, Service] = {
    f"{stem}/{what}".casefold(): Service(row, what == "Revocation")
    for stem, row in _SERVICE_STEMS
    for what in ("Issuance", "Revocation")
}

_IN_FORCE = frozenset({"granted", "notified", "recognisedatnationallevel"})
_OVER = frozenset({"withdrawn", "suspended", "revoked", "deprecatedatnationallevel"})


def chosen(doctypes: frozenset[str]) -> ListType:
    """Return the type of a list that says too little, for the document types that a person chose for it."""
    return ListType("chosen", doctypes)


def service_of(identifier: object, own: ListType | None) -> Service | None:
    """Return what a service is on a list of the type `own`; None where it is not one of that list's services.

    Without an identifier it is what the list is for. A list of no known type may have services of any.
    """
    if identifier is None:
        return None if own is None else Service(own, revocation=False)
    if not isinstance(identifier, str):
        return None
    name = identifier.casefold()
    row = _SERVICES.get(name)
    if own is None or (row is not None and row.type is own):
        return row
    if own.name == "chosen" and name.endswith(("/issuance", "/revocation")):
        return Service(own, name.endswith("/revocation"))
    return None


def counts(status: object) -> EntryCode | None:
    """Return None for a service status that is in force, else why the service does not count."""
    word = status.rsplit("/", 1)[-1].casefold() if isinstance(status, str) else ""
    if word in _IN_FORCE:
        return None
    return EntryCode.WITHDRAWN if word in _OVER else EntryCode.STATUS_UNKNOWN
