"""The lab's wallet against the reader's own language: what is asked is answered, and every misbehaviour is one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from uuid import UUID

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from mdoc_reader.lab import certificates, issuer, people
from mdoc_reader.lab.situations import SITUATIONS
from mdoc_reader.lab.wallet import Garbage, Holding, Wallet, WalletBehaviour, WalletSession
from mdoc_reader.lab.wallet_engagement import Engagement, make_engagement
from mdoc_reader.mdoc import cbor, cose, engagement, keys, mso, request, response, session, transcript
from mdoc_reader.mdoc.response import DeviceAuthKind
from mdoc_reader.model.connection import BleMethod, NfcMethod, RestMethod, UnknownMethod, WifiAwareMethod
from mdoc_reader.model.reasons import Malformed
from mdoc_reader.model.verdict import CheckState
from mdoc_reader.verification.age import age_over

MDL, NAMESPACE = people.MDL_DOCTYPE, people.MDL_NAMESPACE
OTHER = "org.example.card"
SESSION_CURVES = [row.name for row in keys.CURVES.values() if row.agreement and row.name != "brainpoolP320r1"]
TODAY = date(2026, 6, 1)
IACA = certificates.make_iaca()
SIGNER = certificates.make_document_signer(IACA)
READER_CA = certificates.make_reader_ca()
READER = certificates.reader_identity(certificates.make_reader(READER_CA))
PORTRAIT = b"\xff\xd8 not much of a picture \xff\xd9"

Asked = Mapping[str, Mapping[str, Sequence[str]]]
AGE_AND_NAME: Asked = {MDL: {NAMESPACE: ["age_over_18", "family_name"]}}


def holding(device_curve: str = "P-256", doctype: str = MDL, **options: object) -> Holding:
    device_key = issuer.generate_device_key(device_curve)
    elements = people.mdl_elements(people.adult(TODAY), TODAY, portrait_jpeg=PORTRAIT)
    document = issuer.issue(SIGNER, device_key.public_key(), doctype, elements, **options)  # type: ignore[arg-type]
    return Holding(document, device_key)


@dataclass
class Reader:
    """The reader's end, of the same parts the firmware has."""

    engaged: engagement.DeviceEngagement
    key: keys.AgreementPrivateKey
    transcript: bytes
    cipher: session.SessionCipher
    reader: request.ReaderIdentity | None = None

    def request(self, asked: Asked) -> bytes:
        items = [
            request.ItemsRequest(
                doctype, {name: dict.fromkeys(identifiers, False) for name, identifiers in wanted.items()}
            ).encode()
            for doctype, wanted in asked.items()
        ]
        return request.build_device_request(items, self.transcript, reader=self.reader)

    def establish(self, asked: Asked) -> bytes:
        e_reader_key = keys.encode_cose_key(self.key.public_key())
        return session.SessionEstablishment(e_reader_key, self.cipher.encrypt(self.request(asked))).encode()

    def read(self, message: bytes) -> response.DeviceResponse:
        data = session.parse_session_data(message).data
        assert data is not None
        return response.parse(self.cipher.decrypt(data))

    def proof_holds(self, document: response.Document) -> bool:
        payload = document.issuer_auth.payload
        assert payload is not None
        row, key = mso.parse(payload).device_key()
        signed = response.device_authentication_bytes(self.transcript, document)
        assert document.device_auth is not None
        if document.device_auth_kind is DeviceAuthKind.MAC:
            return cose.verify_mac(document.device_auth, session.e_mac_key(self.key, key, self.transcript), signed)
        algorithm = cose.algorithm_for(document.device_auth, row)
        assert algorithm is not None
        return cose.verify_signature(document.device_auth, key, row, algorithm, signed)


def scan(engaged: Engagement, reader: request.ReaderIdentity | None = None) -> Reader:
    read = engagement.from_qr(engaged.qr_text)
    key = keys.generate_agreement_key(read.curve)
    bare = transcript.session_transcript(read.raw, keys.encode_cose_key(key.public_key()))
    return Reader(read, key, bare, session.SessionCipher(key, read.e_device_key, bare), reader)


def present(
    wallet: Wallet, asked: Asked = AGE_AND_NAME, curve: str = "P-256", reader: request.ReaderIdentity | None = None
) -> tuple[Reader, WalletSession, bytes]:
    engaged = wallet.engage(curve)
    end = scan(engaged, reader)
    begun, understood = wallet.handle_establishment(engaged, end.establish(asked))
    return end, begun, wallet.reply(begun, understood)


def shown(document: response.Document) -> dict[str, object]:
    return {item.identifier: item.value for items in document.namespaces.values() for item in items}


def broken_digests(document: response.Document) -> set[str]:
    payload = document.issuer_auth.payload
    assert payload is not None
    digests = mso.parse(payload).value_digests
    return {
        item.identifier
        for namespace, items in document.namespaces.items()
        for item in items
        if digests[namespace][item.digest_id] != hashlib.sha256(item.encoded).digest()
    }


# Engagement


@pytest.mark.parametrize("curve", SESSION_CURVES)
@pytest.mark.parametrize("compressed", [False, True])
def test_the_reader_reads_the_engagement(curve: str, compressed: bool) -> None:
    ble = BleMethod(
        peripheral_server=True,
        central_client=True,
        peripheral_uuid=UUID(int=1),
        central_uuid=UUID(int=2),
        address=bytes(range(6)),
        psm=0x81,
    )
    engaged = Wallet([]).engage(curve, ble, compressed=compressed)
    read = engagement.from_qr(engaged.qr_text)
    assert read.version == "1.0"
    assert read.curve.name == curve
    assert read.methods == (ble,)
    assert read.e_device_key_bytes == engaged.e_device_key_bytes
    assert keys.encode_cose_key(read.e_device_key) == keys.encode_cose_key(engaged.private_key.public_key())
    assert engaged.ident == session.ble_ident(read.e_device_key_bytes)
    assert engaged.ble == ble


def test_the_reader_reads_every_method_and_the_second_edition() -> None:
    methods = (
        NfcMethod(255, 256),
        WifiAwareMethod("secret", 81, 6, b"\x01"),
        RestMethod("https://lab.invalid"),
        UnknownMethod(9, 1),
    )
    capabilities = engagement.Capabilities(mac_keys=True, mac_key_curves=(1, 4), extended_request=True)
    origins = (engagement.OriginInfo(1, 0), engagement.OriginInfo(1, 1, "lab.invalid"))
    key = keys.generate_agreement_key(keys.CURVES_BY_NAME["P-256"])
    engaged = make_engagement(key, methods, origin_infos=origins, capabilities=capabilities, extra={-1: "ignored"})
    read = engagement.from_qr(engaged.qr_text)
    assert read.version == "1.1"
    assert read.methods == methods
    assert read.capabilities == capabilities
    assert read.origin_infos == origins
    assert engaged.ble is None


def test_every_engagement_is_fresh() -> None:
    wallet = Wallet([])
    first, second = wallet.engage(), wallet.engage()
    assert first.e_device_key_bytes != second.e_device_key_bytes
    assert first.ble != second.ble


# Honest answers


@pytest.mark.parametrize("kind", DeviceAuthKind)
@pytest.mark.parametrize("curve", SESSION_CURVES)
def test_an_answer_on_every_curve(curve: str, kind: DeviceAuthKind) -> None:
    wallet = Wallet([holding(curve)], WalletBehaviour(device_auth=kind))
    end, _, message = present(wallet, curve=curve)
    assert set(cbor.as_map(cbor.decode(message), "")) == {"data"}
    answer = end.read(message)
    (document,) = answer.documents
    assert (answer.status, document.doctype) == (0, MDL)
    assert shown(document) == {"age_over_18": True, "family_name": "Muster"}
    assert broken_digests(document) == set()
    assert end.proof_holds(document)
    # X25519 and X448 keys cannot sign: there it is a MAC whatever was wished.
    assert document.device_auth_kind is (DeviceAuthKind.MAC if curve.startswith("X") else kind)


@pytest.mark.parametrize("curve", ["Ed25519", "Ed448"])
@pytest.mark.parametrize("kind", DeviceAuthKind)
def test_edwards_keys_always_sign(curve: str, kind: DeviceAuthKind) -> None:
    end, _, message = present(Wallet([holding(curve)], WalletBehaviour(device_auth=kind)))
    (document,) = end.read(message).documents
    assert document.device_auth_kind is DeviceAuthKind.SIGNATURE
    assert end.proof_holds(document)


def test_a_mac_without_a_fitting_reader_key_is_refused() -> None:
    wallet = Wallet([holding("P-384")], WalletBehaviour(device_auth=DeviceAuthKind.MAC))
    with pytest.raises(ValueError, match="P-384 needs the reader's key"):
        present(wallet, curve="P-256")


def test_several_documents_and_what_it_does_not_hold() -> None:
    wallet = Wallet([holding(), holding(doctype=OTHER)])
    asked = {OTHER: {NAMESPACE: ["given_name"]}, "org.example.absent": {"x": ["y"]}, **AGE_AND_NAME}
    end, _, message = present(wallet, asked)
    answer = end.read(message)
    assert [document.doctype for document in answer.documents] == [OTHER, MDL]
    assert answer.document_errors == (("org.example.absent", 0),)
    assert all(end.proof_holds(document) for document in answer.documents)
    assert shown(answer.documents[0]) == {"given_name": "Erika"}


def test_several_requests_in_one_session_and_the_end() -> None:
    wallet = Wallet([holding()])
    end, begun, message = present(wallet)
    assert end.read(message).documents
    for identifier in ("given_name", "portrait"):
        data = end.cipher.encrypt(end.request({MDL: {NAMESPACE: [identifier]}}))
        again = begun.handle_message(session.SessionData(data).encode())
        assert again is not None
        (document,) = end.read(wallet.reply(begun, again)).documents
        assert list(shown(document)) == [identifier]
        assert end.proof_holds(document)
    assert begun.requests == 3
    assert begun.handle_message(session.SessionData(status=session.Status.TERMINATION).encode()) is None
    assert begun.status == session.Status.TERMINATION


def test_both_ends_agree_over_nfc_too() -> None:
    wallet = Wallet([holding()])
    engaged = wallet.engage(methods=[])
    read = engagement.parse(engaged.encoded, need_methods=False)
    assert read.methods == ()
    handover = transcript.NfcHandover(b"select", b"request")
    key = keys.generate_agreement_key(read.curve)
    bare = transcript.session_transcript(read.raw, keys.encode_cose_key(key.public_key()), handover)
    end = Reader(read, key, bare, session.SessionCipher(key, read.e_device_key, bare))
    begun, understood = wallet.handle_establishment(engaged, end.establish(AGE_AND_NAME), handover)
    (document,) = end.read(wallet.reply(begun, understood)).documents
    assert end.proof_holds(document)


# The age rule


def ask_ages(held: Mapping[int, bool], age: int) -> dict[str, object]:
    """What a wallet with these answers shows of one age, without the signatures."""
    key = issuer.generate_device_key("Ed25519")
    elements: dict[str, object] = {"family_name": "Muster"} | {
        f"age_over_{nn:02d}": value for nn, value in held.items()
    }
    document = issuer.issue(SIGNER_FAST, key.public_key(), MDL, {NAMESPACE: elements})
    asked = request.ItemsRequest(MDL, {NAMESPACE: {f"age_over_{age:02d}": False}}).encode()
    understood = request.parse_device_request(request.build_device_request([asked], BARE))
    answer = response.parse(Wallet([Holding(document, key)]).respond(understood, BARE))
    return shown(answer.documents[0]) if answer.documents else {}


BARE = transcript.session_transcript(b"\xa0", b"\xa0")
SIGNER_FAST = certificates.make_document_signer(IACA, "Ed25519")


@settings(max_examples=60, deadline=None)
@given(years=st.integers(0, 99), stated=st.sets(st.integers(0, 99), max_size=12), age=st.integers(0, 99))
def test_the_nearest_true_age_or_the_nearest_false_one(years: int, stated: set[int], age: int) -> None:
    held = {nn: years >= nn for nn in stated}
    answer = ask_ages(held, age)
    over = [nn for nn in stated if nn >= age and held[nn]]
    under = [nn for nn in stated if nn <= age and not held[nn]]
    if over:
        assert answer == {f"age_over_{min(over):02d}": True}
    elif under:
        assert answer == {f"age_over_{max(under):02d}": False}
    else:
        assert answer == {}
    # Whatever the wallet says, the reader's own rule never takes it for the opposite of the truth.
    truth = CheckState.PASSED if years >= age else CheckState.FAILED
    assert age_over(answer, age) in {truth, CheckState.UNDETERMINED}


def test_the_reader_draws_the_conclusion_the_wallet_meant() -> None:
    assert ask_ages({18: True, 21: True, 65: False}, 20) == {"age_over_21": True}
    assert ask_ages({18: False, 14: True}, 21) == {"age_over_18": False}
    assert ask_ages({18: True}, 18) == {"age_over_18": True}
    assert ask_ages({16: True, 25: False}, 18) == {}


# Unwilling, and reader authentication


def test_declining_shares_nothing() -> None:
    end, _, message = present(Wallet([holding()], WalletBehaviour(decline=True)))
    assert end.read(message) == response.DeviceResponse("1.0", 0, ())


def test_partial_consent_leaves_out_what_is_withheld() -> None:
    wallet = Wallet([holding()], WalletBehaviour(withhold=frozenset({"family_name"}), element_errors=True))
    end, _, message = present(wallet)
    (document,) = end.read(message).documents
    assert shown(document) == {"age_over_18": True}
    assert document.errors == {NAMESPACE: {"family_name": 0}}
    wallet.behaviour = WalletBehaviour(withhold=frozenset({"family_name", "portrait"}))
    end, _, message = present(wallet, {MDL: {NAMESPACE: ["family_name", "portrait"]}})
    assert end.read(message) == response.DeviceResponse("1.0", 0, (), ((MDL, 0),))


@pytest.mark.parametrize("curve", certificates.SIGNER_CURVES)
def test_a_wallet_that_wants_reader_authentication_gets_it(curve: str) -> None:
    identity = certificates.reader_identity(certificates.make_reader(READER_CA, curve))
    trusted = [IACA.certificate, READER_CA.certificate]
    wallet = Wallet([holding()], WalletBehaviour(require_reader_auth=True), trusted_readers=trusted)
    end, _, message = present(wallet, reader=identity)
    assert end.read(message).documents


@pytest.mark.parametrize("fault", ["absent", "untrusted", "other_session", "rsa"])
def test_a_wallet_that_wants_reader_authentication_declines_without(fault: str) -> None:
    wallet = Wallet([holding()], WalletBehaviour(require_reader_auth=True), trusted_readers=[READER_CA.certificate])
    identity: request.ReaderIdentity | None = READER
    if fault == "absent":
        identity = None
    elif fault == "untrusted":
        wallet.trusted_readers = (certificates.make_reader_ca().certificate,)
    elif fault == "rsa":
        identity = request.ReaderIdentity(READER.signer, (rsa_certificate(),))
    engaged = wallet.engage()
    end = scan(engaged, identity)
    asked = request.parse_device_request(end.request(AGE_AND_NAME))
    over = BARE if fault == "other_session" else end.transcript
    assert response.parse(wallet.respond(asked, over)).documents == ()


def rsa_certificate() -> bytes:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding

    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([])
    start = certificates.now()
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, start, start.replace(year=start.year + 1))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def test_one_signature_over_all_requests_is_accepted() -> None:
    wallet = Wallet([holding()], WalletBehaviour(require_reader_auth=True), trusted_readers=[READER_CA.certificate])
    items = [request.ItemsRequest(MDL, {NAMESPACE: {"family_name": False}}).encode()]
    encoded = request.build_device_request(items, BARE, reader=READER, all_at_once=True)
    asked = request.parse_device_request(encoded)
    only_all = replace(asked, doc_requests=(replace(asked.doc_requests[0], reader_auth=None),))
    assert response.parse(wallet.respond(only_all, BARE)).documents
    assert not wallet.trusts(replace(only_all, reader_auth_all=()), 0, BARE)


# Misbehaviour


def one_document(behaviour: WalletBehaviour, asked: Asked = AGE_AND_NAME) -> tuple[Reader, response.Document]:
    end, _, message = present(Wallet([holding()], behaviour), asked)
    (document,) = end.read(message).documents
    return end, document


def test_an_altered_element_breaks_its_digest_and_nothing_else() -> None:
    end, document = one_document(WalletBehaviour(altered={"family_name": "Other"}))
    assert shown(document)["family_name"] == "Other"
    assert broken_digests(document) == {"family_name"}
    assert end.proof_holds(document)


@pytest.mark.parametrize("kind", DeviceAuthKind)
@pytest.mark.parametrize("fault", ["wrong_device_key", "wrong_transcript"])
def test_a_wrong_proof_does_not_hold(fault: str, kind: DeviceAuthKind) -> None:
    end, document = one_document(replace(WalletBehaviour(device_auth=kind), **{fault: True}))
    assert document.device_auth_kind is kind
    assert not end.proof_holds(document)
    assert broken_digests(document) == set()


def test_no_proof_at_all() -> None:
    _, document = one_document(WalletBehaviour(no_device_auth=True))
    assert document.device_auth is None


def test_extra_and_duplicate_elements() -> None:
    _, document = one_document(WalletBehaviour(extra=("document_number",), duplicate=frozenset({"family_name"})))
    identifiers = [item.identifier for item in document.namespaces[NAMESPACE]]
    assert sorted(identifiers) == ["age_over_18", "document_number", "family_name", "family_name"]


def test_another_doctype_than_the_mso() -> None:
    end, document = one_document(WalletBehaviour(claimed_doctype=OTHER))
    assert document.doctype == OTHER
    assert end.proof_holds(document)


def test_elements_the_phone_signs() -> None:
    allowed = mso.KeyAuthorizations(frozenset({"org.example.own"}))
    held = holding(key_authorizations=allowed)
    asked_for = replace(held, device_elements={"org.example.own": {"here": True}})
    end, _, message = present(Wallet([asked_for]), {MDL: {"org.example.own": ["here", "there"]}})
    (document,) = end.read(message).documents
    assert document.device_namespaces == {"org.example.own": {"here": True}}
    assert document.namespaces == {}
    assert end.proof_holds(document)
    wallet = Wallet([held], WalletBehaviour(device_signed={"org.example.own": {"unasked": 1}}))
    end, _, message = present(wallet)
    (document,) = end.read(message).documents
    assert document.device_namespaces == {"org.example.own": {"unasked": 1}}
    assert end.proof_holds(document)


def test_a_status_comes_without_documents() -> None:
    end, _, message = present(Wallet([holding()], WalletBehaviour(response_status=10)))
    assert end.read(message) == response.DeviceResponse("1.0", 10, ())


def test_a_session_status_comes_along() -> None:
    end, _, message = present(Wallet([holding()], WalletBehaviour(session_status=20)))
    assert session.parse_session_data(message).status == session.Status.TERMINATION
    assert end.read(message).documents


def not_decrypted(end: Reader, message: bytes) -> None:
    with pytest.raises(session.DecryptionFailed):
        end.read(message)


def not_read(end: Reader, message: bytes) -> None:
    with pytest.raises(Malformed):
        end.read(message)


@pytest.mark.parametrize(
    ("behaviour", "refused"),
    [
        (WalletBehaviour(wrong_session_key=True), not_decrypted),
        (WalletBehaviour(garbage=Garbage.NOT_ENCRYPTED), not_decrypted),
        (WalletBehaviour(garbage=Garbage.ENCRYPTED_NOISE), not_read),
        (WalletBehaviour(garbage=Garbage.ENCRYPTED_TRUNCATED), not_read),
        (WalletBehaviour(garbage=Garbage.NOT_A_MESSAGE), not_read),
    ],
)
def test_garbage_is_garbage(behaviour: WalletBehaviour, refused: Callable[[Reader, bytes], None]) -> None:
    end, _, message = present(Wallet([holding()], behaviour))
    refused(end, message)


# Situations


@pytest.mark.parametrize("name", SITUATIONS)
def test_every_situation_answers_something(name: str) -> None:
    wallet = SITUATIONS[name].wallet(IACA, SIGNER)
    engaged = wallet.engage()
    end = scan(engaged)
    begun, understood = wallet.handle_establishment(
        engaged, end.establish({MDL: {NAMESPACE: ["age_over_18", "portrait"]}})
    )
    assert len(wallet.reply(begun, understood)) > 20
    assert begun.transcript == end.transcript
