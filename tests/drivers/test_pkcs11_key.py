"""The key in a PKCS#11 token, with the real SoftHSM2: made there, signing there, gone and back."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

pytest.importorskip("pkcs11", reason="python-pkcs11 is not installed")

import pkcs11
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pkcs11 import Attribute, KeyType, MechanismFlag, ObjectClass, TokenFlag
from pkcs11.util.ec import encode_named_curve_parameters

from mdoc_reader.drivers import pkcs11_key, pkcs11_session
from mdoc_reader.drivers.key_curves import CURVES
from mdoc_reader.drivers.pkcs11_key import Options, make_key, open_key
from mdoc_reader.drivers.pkcs11_objects import KeyName, public_half
from mdoc_reader.lab.soft_token import MODULE, SoftToken
from mdoc_reader.mdoc import request
from mdoc_reader.model.check import Health
from mdoc_reader.model.signer import ReaderSigner, SignerError, SignerTrouble

MISSING = SoftToken.missing()
pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

PIN = "4711-the-pin"


@dataclass
class Bench:
    """A token named `reader`, and its PIN in a file."""

    token: SoftToken
    pin_file: Path

    def options(self, label: str = "auth", **other: object) -> Options:
        given = {"module": MODULE, "token": "reader", "key_label": label, "pin_file": str(self.pin_file), **other}
        return msgspec.convert(given, Options)

    def store_pin(self, pin: str) -> None:
        self.pin_file.write_text(f"{pin}\n")
        self.pin_file.chmod(0o600)

    @staticmethod
    def found() -> pkcs11.Token:
        return pkcs11.lib(MODULE).get_token(token_label="reader")  # noqa: S106 -- a label

    def session(self) -> pkcs11.Session:
        return self.found().open(rw=True, user_pin=PIN)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    token = SoftToken(tmp_path / "hsm")
    made = Bench(token, tmp_path / "pin")
    made.store_pin(PIN)
    token.make("reader", PIN)
    yield made
    token.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pkcs11_key, "PAUSE_S", 0.0)


def refused(options: Options) -> SignerTrouble:
    with pytest.raises(SignerError) as caught:
        open_key(options)
    assert PIN not in repr(caught.value)
    return caught.value.code


def holds(signer: ReaderSigner, message: bytes = b"transcript") -> bool:
    """Whether a signature is one by our own verification of readerAuth."""
    identity = request.ReaderIdentity(signer, (b"certificate",))
    asked = request.ItemsRequest("org.iso.18013.5.1.mDL", {"org.iso.18013.5.1": {"age_over_18": False}}).encode()
    bare = b"\x83\xf6\xf6" + request.cbor.bstr(message)
    encoded = request.build_device_request([asked], bare, reader=identity, all_at_once=True)
    sent = request.parse_device_request(encoded)
    (one,) = sent.doc_requests
    assert one.reader_auth is not None
    signed = request.reader_authentication_bytes(bare, one.items_request_bytes)
    whole = request.reader_authentication_all_bytes(bare, [one.items_request_bytes], None)
    return request.verify_reader_proof(one.reader_auth, signed, signer.public_key) and request.verify_reader_proof(
        sent.reader_auth_all[0], whole, signer.public_key
    )


@pytest.mark.parametrize("curve", CURVES)
def test_a_key_is_made_in_the_token_and_signs_requests(bench: Bench, curve: str) -> None:
    made = make_key(bench.options(), curve)
    made.close()
    signer = open_key(bench.options())
    assert signer.public_key == made.public_key
    assert signer.public_key.curve.name == CURVES[curve].curve.name  # type: ignore[union-attr]
    assert len(signer.sign(b"")) == 2 * CURVES[curve].octets
    assert holds(signer)
    signer.close()
    with pytest.raises(SignerError):
        signer.sign(b"")


def test_what_is_made_cannot_leave_the_token_and_does_nothing_else(bench: Bench) -> None:
    make_key(bench.options(key_id="0a0b"), "P-256").close()
    with bench.session() as session:
        key = session.get_key(object_class=ObjectClass.PRIVATE_KEY, id=b"\x0a\x0b")
        assert key[Attribute.SENSITIVE]
        assert key[Attribute.NEVER_EXTRACTABLE]
        assert key[Attribute.PRIVATE]
        assert not key[Attribute.DERIVE]
        assert not key[Attribute.DECRYPT]
        with pytest.raises(pkcs11.AttributeSensitive):
            key[Attribute.VALUE]


def test_no_key_is_made_over_another(bench: Bench) -> None:
    first = make_key(bench.options(), "P-256")
    with pytest.raises(SignerError) as caught:
        make_key(bench.options(), "P-256")
    assert caught.value.code is SignerTrouble.EXISTS
    assert open_key(bench.options()).public_key == first.public_key


def test_a_token_that_went_away_and_came_back_signs_again(
    bench: Bench, impatient: None, caplog: pytest.LogCaptureFixture
) -> None:
    signer = make_key(bench.options(), "P-256")
    for _ in range(2):
        bench.token.take_away()
        for _ in range(3):
            with pytest.raises(SignerError) as caught:
                signer.sign(b"")
            assert caught.value.code is SignerTrouble.NO_TOKEN
        bench.token.bring_back()
        assert holds(signer)
    bench.token.take_away()
    with pytest.raises(SignerError):
        signer.prepare()
    bench.token.bring_back()
    signer.prepare()
    caplog.clear()
    assert holds(signer)
    assert not caplog.records, "prepared ahead: the signature found an open session"


def test_a_vain_look_is_not_repeated_at_every_tap(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    signer = make_key(bench.options(), "P-256")
    looks = 0
    search = pkcs11_key.find_token

    def counted(module: str, label: str) -> pkcs11.Token:
        nonlocal looks
        looks += 1
        return search(module, label)

    monkeypatch.setattr(pkcs11_key, "find_token", counted)
    bench.token.take_away()
    for _ in range(20):
        with pytest.raises(SignerError):
            signer.sign(b"")
    assert looks == 1
    bench.token.bring_back()
    later = time.monotonic() + 60
    monkeypatch.setattr(pkcs11_key.time, "monotonic", lambda: later)
    assert holds(signer)


def test_sessions_ended_by_others_are_opened_anew(bench: Bench, impatient: None) -> None:
    signer, other = make_key(bench.options(), "P-256"), make_key(bench.options("other"), "P-384")
    other.close()  # logs this process out of the token
    assert holds(signer)
    pkcs11.lib(MODULE).reinitialize()
    assert holds(signer)


def test_a_token_that_comes_back_with_another_key_is_refused(bench: Bench, impatient: None) -> None:
    signer = make_key(bench.options(), "P-256")
    with bench.found().open(rw=True) as session:  # the process is logged in
        for kind in (ObjectClass.PRIVATE_KEY, ObjectClass.PUBLIC_KEY):
            session.get_key(object_class=kind, label="auth").destroy()
    make_key(bench.options(), "P-256").close()
    for _ in range(2):
        with pytest.raises(SignerError) as caught:
            signer.sign(b"")
        assert caught.value.code is SignerTrouble.NO_KEY


def test_a_wrong_pin_is_tried_once(bench: Bench, impatient: None) -> None:
    signer = make_key(bench.options(), "P-256")
    signer.prepare()
    bench.token.take_away()
    with pytest.raises(SignerError):
        signer.sign(b"")
    bench.token.bring_back()
    bench.store_pin("4712-not-the-pin")
    for _ in range(5):
        with pytest.raises(SignerError) as caught:
            signer.sign(b"")
        assert caught.value.code is SignerTrouble.WRONG_SECRET
        bench.store_pin(PIN)  # correct now, and yet it is not tried: that is for a person, by a restart
    assert holds(open_key(bench.options()))


def test_a_wrong_pin_at_the_start(bench: Bench) -> None:
    bench.store_pin("4712-not-the-pin")
    assert refused(bench.options()) is SignerTrouble.WRONG_SECRET
    assert bench.found().flags & TokenFlag.USER_PIN_COUNT_LOW


@pytest.mark.parametrize("flag", [TokenFlag.USER_PIN_FINAL_TRY, TokenFlag.USER_PIN_LOCKED])
def test_the_last_try_is_left_to_people(flag: TokenFlag) -> None:
    class Wary:
        """A token that counts wrong PINs; SoftHSM never locks."""

        label = "reader"
        flags = flag

        def open(self, **_: object) -> pkcs11.Session:
            raise AssertionError("a login was tried")

    with pytest.raises(SignerError) as caught:
        pkcs11_session.log_in(Wary(), lambda: PIN, write=False)  # type: ignore[arg-type]
    assert caught.value.code is SignerTrouble.LOCKED


def test_what_is_not_there_has_its_own_reason(bench: Bench, tmp_path: Path) -> None:
    make_key(bench.options(), "P-256").close()
    assert refused(bench.options("another")) is SignerTrouble.NO_KEY
    assert refused(bench.options(key_id="ff")) is SignerTrouble.NO_KEY
    assert refused(bench.options(token="another")) is SignerTrouble.NO_TOKEN  # noqa: S106 -- a label
    assert refused(bench.options(module="/nowhere/module.so")) is SignerTrouble.NO_MODULE
    text = tmp_path / "module.so"
    text.write_text("no library")
    assert refused(bench.options(module=str(text))) is SignerTrouble.NO_MODULE
    bench.pin_file.unlink()
    assert refused(bench.options()) is SignerTrouble.NO_SECRET


def test_two_of_a_name_are_not_guessed_between(bench: Bench) -> None:
    make_key(bench.options(key_id="01"), "P-256").close()
    make_key(bench.options(key_id="02"), "P-256").close()
    assert refused(bench.options()) is SignerTrouble.UNSUITABLE
    open_key(bench.options(key_id="02")).close()
    bench.token.make("reader", PIN)
    pkcs11.lib(MODULE).reinitialize()  # SoftHSM sees new tokens then
    assert refused(bench.options(key_id="02")) is SignerTrouble.UNSUITABLE


def test_a_public_key_of_another_private_key_is_noticed(bench: Bench) -> None:
    for label in ("auth", "other"):
        make_key(bench.options(label), "P-256").close()
    with bench.session() as session:
        session.get_key(object_class=ObjectClass.PUBLIC_KEY, label="auth").destroy()
        session.get_key(object_class=ObjectClass.PUBLIC_KEY, label="other")[Attribute.LABEL] = "auth"
    assert refused(bench.options()) is SignerTrouble.UNSUITABLE
    assert refused(bench.options("other")) is SignerTrouble.NO_KEY


def test_keys_that_cannot_sign_requests(bench: Bench) -> None:
    with bench.session() as session:
        for label, curve, uses in (
            ("derives", "1.2.840.10045.3.1.7", MechanismFlag.DERIVE),
            ("koblitz", "1.3.132.0.10", MechanismFlag.SIGN | MechanismFlag.VERIFY),
        ):
            parameters = {Attribute.EC_PARAMS: encode_named_curve_parameters(curve)}
            domain = session.create_domain_parameters(KeyType.EC, parameters, local=True)
            domain.generate_keypair(
                label=label, store=True, capabilities=uses, mechanism=pkcs11.Mechanism.EC_KEY_PAIR_GEN
            )
    assert refused(bench.options("derives")) is SignerTrouble.UNSUITABLE
    assert refused(bench.options("koblitz")) is SignerTrouble.UNSUITABLE


@pytest.mark.parametrize("curve", ["P-256", "P-521"])
def test_public_points_with_and_without_their_wrapping(curve: str) -> None:
    row = CURVES[curve]
    public = ec.generate_private_key(row.curve).public_key()
    point = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    head = bytes((4, len(point))) if len(point) < 128 else bytes((4, 0x81, len(point)))
    parameters = encode_named_curve_parameters(row.oid)
    name = KeyName("auth", None)
    for written in (point, head + point):
        item = {Attribute.EC_PARAMS: parameters, Attribute.EC_POINT: written}
        assert public_half(item, name) == (row, public)  # type: ignore[arg-type]
    for broken in (b"", point[:-1], head + point + b"\0", b"\x04" * 300, bytes(len(point))):
        item = {Attribute.EC_PARAMS: parameters, Attribute.EC_POINT: broken}
        with pytest.raises(SignerError):
            public_half(item, name)  # type: ignore[arg-type]


def test_many_threads_sign_at_once(bench: Bench) -> None:
    signers = [make_key(bench.options(), "P-256"), make_key(bench.options("other"), "P-384")]
    with ThreadPoolExecutor(8) as pool:
        right = pool.map(lambda n: holds(signers[n % 2], b"%d" % n), range(200))
        assert all(right)


def test_a_module_that_is_stuck_costs_a_bounded_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    signer = make_key(bench.options(), "P-256")
    monkeypatch.setattr(pkcs11_session, "LOCK_S", 0.05)
    stuck, done = threading.Event(), threading.Event()

    def hang() -> None:
        with pkcs11_session.module_lock(MODULE):
            stuck.set()
            done.wait(10)

    thread = threading.Thread(target=hang)
    thread.start()
    stuck.wait()
    with pytest.raises(SignerError) as caught:
        signer.sign(b"")
    assert caught.value.code is SignerTrouble.BUSY
    signer.close()
    done.set()
    thread.join()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622])
def test_a_pin_that_others_can_read_is_refused(bench: Bench, mode: int) -> None:
    bench.pin_file.chmod(mode)
    assert refused(bench.options()) is SignerTrouble.UNSAFE


def test_a_pin_from_a_credential(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = bench.options(pin_file=None, pin_credential="reader-pin")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert refused(options) is SignerTrouble.NO_SECRET
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "reader-pin").write_text(PIN)
    (tmp_path / "reader-pin").chmod(0o440)  # as an ACL's mask looks
    assert holds(make_key(options, "P-256"))


def test_nothing_tells_the_pin(bench: Bench, impatient: None, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    signer = make_key(bench.options(), "P-256")
    told = [
        repr(signer),
        str(signer),
        repr(bench.options()),
        signer.words,
        repr(request.ReaderIdentity(signer, (b"",))),
    ]
    bench.token.take_away()
    with pytest.raises(SignerError) as caught:
        signer.sign(b"")
    bench.token.bring_back()
    signer.sign(b"")
    signer.close()  # a process that is logged in is asked for no PIN
    bench.store_pin("4711-the-pin-but-wrong")
    with pytest.raises(SignerError) as wrong:
        open_key(bench.options())
    told += [repr(caught.value), str(caught.value), repr(wrong.value), str(wrong.value), caplog.text]
    assert not [text for text in told if "4711" in text]


@pytest.mark.parametrize(
    "wrong",
    [
        {"key_label": None},
        {"key_id": "xy"},
        {"key_id": ""},
        {"pin_credential": "both"},
        {"pin_file": None},
        {"pin_file": None, "pin_credential": "../pin"},
        {"unknown": 1},
    ],
)
def test_options_that_cannot_be(wrong: dict[str, object]) -> None:
    given = {"module": "m", "token": "t", "key_label": "k", "pin_file": "p", **wrong}
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(given, Options)


def test_the_doctor_looks(bench: Bench) -> None:
    (missing,) = asyncio.run(pkcs11_key.examine(bench.options()))
    assert missing.health is Health.FAULT
    assert "key create" in missing.advice
    make_key(bench.options(), "P-256").close()
    (good,) = asyncio.run(pkcs11_key.examine(bench.options()))
    assert good.health is Health.OK
    with bench.session() as session:
        parameters = {Attribute.EC_PARAMS: encode_named_curve_parameters(CURVES["P-256"].oid)}
        domain = session.create_domain_parameters(KeyType.EC, parameters, local=True)
        domain.generate_keypair(
            label="loose",
            store=True,
            mechanism=pkcs11.Mechanism.EC_KEY_PAIR_GEN,
            private_template={Attribute.EXTRACTABLE: True, Attribute.SENSITIVE: False},
        )
    _, loose = asyncio.run(pkcs11_key.examine(bench.options("loose")))
    assert loose.health is Health.WARNING
