"""Every single bit of a small response flipped: refused, or in one of a few listed places that nothing covers.

The response is that of a wallet this project did not write.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import auth0
import pytest

from mdoc_reader.mdoc import cose, request, response
from mdoc_reader.model.reasons import Malformed
from mdoc_reader.model.verdict import ResponseVerdict, Validity
from mdoc_reader.trust import anchors
from mdoc_reader.verification.certificate import SignerCache
from mdoc_reader.verification.document import Evidence
from mdoc_reader.verification.verify import requested_elements, verify_response


def judge(presented: auth0.Presented, data: bytes) -> ResponseVerdict:
    trusted, _ = anchors.build([("iaca", presented.iaca_der)])
    asked = requested_elements(request.parse_device_request(presented.request))
    evidence = Evidence(
        presented.transcript, datetime.now(UTC), SignerCache(trusted), presented.reader_key, asked, (18,)
    )
    return verify_response(response.parse(data), evidence)


def uncovered(data: bytes) -> dict[str, set[int]]:
    """Return the octets that no signature, MAC or digest covers and whose change means nothing, with the reason."""
    kid = b"\x04\xf7\x18\x21"  # `kid: undefined`, then the label of x5chain
    kids = [at for at in range(len(data)) if data.startswith(kid, at)]
    last_kid = data.rindex(b"\xa1\x04\xf7") + 1
    (document,) = response.parse(data).documents
    certificate = cose.certificate_chain(document.issuer_auth, "")[0][0]
    end = data.index(certificate) + len(certificate)
    # signatureValue of the certificate: BIT STRING of 0x47 to 0x49 octets, whose first counts unused bits.
    bits = next(at for at in range(end - 76, end - 68) if data[at] == 0x03 and data[at + 1] == end - at - 2) + 2
    return {
        "minor digit of the version": {data.index(b"version") + 10},
        "key identifier in issuerAuth's unprotected header": {kids[0], kids[0] + 1},
        "key identifier in deviceAuth's unprotected header": {last_kid, last_kid + 1},
        "unused bits of the certificate's signature": {bits},
        "status of the response": {len(data) - 1},
    }


@pytest.mark.timeout(180)
@pytest.mark.parametrize("kind", ["signature", "mac"])
def test_every_bit(auth0_response: Callable[[auth0.Kind], auth0.Presented], kind: auth0.Kind) -> None:
    presented = auth0_response(kind)
    data = presented.response
    whole = judge(presented, data)
    assert whole.validity is Validity.VALID
    accepted: dict[int, int] = {}
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << (bit % 8)
        try:
            verdict = judge(presented, bytes(flipped))
        except Malformed:
            continue
        if verdict.validity is not Validity.VALID:
            continue
        accepted[bit // 8] = accepted.get(bit // 8, 0) + 1
        assert verdict.documents[0].elements == whole.documents[0].elements, bit
        assert verdict.documents[0].doctype == whole.documents[0].doctype, bit
    listed = set().union(*uncovered(data).values())
    assert len(listed) == 7
    assert set(accepted) <= listed, sorted(set(accepted) - listed)
    assert sum(accepted.values()) < 40, "nearly all of 11,000 flips are refused"
