"""Revocation services of European lists: no anchors, and the lists about documents that lead to them are taken."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from mdoc_reader.lab import certificates, lote, status_lists
from mdoc_reader.lab.certificates import now
from mdoc_reader.mdoc.status import Status, StatusListInfo
from mdoc_reader.trust import store
from mdoc_reader.trust.importer import Orders, Report, import_files
from mdoc_reader.trust.revocation import Revocations
from mdoc_reader.trust.revocation import Status as Known

AT = now()
OPERATOR = lote.make_operator()
ISSUER, SERVICE = certificates.make_iaca(), certificates.make_iaca(common_name="Status Service")
SIGNER = status_lists.make_list_signer(SERVICE)


def listed(*services: bytes, number: int) -> bytes:
    rows = [lote.service([ISSUER.der])]
    if services:
        rows.append(lote.service(list(services), lote.PID_SERVICE + "Revocation"))
    content = lote.content([lote.entity(rows)], LoTESequenceNumber=number)
    return lote.sign(OPERATOR, content)


def brought(folder: Path, *files: bytes) -> list[Report]:
    named = [(f"file {number}", data) for number, data in enumerate(files)]
    return list(import_files(folder, named, Orders(AT, (("operator", OPERATOR.issuer),))))


LISTS = {
    "by one it certified": status_lists.make_status_list(SIGNER, b"\x01", 1),
    "identifiers": status_lists.make_identifier_list(SIGNER, [b"one"]),
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_taken_that_leads_to_a_service_of_a_list_that_is_held(tmp_path: Path, name: str) -> None:
    (alone,) = brought(tmp_path, LISTS[name])
    assert not alone.accepted
    _, without = brought(tmp_path, listed(number=1), LISTS[name])
    assert not without.accepted
    with_service, taken = brought(tmp_path, listed(SERVICE.der, number=2), LISTS[name])
    assert (with_service.accepted, with_service.anchors, taken.accepted) == (True, 1, True)
    believed = store.load(tmp_path)
    assert [anchor.der for anchor in believed.anchors.anchors] == [ISSUER.der], "a service is no anchor"
    assert len(believed.revocations) == 1
    # And by a later import, from what the store holds alone.
    (again,) = brought(tmp_path, status_lists.make_status_list(SIGNER, b"\x00", 1, shape=LATER))
    assert again.accepted
    brought(tmp_path, listed(number=3))
    (gone,) = brought(tmp_path, status_lists.make_status_list(SIGNER, b"\x00", 1, shape=LATEST))
    assert not gone.accepted, "a service that is listed no more vouches for nothing new"


LATER = status_lists.TokenShape(issued=AT - timedelta(minutes=2))
LATEST = status_lists.TokenShape(issued=AT - timedelta(minutes=1))


def test_it_tells_of_documents_that_name_the_service_and_of_no_others(tmp_path: Path) -> None:
    brought(tmp_path, listed(SERVICE.der, number=1), LISTS["by one it certified"])
    believed = store.load(tmp_path)
    asked = Revocations(believed.revocations)
    (anchor,) = believed.anchors.anchors
    naming = Status(StatusListInfo(0, status_lists.URI, SERVICE.der))
    silent = Status(StatusListInfo(0, status_lists.URI))
    assert asked.of_document(naming, anchor, AT).status is Known.REVOKED
    assert asked.of_document(silent, anchor, AT).status is Known.UNKNOWN
