"""From a certificate to the one that issued it, and on to one we trust (RFC 5280 section 6; ISO 18013-5 Annex B).

One step is a signature, a name, a key identifier, the places both claim, and that the upper one may issue at all. For
documents there is exactly one step, from the signer to an issuing authority; a link certificate may stand for the
authority's root, signed by the root before it. The X.509 library's own verifier knows no brainpool root, so that the
steps are taken here, and its signature check alone is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from mdoc_reader.model.reasons import Severity
from mdoc_reader.model.verdict import Finding
from mdoc_reader.trust import der
from mdoc_reader.trust.codes import AS_WRITTEN, Grading
from mdoc_reader.trust.codes import CertificateCode as Code
from mdoc_reader.trust.facts import CertificateFacts
from mdoc_reader.trust.profile import Kind, judge
from mdoc_reader.trust.profile_rules import LINK_PURPOSES

_HASHES: Mapping[str, hashes.HashAlgorithm] = {
    row.name: row for row in (hashes.SHA256(), hashes.SHA384(), hashes.SHA512())
}
_ECDSA: Mapping[str, ec.ECDSA] = {name: ec.ECDSA(row) for name, row in _HASHES.items()}
# Octets of the hash that goes with a key; the widest keys go with the widest hash there is.
_WANTED = {32: 32, 40: 48, 48: 48, 64: 64, 66: 64}
MIN_RSA_BITS, MAX_RSA_BITS = 2048, 8192
_ROOTS = frozenset({Kind.IACA, Kind.ISSUING_CA, Kind.VICAL_ROOT, Kind.READER_CA, Kind.LOTE_CA})
_TIMES: Mapping[Kind, tuple[Code, Code]] = {
    **dict.fromkeys(Kind, (Code.SIGNER_NOT_YET_VALID, Code.SIGNER_EXPIRED)),
    **dict.fromkeys((*_ROOTS, Kind.VICAL_CA), (Code.ANCHOR_NOT_YET_VALID, Code.ANCHOR_EXPIRED)),
    Kind.LINK: (Code.LINK_NOT_YET_VALID, Code.LINK_EXPIRED),
}


def signature_fault(child: CertificateFacts, parent: CertificateFacts) -> Code | None:
    """Return why the key of `parent` did not sign `child`; None where it did."""
    if not child.algorithms_agree:
        return Code.ALGORITHMS_DIFFER
    return signed_fault(child.signed, child.signature, child.hash_name, parent)


def signed_fault(signed: bytes, signature: bytes, hash_name: str, signer: CertificateFacts) -> Code | None:
    """Return why the key of `signer` did not sign something, a certificate or a revocation list; None where it did.

    `signature` is as X.509 writes it; `hash_name` as in `CertificateFacts`. RSA is PKCS #1 v1.5.
    """
    key = signer.public_key
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            if hash_name not in _ECDSA or signer.curve is None:
                return Code.PATH_ALGORITHM
            key.verify(signature, signed, _ECDSA[hash_name])
        elif isinstance(key, rsa.RSAPublicKey):
            if hash_name not in _HASHES or not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
                return Code.PATH_ALGORITHM
            key.verify(signature, signed, padding.PKCS1v15(), _HASHES[hash_name])
        elif key is None or hash_name:
            return Code.PATH_ALGORITHM
        else:
            key.verify(signature, signed)
    except InvalidSignature:
        return Code.PATH_SIGNATURE
    except (TypeError, ValueError, UnsupportedAlgorithm):
        return Code.PATH_ALGORITHM
    return None


def issuing_fault(parent: CertificateFacts) -> Code | None:
    """Return why a certificate may not issue others; None where it may. One without key usage is not held to it."""
    if not parent.authority:
        return Code.ANCHOR_NOT_AUTHORITY
    if parent.uses is not None and "key_cert_sign" not in parent.uses:
        return Code.AUTHORITY_KEY_USAGE
    return None


def names_issuer(child: CertificateFacts, parent: CertificateFacts) -> Code | None:
    """Return ISSUER_NAME where `child` names another issuer, ISSUER_NAME_ENCODING where it only writes it otherwise.

    A link certificate may carry the new root's name beside that of the old one.
    """
    names = (parent.subject, *parent.other_names) if is_link(parent) else (parent.subject,)
    if child.issuer in names:
        return None
    try:
        return Code.ISSUER_NAME_ENCODING if any(der.alike(child.issuer, name) for name in names) else Code.ISSUER_NAME
    except ValueError:
        return Code.ISSUER_NAME


def signed_by(child: CertificateFacts, parent: CertificateFacts, grading: Grading = AS_WRITTEN) -> Finding | None:
    """Return what keeps `parent` from being the issuer of `child`: its name, what it may do, the signature; or None."""
    name = names_issuer(child, parent)
    fault = name if name is Code.ISSUER_NAME else issuing_fault(parent) or signature_fault(child, parent)
    return None if fault is None else grading.finding(fault)


def step(child: CertificateFacts, parent: CertificateFacts, kind: Kind, grading: Grading = AS_WRITTEN) -> list[Finding]:
    """Return what `child`, taken for `kind`, and the one that signed it say differently. It did sign: ask `signed_by`.

    Key identifiers, the name's encoding, the hash; country and state for issuers' certificates; how long they last.
    """
    found = []
    if names_issuer(child, parent) is Code.ISSUER_NAME_ENCODING:
        found.append(Code.ISSUER_NAME_ENCODING)
    other_key = child.authority_key is not None and child.authority_key != (parent.key_identifier or parent.key_digest)
    if other_key or child.authority_serial not in {None, parent.serial}:
        found.append(Code.AUTHORITY_KEY_MISMATCH)
    wanted = 0 if parent.curve is None else _WANTED.get(parent.curve.octets, 0)
    if child.hash_name in _HASHES and _HASHES[child.hash_name].digest_size < wanted:
        found.append(Code.HASH_TOO_SHORT)
    if kind in _PLACED:
        found += _places(child, parent)
    if child.not_after > parent.not_after:
        found.append(Code.LINK_OUTLIVES_ROOT if kind is Kind.LINK else Code.OUTLIVES_ISSUER)
    return [grading.finding(code, kind.value) for code in found]


_PLACED = frozenset({Kind.DOCUMENT_SIGNER, Kind.OTHER_SIGNER, Kind.LINK})


def _places(child: CertificateFacts, parent: CertificateFacts) -> list[Code]:
    found = []
    if child.country is not None and parent.country is not None:
        if child.country.upper() != parent.country.upper():
            found.append(Code.COUNTRY_MISMATCH)
    elif child.country is not None:  # the child's own lack is found by its profile
        found.append(Code.COUNTRY_MISSING)
    if child.state is not None and parent.state is not None:
        if child.state != parent.state:
            found.append(Code.STATE_MISMATCH)
    elif parent.state is not None:
        found.append(Code.STATE_MISSING)
    return found


def codes_of_times(kind: Kind) -> tuple[Code, Code]:
    """Return the codes of a certificate that is not valid yet, and of one that no longer is."""
    return _TIMES[kind]


def times(facts: CertificateFacts, kind: Kind, at: datetime) -> Code | None:
    """Return why a certificate taken for `kind` does not hold at `at`, or None."""
    early, late = _TIMES[kind]
    return early if at < facts.not_before else late if at > facts.not_after else None


def is_link(facts: CertificateFacts) -> bool:
    """Say whether a certificate links a new root to the one before it."""
    return bool(facts.purposes is not None and facts.purposes & LINK_PURPOSES and facts.authority)


def link(
    new: CertificateFacts, linking: CertificateFacts, old: CertificateFacts, at: datetime, grading: Grading = AS_WRITTEN
) -> tuple[Finding, ...]:
    """Return what keeps a new root from being trusted for the old one's sake, and what is odd about the link.

    The link certificate carries the new root's key and name, and is signed by the old root. No error: it is trusted.
    """
    found = []
    if new.key_digest != linking.key_digest:
        found.append(grading.finding(Code.LINK_OTHER_KEY, Kind.LINK.value))
    if new.subject not in {linking.subject, *linking.other_names}:
        found.append(grading.finding(Code.LINK_OTHER_NAME, Kind.LINK.value))
    found += _linked(linking, old, grading)
    found += root_findings(new, Kind.IACA, grading)
    found += _not_now(((linking, Kind.LINK), (old, Kind.IACA), (new, Kind.IACA)), at, grading)
    return tuple(found)


def _linked(linking: CertificateFacts, old: CertificateFacts, grading: Grading) -> tuple[Finding, ...]:
    fault = signed_by(linking, old, grading)
    return (
        *(() if fault is None else (fault,)),
        *judge(linking, Kind.LINK, grading),
        *step(linking, old, Kind.LINK, grading),
    )


def link_findings(linking: CertificateFacts, old: CertificateFacts, grading: Grading = AS_WRITTEN) -> list[Finding]:
    """Return what keeps a link certificate from standing for a root, whatever the time: only what is an error."""
    return [finding for finding in _linked(linking, old, grading) if finding.severity is Severity.ERROR]


def root_findings(facts: CertificateFacts, kind: Kind, grading: Grading = AS_WRITTEN) -> list[Finding]:
    """Return what is wrong with a root or another authority: its profile, and its own signature where it is a root."""
    found = list(judge(facts, kind, grading))
    fault = signature_fault(facts, facts) if facts.self_issued else None
    if fault is Code.PATH_SIGNATURE:
        # Another root of the same name may have signed it: then its key is identified, and is another.
        ours = facts.authority_key is None or facts.authority_key == (facts.key_identifier or facts.key_digest)
        found.append(grading.finding(Code.ROOT_SIGNATURE if ours else Code.ROOT_NOT_SELF_SIGNED, kind.value))
    elif fault is not None and fault not in {finding.code for finding in found}:
        found.append(grading.finding(fault, kind.value))
    return found


def _not_now(certificates: Sequence[tuple[CertificateFacts, Kind]], at: datetime, grading: Grading) -> list[Finding]:
    found = []
    for facts, kind in certificates:
        code = times(facts, kind, at)
        if code is not None:
            found.append(grading.finding(code, kind.value))
    return found


def walk(
    chain: Sequence[CertificateFacts],
    roots: Sequence[CertificateFacts],
    kinds: tuple[Kind, Kind, Kind],
    at: datetime,
    *,
    longest: int = 3,
    grading: Grading = AS_WRITTEN,
) -> tuple[CertificateFacts | None, tuple[Finding, ...]]:
    """Follow a chain, leaf first, to one of the roots; return the root, or None, and all that is wrong on the way.

    Args:
        chain: the leaf and what stands between it and its root; a root at its end is passed over. Not empty.
        roots: what is trusted. The leaf may itself be among them: then nothing above it counts.
        kinds: what the leaf, a certificate between, and the root are taken for.
        at: the moment it must hold at.
        longest: the most certificates there may be, the root among them.
        grading: what findings weigh.
    """
    leaf_kind, between, root_kind = kinds
    known = {facts.signed: facts for facts in roots}
    found = list(judge(chain[0], leaf_kind, grading))
    found += _not_now([(chain[0], leaf_kind)], at, grading)
    if chain[0].signed in known:
        return chain[0], tuple(found)
    for depth, child in enumerate(chain[: longest - 1]):
        kind = leaf_kind if depth == 0 else between
        tried = [root for root in roots if names_issuer(child, root) is not Code.ISSUER_NAME][:_MAX_ROOTS]
        for root in tried:
            if signed_by(child, root) is None:
                found += step(child, root, kind, grading)
                found += root_findings(root, root_kind, grading)
                found += _not_now([(root, root_kind)], at, grading)
                found += _too_deep(root, depth, grading)
                return root, tuple(found)
        above = chain[depth + 1] if depth + 1 < len(chain) else None
        if above is None or above.self_issued:
            meant = tried or [root for root in roots if child.authority_key in {root.key_identifier, root.key_digest}]
            failure = signed_by(child, meant[0], grading) if meant else None
            return None, (*found, failure or grading.finding(Code.PATH_NOT_ROOTED, kind.value))
        failure = signed_by(child, above, grading)
        if failure is not None:
            return None, (*found, failure)
        found += judge(above, between, grading)
        found += step(child, above, kind, grading)
        found += _not_now([(above, between)], at, grading)
        found += _too_deep(above, depth, grading)
    return None, (*found, grading.finding(Code.PATH_TOO_LONG, leaf_kind.value))


_MAX_ROOTS = 16


def _too_deep(parent: CertificateFacts, between: int, grading: Grading) -> list[Finding]:
    """`between`: how many authorities there are below `parent`."""
    limited = parent.path_length is not None and between > parent.path_length
    return [grading.finding(Code.PATH_LENGTH)] if limited else []
