"""Lists of trust as parsers: whatever they hold, they end in a list that says what is wrong with it, or are refused.

A list altered anywhere is refused for its signature before its entries are read. So that what lies behind the signature
is reached as well, each content is signed here, by somebody who is pinned.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from datetime import UTC, datetime

import certificate_targets

from mdoc_reader.lab import certificates
from mdoc_reader.lab import lote as lab_lote
from mdoc_reader.lab import vical as lab_vical
from mdoc_reader.mdoc import cbor
from mdoc_reader.model.reasons import Malformed, MalformedCode, Severity
from mdoc_reader.trust import jws, strict_json
from mdoc_reader.trust.lists import ListKind, SignedList
from mdoc_reader.trust.lote import read_lote
from mdoc_reader.trust.sniff import kind_of
from mdoc_reader.trust.trusted_list import open_trusted_list
from mdoc_reader.trust.vical import open_vical

_AT = datetime.now(UTC)
_MOST = 4 * 1024 * 1024


@functools.cache
def _provider() -> lab_vical.Provider:
    return lab_vical.make_provider()


@functools.cache
def _operator() -> lab_lote.Operator:
    return lab_lote.make_operator()


def _held(found: SignedList) -> None:
    """Hold a list to what whoever opens one relies on."""
    if found.entries and any(each.severity is Severity.ERROR for each in found.findings):
        raise AssertionError("entries of a list that is refused")
    for name in (found.origin.name, *(each.subject for each in (*found.entries, *found.skipped))):
        if len(name) > 120 or not name.isprintable():
            raise AssertionError("a name that cannot be shown")


def _vical(data: bytes) -> None:
    _held(open_vical(data, [_provider().root.der], _AT))


def _vical_content(data: bytes) -> None:
    _vical(lab_vical.sign(_provider(), data))


def _lote(data: bytes) -> None:
    _held(read_lote(data, [_operator().certificate], _AT).issuers)


def _lote_content(data: bytes) -> None:
    _lote(lab_lote.sign(_operator(), data))


def _jws(data: bytes) -> None:
    jws.chain(jws.parse(data, "jws", _MOST), "jws")


def _sniff(data: bytes) -> None:
    if kind_of(data) is ListKind.UNKNOWN:
        raise Malformed(MalformedCode.UNSUPPORTED)


PARSERS: dict[str, Callable[[bytes], object]] = {
    "vical": _vical,
    "vical_content": _vical_content,
    "lote": _lote,
    "lote_content": _lote_content,
    "jws": _jws,
    "json": lambda data: strict_json.decode(data, "json"),
    "trusted_list": lambda data: open_trusted_list(data, [], _AT),
    "sniff": _sniff,
    **certificate_targets.PARSERS,
}


def examples() -> list[bytes]:
    """Return valid examples for each of them."""
    issuer = certificates.make_iaca()
    vical = lab_vical.content([lab_vical.entry(issuer), lab_vical.entry(issuer, ("eu.europa.ec.eudi.pid.1",))])
    services = [
        lab_lote.service([issuer.der], ServiceStatus=lab_lote.NOTIFIED),
        lab_lote.service([issuer.der], lab_lote.PID_SERVICE + "Revocation"),
    ]
    lote = json.dumps(lab_lote.content([lab_lote.entity(services)])).encode()
    return [
        lab_vical.sign(_provider(), vical),
        lab_vical.sign(_provider(), vical, lab_vical.Wrap(tagged=True, packed=True)),
        lab_vical.sign(_provider(), vical, lab_vical.Wrap(protected_chain=True)),
        cbor.encode(vical),
        lab_lote.sign(_operator(), lote),
        lote,
        b'{"a":[1,2.5e3,null,true,"\\u0041"]}',
        b"<?xml version='1.0'?><TrustServiceStatusList/>",
        *certificate_targets.examples(),
    ]
