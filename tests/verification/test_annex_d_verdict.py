"""The whole verdict on the worked example of Annex D."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from mdoc_reader.mdoc import request, response, transcript
from mdoc_reader.model.verdict import Check, CheckState, ResponseVerdict, Validity
from mdoc_reader.trust import anchors
from mdoc_reader.verification.certificate import SignerCache
from mdoc_reader.verification.document import Evidence
from mdoc_reader.verification.verify import requested_elements, verify_response

_DEFAULT = Path(__file__).resolve().parents[3] / "shared" / "vectors"
VECTORS = Path(os.environ.get("MDOC_VECTORS", _DEFAULT)) / "iso18013-5-annexD"
NOON = datetime(2021, 1, 1, tzinfo=UTC)

pytestmark = pytest.mark.skipif(
    not VECTORS.is_dir(), reason="ISO Annex D vectors are not here: set MDOC_VECTORS to the folder that holds them"
)


def vector(name: str) -> bytes:
    return bytes.fromhex((VECTORS / f"{name}.hex").read_text())


def judge(*, with_anchors: bool = True, with_key: bool = True, at: datetime = NOON) -> ResponseVerdict:
    numbers = json.loads((VECTORS / "keys.json").read_text())["ephemeral_reader_key"]
    trusted, skipped = anchors.build([("iaca", vector("iaca_cert"))])
    assert not skipped
    return verify_response(
        response.parse(vector("device_response")),
        Evidence(
            transcript.unwrap(vector("session_transcript_bytes")),
            at,
            SignerCache(trusted) if with_anchors else None,
            ec.derive_private_key(int(numbers["d"], 16), ec.SECP256R1()) if with_key else None,
            requested_elements(request.parse_device_request(vector("device_request"))),
            (18,),
        ),
    )


def test_everything_holds() -> None:
    verdict = judge()
    (document,) = verdict.documents
    assert verdict.validity is Validity.VALID, document.findings
    assert {check: state for check, state in document.checks.items() if check is not Check.REVOCATION} == dict.fromkeys(
        [check for check in Check if check is not Check.REVOCATION], CheckState.PASSED
    )
    assert document.checks[Check.REVOCATION] is CheckState.UNCHECKED
    assert document.elements["org.iso.18013.5.1"]["family_name"] == "Doe"
    # The example's revocation list is at a host name, without a way to get it.
    assert {str(finding.code) for finding in document.findings} == {"crl_point_kind", "outlives_signer"}


def test_what_is_missing_is_told_apart_from_what_is_wrong() -> None:
    verdict = judge(with_anchors=False)
    assert verdict.validity is Validity.UNDETERMINED
    assert verdict.documents[0].checks[Check.CERTIFICATE_PATH] is CheckState.UNDETERMINED
    verdict = judge(with_key=False)
    assert verdict.validity is Validity.UNDETERMINED
    assert verdict.documents[0].checks[Check.DEVICE_AUTHENTICATION] is CheckState.UNCHECKED
    verdict = judge(at=NOON + timedelta(days=400))
    assert verdict.validity is Validity.INVALID
    assert verdict.documents[0].checks[Check.VALIDITY] is CheckState.FAILED
    assert verdict.documents[0].checks[Check.ISSUER_SIGNATURE] is CheckState.PASSED
