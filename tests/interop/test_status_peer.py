"""@sd-jwt/jwt-status-list makes lists that we take, and reads those that the lab makes."""

from __future__ import annotations

import random

import pytest
import status_peer

from mdoc_reader.lab import certificates, status_lists
from mdoc_reader.lab.status_lists import URI, TokenShape, octets_of
from mdoc_reader.model.reasons import Severity
from mdoc_reader.trust import anchors
from mdoc_reader.trust.revocation_codes import RevocationListCode
from mdoc_reader.trust.status_list import open_status_list

NOW = certificates.now()


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    status_peer.install()


def values_of(bits: int) -> list[int]:
    chance = random.Random(bits)
    return [chance.randrange(1 << bits) for _ in range(8 * 125)]


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_its_lists_are_taken(bits: int) -> None:
    iaca = certificates.make_iaca()
    trusted = anchors.build([("iaca", iaca.der)])[0]
    issued = int(NOW.timestamp()) - 60
    claims = {"iss": "https://lab.invalid", "sub": URI, "iat": issued, "exp": issued + 3600, "ttl": 600}
    token = status_peer.make(status_lists.make_list_signer(iaca), values_of(bits), bits, claims)
    found = open_status_list(token, trusted, NOW, uri=URI)
    assert found.findings == ()
    assert found.content is not None
    assert [found.content.status(place) for place in range(found.count)] == values_of(bits)
    head, payload, proof = token.split(b".")
    altered = b".".join((head, payload, proof[:-4] + (b"AAAA" if proof[-4:] != b"AAAA" else b"BBBB")))
    codes = {each.code for each in open_status_list(altered, trusted, NOW).findings if each.severity is Severity.ERROR}
    assert codes == {RevocationListCode.SIGNATURE}


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_it_reads_the_labs(bits: int) -> None:
    signer = status_lists.make_list_signer(certificates.make_iaca())
    octets = octets_of(values_of(bits), bits)
    token = status_lists.make_status_list(signer, octets, bits, shape=TokenShape(jwt=True))
    assert status_peer.read(token, list(range(1000))) == values_of(bits)
