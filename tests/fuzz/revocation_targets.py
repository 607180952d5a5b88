"""Lists of revocation as parsers: they end in a list that can be asked, in one that is refused, or in a reason.

Altered anywhere, a list is refused for its signature; so contents are signed here, by an authority that is trusted, and
what lies behind the signature is reached as well.
"""

from __future__ import annotations

import functools
import json
import zlib
from collections.abc import Callable
from datetime import timedelta

from cryptography import x509

from mdoc_reader.lab import certificates, crls, status_lists
from mdoc_reader.lab.certificates import Credential
from mdoc_reader.lab.status_lists import TokenShape
from mdoc_reader.mdoc import cbor, status
from mdoc_reader.model.reasons import Malformed, MalformedCode, Severity
from mdoc_reader.trust import anchors, crl_form, revocation_list
from mdoc_reader.trust.anchors import TrustAnchors
from mdoc_reader.trust.crl import open_crl
from mdoc_reader.trust.identifier_list import open_identifier_list
from mdoc_reader.trust.revocation import Revocations
from mdoc_reader.trust.revocation_list import OpenedList
from mdoc_reader.trust.status_list import inflate, open_status_list

_AT = certificates.now()
_URI = status_lists.URI


@functools.cache
def _authority() -> Credential:
    return certificates.make_iaca()


@functools.cache
def _signer() -> Credential:
    return status_lists.make_list_signer(_authority())


@functools.cache
def _trusted() -> TrustAnchors:
    return anchors.build([("authority", _authority().der)])[0]


def _held(found: OpenedList) -> None:
    """Hold a list to what whoever opens one relies on; one that is refused counts as refused."""
    errors = any(each.severity is Severity.ERROR for each in found.findings)
    if errors != (found.content is None):
        raise AssertionError("a refused list with content, or one without a reason")
    if len(found.origin.name) > 120 or not found.origin.name.isprintable():
        raise AssertionError("a name that cannot be shown")
    if found.content is None:
        raise Malformed(MalformedCode.UNSUPPORTED)
    again = revocation_list.read(found.compiled or b"")
    _asked(again)
    if again.compile() != found.compiled:
        raise AssertionError("the store's form does not last")


def _asked(one: revocation_list.RevocationList) -> None:
    """Ask at the ends."""
    if one.bits:
        if one.count and (one.status(0) is None or one.status(one.count - 1) is None):
            raise AssertionError("an entry that is not there")
        if one.status(one.count) is not None:
            raise AssertionError("an entry too many")
    else:
        one.entry(b"\x05")
        one.entry(b"")


def _crl(data: bytes) -> None:
    _held(open_crl(data, _trusted(), _AT))


@functools.cache
def _parts() -> tuple[bytes, bytes]:
    parts = crls.parts_of(_crl_example())
    return parts[0], parts[1]


def _crl_content(data: bytes) -> None:
    _crl(crls.signed_again(data, _parts()[1], _authority()))


def _crl_form(data: bytes) -> None:
    form = crl_form.parse(data)
    for serial, _ in crl_form.walk(data, form.entries):
        if not serial:
            raise AssertionError("an entry without a number")


def _status_list(data: bytes) -> None:
    _held(open_status_list(data, _trusted(), _AT))


def _status_content(data: bytes) -> None:
    _status_list(status_lists.cwt(_signer(), data, status_lists.CWT_TYPE))


def _status_json(data: bytes) -> None:
    shape = TokenShape(jwt=True, chain=[_signer().der])
    _status_list(status_lists.sign_jwt(_signer(), data, status_lists.JWT_TYPE, shape))


def _identifier_list(data: bytes) -> None:
    _held(open_identifier_list(data, _trusted(), _AT))


def _identifier_content(data: bytes) -> None:
    _identifier_list(status_lists.cwt(_signer(), data, status_lists.IDENTIFIER_TYPE))


def _inflated(data: bytes) -> None:
    inflate(data)


def _compiled(data: bytes) -> None:
    found = revocation_list.read(data)
    _asked(found)
    Revocations([found])


def _mso_status(data: bytes) -> None:
    found = status.parse(cbor.as_map(cbor.decode(data), "MSO.status"))
    Revocations().of_document(found, None, _AT)


PARSERS: dict[str, Callable[[bytes], object]] = {
    "crl": _crl,
    "crl_content": _crl_content,
    "crl_form": _crl_form,
    "status_list": _status_list,
    "status_content": _status_content,
    "status_json": _status_json,
    "identifier_list": _identifier_list,
    "identifier_content": _identifier_content,
    "inflated": _inflated,
    "compiled": _compiled,
    "mso_status": _mso_status,
}


@functools.cache
def _crl_example() -> bytes:
    place = [x509.UniformResourceIdentifier("https://lab.invalid/iaca.crl")]
    part = x509.IssuingDistributionPoint(place, None, True, False, None, False, False)
    shape = crls.CrlShape(extensions=[(part, True)])
    held = crls.Revoked(77, x509.ReasonFlags.certificate_hold)
    return crls.make_crl(_authority(), [5, 2**150 + 1, held], shape)


def examples() -> list[bytes]:
    """Return valid examples for each of them."""
    moment = int(_AT.timestamp())
    end = moment + int(timedelta(days=30).total_seconds())
    octets = zlib.compress(b"\xc9\x44\xf9")
    claims = {2: _URI, 6: moment, 4: end, 65534: 60}
    listed = {"identifiers": {b"one": {}, b"n" * 30: {"more": 1}}, "aggregation_uri": _URI}
    web = {"sub": _URI, "iat": moment, "exp": end, "status_list": {"bits": 2, "lst": status_lists.base64url(octets)}}
    status_list = status_lists.make_status_list(_signer(), b"\xc9\x44\xf9", 2)
    identifier_list = status_lists.make_identifier_list(_signer(), [b"one", b"two" * 9])
    opened = (
        open_crl(_crl_example(), _trusted(), _AT),
        open_status_list(status_list, _trusted(), _AT),
        open_identifier_list(identifier_list, _trusted(), _AT),
    )
    return [
        _crl_example(),
        crls.to_pem(_crl_example()),
        _parts()[0],
        status_list,
        status_lists.make_status_list(_signer(), b"\xc9\x44\xf9", 2, shape=TokenShape(jwt=True)),
        cbor.encode({**claims, 65533: {"bits": 2, "lst": octets}}),
        json.dumps(web).encode(),
        identifier_list,
        cbor.encode({**claims, 65530: listed}),
        octets,
        *[each.compiled for each in opened if each.compiled is not None],
        cbor.encode({"status_list": {"idx": 5, "uri": _URI}, "identifier_list": {"id": b"x", "uri": _URI}}),
    ]
