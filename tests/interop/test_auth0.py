"""@auth0/mdl answers our requests: its messages are read, and its issuer's, device's and MAC proofs hold."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

import auth0
import pytest
from cryptography import x509

from mdoc_reader.mdoc import cose, keys, mso, response


def proofs_hold(presented: auth0.Presented) -> Mapping[str, object]:
    """Check all there is to check without the verification room; return the elements."""
    (document,) = response.parse(presented.response).documents
    (leaf,), unprotected = cose.certificate_chain(document.issuer_auth, "issuerAuth")
    assert unprotected
    signer = x509.load_der_x509_certificate(leaf)
    signer.verify_directly_issued_by(x509.load_der_x509_certificate(presented.iaca_der))
    signer_key = signer.public_key()
    row = keys.curve_of(signer_key)
    algorithm = cose.algorithm_for(document.issuer_auth, row)
    payload = document.issuer_auth.payload
    assert algorithm is not None
    assert payload is not None
    assert cose.verify_signature(document.issuer_auth, signer_key, row, algorithm, payload)  # type: ignore[arg-type]
    security = mso.parse(payload)
    assert security.validity.unconforming == ()
    elements: dict[str, object] = {}
    for namespace, items in document.namespaces.items():
        for item in items:
            digest = hashlib.new(security.digest_algorithm.replace("-", ""), item.encoded).digest()
            assert security.value_digests[namespace][item.digest_id] == digest
            elements[item.identifier] = item.value
    device_row, device_key = security.device_key()
    signed = response.device_authentication_bytes(presented.transcript, document)
    proof = document.device_auth
    assert proof is not None
    if document.device_auth_kind is response.DeviceAuthKind.MAC:
        assert cose.verify_mac(proof, auth0.mac_key(presented, device_key), signed)
    else:
        device_algorithm = cose.algorithm_for(proof, device_row)
        assert device_algorithm is not None
        assert cose.verify_signature(proof, device_key, device_row, device_algorithm, signed)
    return elements


@pytest.mark.parametrize("kind", ["signature", "mac"])
def test_a_small_response_holds(kind: auth0.Kind, auth0_response: Callable[[auth0.Kind], auth0.Presented]) -> None:
    presented = auth0_response(kind)
    assert proofs_hold(presented) == {"family_name": "Muster", "age_over_18": True}
    (document,) = response.parse(presented.response).documents
    assert document.device_auth_kind is response.DeviceAuthKind(f"device{kind.title()}")
    assert len(presented.response) < 2500


@pytest.mark.parametrize("kind", ["signature", "mac"])
@pytest.mark.parametrize("curve", ["P-384", "P-521"])
def test_other_curves_hold(curve: str, kind: auth0.Kind, auth0_wallet: Callable[..., auth0.Presented]) -> None:
    presented = auth0_wallet(kind, curve=curve, issuer_curve="P-384")
    assert proofs_hold(presented) == {"family_name": "Muster", "age_over_18": True}


def test_it_answers_the_nearest_age_only(auth0_wallet: Callable[..., auth0.Presented]) -> None:
    held = {auth0.NAMESPACE: {"given_name": "Erika", "age_over_18": True, "age_over_21": True, "age_over_65": False}}
    presented = auth0_wallet("signature", elements=held, asked={auth0.NAMESPACE: {"age_over_20": False}})
    assert proofs_hold(presented) == {"age_over_21": True}


def test_a_response_does_not_hold_over_another_transcript(
    auth0_response: Callable[[auth0.Kind], auth0.Presented],
) -> None:
    presented = auth0_response("signature")
    moved = auth0.Presented(
        presented.response,
        presented.transcript[:-1] + b"\x80",
        presented.reader_key,
        presented.iaca_der,
        presented.request,
    )
    with pytest.raises(AssertionError):
        proofs_hold(moved)
