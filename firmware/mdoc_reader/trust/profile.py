"""The rules for a certificate by itself, one row each, and what lays them over a profile (ISO 18013-5 Annex B).

A rule says for which profiles it is asked at all, and when a certificate breaks it. Rules come in the order in which
somebody who repairs a certificate would look. How certificates hang together is in `path`; no rule here asks the time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import rsa

from mdoc_reader.model.verdict import Finding
from mdoc_reader.trust.codes import AS_WRITTEN, Grading
from mdoc_reader.trust.codes import CertificateCode as Code
from mdoc_reader.trust.facts import CertificateFacts
from mdoc_reader.trust.profile_rules import PROFILES, Kind, Profile

_BASIC_CONSTRAINTS, _KEY_USAGE, _EXTENDED = "2.5.29.19", "2.5.29.15", "2.5.29.37"
_NEVER_CRITICAL = frozenset({"2.5.29.14", "2.5.29.35", "2.5.29.18", "2.5.29.31", "1.3.6.1.5.5.7.1.1"})
_MAX_SERIAL_OCTETS = 20

__all__ = ["RULES", "Kind", "Rule", "judge"]


@dataclass(frozen=True, slots=True)
class Rule:
    """`broken` is asked of certificates whose profile `applies`."""

    code: Code
    broken: Callable[[CertificateFacts, Profile], object]
    applies: Callable[[Profile], object] = lambda _: True


def _key_unsupported(facts: CertificateFacts, profile: Profile) -> bool:
    return facts.curve is None and not (profile.rsa and isinstance(facts.public_key, rsa.RSAPublicKey))


def _country_format(facts: CertificateFacts, _: Profile) -> bool:
    text = facts.country
    return text is not None and not (len(text) == 2 and text.isascii() and text.isalpha() and text.isupper())


def _uses_more(facts: CertificateFacts, profile: Profile) -> object:
    return facts.uses is not None and facts.uses - profile.uses - profile.more_uses


def _uses_wrong(facts: CertificateFacts, profile: Profile) -> bool:
    """Not for signing, or for issuing as well: the second would let a signer make signers."""
    uses = facts.uses
    return uses is not None and (not uses & profile.uses or bool(uses & {"key_cert_sign", "crl_sign"}))


def _uses_lack(facts: CertificateFacts, profile: Profile) -> bool:
    return facts.uses is not None and not facts.uses & profile.uses


def _purpose_other(facts: CertificateFacts, profile: Profile) -> bool:
    purposes = facts.purposes
    if purposes is None:
        return False
    if profile.purposes is not None:
        return not purposes & profile.purposes
    return bool(purposes & profile.others_purposes) and purposes <= profile.others_purposes


def _crl_signer(profile: Profile) -> bool:
    return "crl_sign" in profile.uses


def _plain_signer(profile: Profile) -> bool:
    return not profile.authority and not _crl_signer(profile)


def _authority(profile: Profile) -> bool:
    return profile.authority


RULES: tuple[Rule, ...] = (
    # What any certificate is made of
    Rule(Code.CERTIFICATE_VERSION, lambda c, _: c.version < 3),
    Rule(Code.SERIAL_NOT_POSITIVE, lambda c, _: c.serial <= 0),
    Rule(Code.SERIAL_TOO_LONG, lambda c, _: c.serial.bit_length() > 8 * _MAX_SERIAL_OCTETS - 1),
    Rule(Code.CERTIFICATE_TIMES, lambda c, _: c.not_after < c.not_before),
    Rule(Code.KEY_UNSUPPORTED, _key_unsupported),
    Rule(
        Code.KEY_NOT_FOR_AUTHORITY,
        lambda c, _: c.curve is not None and c.curve.ec is None,
        lambda p: not p.edwards,
    ),
    Rule(Code.CRITICAL_EXTENSION, lambda c, p: c.unknown_critical and not (p.strict and c.prohibited)),
    Rule(Code.PROHIBITED_EXTENSION, lambda c, _: c.prohibited, lambda p: p.strict),
    # Authorities and those that are none
    Rule(Code.SIGNER_IS_AUTHORITY, lambda c, _: c.authority, _plain_signer),
    Rule(Code.ANCHOR_NOT_AUTHORITY, lambda c, _: not c.authority, _authority),
    Rule(
        Code.CONSTRAINTS_NOT_CRITICAL,
        lambda c, _: c.authority is not None and _BASIC_CONSTRAINTS not in c.critical,
        _authority,
    ),
    Rule(Code.PATH_LENGTH_MISSING, lambda c, _: c.path_length is None, lambda p: p.path_length is not None),
    Rule(Code.PATH_LENGTH_NOT_ZERO, lambda c, _: c.path_length, lambda p: p.path_length == 0),
    Rule(Code.ROOT_NOT_SELF_SIGNED, lambda c, _: not c.self_issued, lambda p: p.self_signed),
    # Key usage and purposes
    Rule(Code.KEY_USAGE_MISSING, lambda c, _: c.uses is None, lambda p: not _crl_signer(p)),
    Rule(Code.CRL_SIGNER_KEY_USAGE, lambda c, _: c.uses is None or "crl_sign" not in c.uses, _crl_signer),
    Rule(Code.SIGNER_KEY_USAGE, _uses_wrong, _plain_signer),
    Rule(Code.AUTHORITY_KEY_USAGE, _uses_lack, _authority),
    Rule(
        Code.CRL_SIGN_MISSING,
        lambda c, _: c.uses is not None and "crl_sign" not in c.uses,
        lambda p: p.authority and p.revokes,
    ),
    Rule(Code.SIGNER_KEY_USAGE_MORE, lambda c, p: not _uses_wrong(c, p) and _uses_more(c, p), _plain_signer),
    Rule(Code.AUTHORITY_KEY_USAGE_MORE, _uses_more, _authority),
    Rule(Code.KEY_USAGE_NOT_CRITICAL, lambda c, _: c.uses is not None and _KEY_USAGE not in c.critical),
    Rule(
        Code.SIGNER_EKU_MISSING,
        lambda c, _: c.purposes is None,
        lambda p: p.purpose_needed and not p.authority,
    ),
    Rule(Code.LINK_EKU_MISSING, lambda c, _: c.purposes is None, lambda p: p.purpose_needed and p.authority),
    Rule(Code.SIGNER_EKU_OTHER, _purpose_other, lambda p: not p.authority),
    Rule(Code.AUTHORITY_EKU_OTHER, _purpose_other, _authority),
    Rule(
        Code.SIGNER_EKU_NOT_CRITICAL,
        lambda c, _: c.purposes is not None and _EXTENDED not in c.critical,
        lambda p: p.purpose_critical is True,
    ),
    Rule(Code.SIGNER_EKU_CRITICAL, lambda c, _: _EXTENDED in c.critical, lambda p: p.purpose_critical is False),
    # How long
    Rule(
        Code.SIGNER_TOO_LONG,
        lambda c, p: p.longest is not None and c.not_after - c.not_before > p.longest,
        lambda p: not p.authority,
    ),
    Rule(
        Code.AUTHORITY_TOO_LONG,
        lambda c, p: p.longest is not None and c.not_after - c.not_before > p.longest,
        _authority,
    ),
    # Names
    Rule(Code.COUNTRY_MISSING, lambda c, _: c.country is None, lambda p: p.country),
    Rule(Code.COUNTRY_FORMAT, _country_format),
    Rule(Code.COMMON_NAME_MISSING, lambda c, _: c.common_name is None),
    Rule(Code.NAME_REPEATS, lambda c, _: c.repeats),
    # Key identifiers
    Rule(
        Code.AUTHORITY_KEY_MISSING,
        lambda c, _: c.authority_key is None and not c.self_issued,
        lambda p: not p.self_signed and p.strict,
    ),
    Rule(Code.SUBJECT_KEY_MISSING, lambda c, _: c.key_identifier is None, lambda p: p.strict),
    Rule(
        Code.SUBJECT_KEY_MISMATCH,
        lambda c, _: c.key_identifier is not None and c.key_identifier != c.key_digest,
        lambda p: p.strict,
    ),
    # Where to ask
    Rule(Code.ISSUER_ALT_NAME_MISSING, lambda c, _: c.contacts is None, lambda p: p.contact),
    Rule(Code.ISSUER_ALT_NAME_KIND, lambda c, _: c.contacts and not {"mail", "web"} & set(c.contacts)),
    Rule(Code.CRL_POINT_MISSING, lambda c, _: c.crl_points is None, lambda p: p.crl_point),
    Rule(Code.CRL_POINT_KIND, lambda c, _: c.crl_points is not None and not c.crl_points),
    Rule(Code.CRL_POINT_DIVIDED, lambda c, _: c.crl_divided),
    Rule(Code.WRONGLY_CRITICAL, lambda c, _: c.critical & _NEVER_CRITICAL),
)

_BY_KIND: Mapping[Kind, tuple[Rule, ...]] = {
    kind: tuple(rule for rule in RULES if rule.applies(profile)) for kind, profile in PROFILES.items()
}


def judge(facts: CertificateFacts, kind: Kind, grading: Grading = AS_WRITTEN) -> tuple[Finding, ...]:
    """Return what is wrong with a certificate taken for `kind`: by itself, at any time. `where` names the kind."""
    profile = PROFILES[kind]
    return tuple([grading.finding(rule.code, kind.value) for rule in _BY_KIND[kind] if rule.broken(facts, profile)])
