"""One presentation: everything that belongs to one person's minute in front of the reader, and nothing else.

The state machine orders jobs; this runs them and reports back. Keys, session, link, response and verdicts live here and
are dropped in `release`, whatever the way out. What Python can overwrite it overwrites; what it cannot, it lets go of.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from uuid import UUID

from mdoc_reader.mdoc import cbor, request, response, session, transcript
from mdoc_reader.mdoc.keys import AgreementPrivateKey, encode_cose_key
from mdoc_reader.model.badge import Badge
from mdoc_reader.model.connection import BleMethod
from mdoc_reader.model.decision import Outcome
from mdoc_reader.model.reasons import Malformed, ReasonCode
from mdoc_reader.model.signer import SignerError
from mdoc_reader.model.verdict import DocumentVerdict, ResponseVerdict
from mdoc_reader.outputs.ports import Picture
from mdoc_reader.policy.conversation import Ask, in_doubt, proceed
from mdoc_reader.policy.profile import Profile, Question
from mdoc_reader.policy.revocation import RevocationPolicy, weigh_response
from mdoc_reader.reader import events as ev
from mdoc_reader.reader.armed import ArmedService
from mdoc_reader.reader.engaged import Engaged
from mdoc_reader.reader.events import Job, ReaderCode
from mdoc_reader.reader.keypool import KeyPool
from mdoc_reader.transport.ble import BleLimits, CentralServer, connect_to_peripheral, serve_for_central
from mdoc_reader.transport.nfc_link import open_transfer
from mdoc_reader.transport.ports import BleRadio, Link, LinkCode, LinkError, RadioTrouble
from mdoc_reader.trust.clock import Moment
from mdoc_reader.trust.revocation import Revocations
from mdoc_reader.verification.certificate import SignerCache
from mdoc_reader.verification.document import Evidence
from mdoc_reader.verification.moments import TIME_CODES
from mdoc_reader.verification.verify import drop_unrequested, verify_response

log = logging.getLogger(__name__)

_RADIO_BACK_S = 5.0
_RADIO_LOOK_S = 0.05


async def cannot_decode(portrait: bytes) -> Picture | None:
    """Stand for a reader without a decoder of portraits."""
    del portrait
    return None


@dataclass(frozen=True, slots=True)
class Equipment:
    """What presentations share: made once, ahead of time.

    `prefer_server`: where a phone offers both Bluetooth modes, take mdoc central client mode (we serve), as the
    standard recommends. `armed` shows a service ahead of a tap, where there are taps. `nfc_first`: where a tapped phone
    offers both, transfer over NFC although Bluetooth is there. `moment` is the wall clock, and how far it is to be
    trusted, `floor` what is certainly over; `refuse_in_doubt`: whether nothing opens where it is not. `revocations`:
    the lists that are held; `revocation`: what it means where they do not tell. `badge` makes the number that the
    building is told; `decode` turns a portrait into a picture, or None.
    """

    profile: Profile
    radio: BleRadio
    keys: KeyPool
    signers: Callable[[], SignerCache | None]
    moment: Callable[[], Moment]
    monotonic: Callable[[], float]
    identity: request.ReaderIdentity | None = None
    prefer_server: bool = True
    ble_limits: BleLimits = field(default_factory=BleLimits)
    armed: ArmedService | None = None
    nfc_first: bool = False
    refuse_in_doubt: bool = True
    revocations: Callable[[], Revocations | None] = lambda: None
    revocation: RevocationPolicy = field(default_factory=RevocationPolicy)
    floor: Callable[[], datetime | None] = lambda: None
    badge: Callable[[DocumentVerdict], Badge | None] = lambda document: None
    decode: Callable[[bytes], Awaitable[Picture | None]] = cannot_decode


class Ended(Exception):  # noqa: N818 -- how a job ended, not a defect
    """A job cannot give its result."""

    def __init__(self, outcome: Outcome, code: ReasonCode) -> None:
        """Keep the outcome and the reason."""
        self.outcome = outcome
        self.code = code
        super().__init__(outcome, code)


class Presentation:
    """The jobs of one presentation, and what they hold."""

    def __init__(self, engaged: Engaged, equipment: Equipment, post: Callable[[ev.JobEvent], None]) -> None:
        """Hold an engagement; nothing happens yet."""
        self._engaged = engaged
        self._equipment = equipment
        self._post = post
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._private: AgreementPrivateKey | None = None
        self._reader_key = b""
        self._transcript = b""
        self._cipher: session.SessionCipher | None = None
        self._established = False
        self._server: CentralServer | None = None
        self._link: Link | None = None
        self._question: Question | None = None
        self._plaintext: bytes | None = None
        self._peer_ended = False
        self._last_status: session.Status | None = session.Status.TERMINATION
        self._verdicts: list[ResponseVerdict] = []
        self._asking: Sequence[Question] = ()
        self._badge: Badge | None = None
        self._picture: Picture | None = None
        self._letting_go: asyncio.Task[None] | None = None
        self.transport = ""

    def start(self, job: int, kind: Job) -> None:
        """Run a job in its own task; it reports by events that carry its number."""
        work = {
            Job.PREPARE: self._prepare,
            Job.CONNECT: self._connect,
            Job.EXCHANGE: self._exchange,
            Job.VERIFY: self._verify,
            Job.CLOSE: self._close,
        }[kind]
        self._tasks[job] = asyncio.create_task(self._run(job, kind, work), name=f"presentation-{kind}")

    def cancel(self, job: int) -> None:
        """Stop a job."""
        task = self._tasks.get(job)
        if task is not None:
            task.cancel()

    async def _run(self, job: int, kind: Job, work: Callable[[int], Coroutine[None, None, None]]) -> None:
        at = self._equipment.monotonic
        try:
            await work(job)
        except Ended as ended:
            self._post(ev.JobFailed(at(), job, ended.outcome, ended.code))
        except LinkError as error:
            log.info("link: %s", error)
            outcome = Outcome.DECLINED if error.code is LinkCode.PEER_ENDED else Outcome.FAILED
            self._post(ev.JobFailed(at(), job, outcome, error.code))
        except Exception as error:  # noqa: BLE001 -- the presentation's boundary: whatever breaks costs this presentation
            # The text of an unknown error could quote the phone: only its kind and place are told.
            frames = error.__traceback__
            while frames is not None and frames.tb_next is not None:
                frames = frames.tb_next
            place = f"{frames.tb_frame.f_code.co_qualname}:{frames.tb_lineno}" if frames else "?"
            log.error("fault inside job %s: %s in %s", kind, type(error).__name__, place)  # noqa: TRY400 -- see above
            self._post(ev.JobFailed(at(), job, Outcome.FAILED, ReaderCode.READER_FAULT))
        finally:
            self._tasks.pop(job, None)
            if kind is Job.CLOSE:
                self._post(ev.LinkClosed(at(), job))

    async def _prepare(self, job: int) -> None:
        """Choose the way, take a key of the phone's curve, derive the session, put the first question in place."""
        gear, engaged = self._equipment, self._engaged
        device = engaged.device
        if engaged.ble is None and engaged.nfc is None:
            raise Ended(Outcome.FAILED, LinkCode.NO_METHOD)
        self._private = gear.keys.take(device.curve)
        self._reader_key = encode_cose_key(self._private.public_key())
        self._transcript = transcript.session_transcript(device.raw, self._reader_key, engaged.handover)
        try:
            self._cipher = session.SessionCipher(self._private, device.e_device_key, self._transcript)
        except Malformed as problem:  # a low-order point, say: no key can be agreed on
            raise Ended(Outcome.FAILED, problem.code) from None
        self._asking = gear.profile.asking(device.capabilities)
        self._question = self._asking[0]
        self._post(ev.Prepared(gear.monotonic(), job))

    async def _connect(self, job: int) -> None:
        gear, engaged = self._equipment, self._engaged
        ble, nfc, card = engaged.ble, engaged.nfc, engaged.card
        near = nfc is not None and (ble is None or gear.nfc_first or not gear.radio.available)
        if near and nfc is not None and card is not None:
            if gear.armed is not None:
                await gear.armed.disarm()
            self._link = await open_transfer(card, nfc, cap=gear.ble_limits.message_cap)
        elif ble is not None:
            self._link = await self._by_radio(ble)
        else:
            raise LinkError(LinkCode.NO_METHOD)
        self.transport = self._link.name
        self._post(ev.Connected(gear.monotonic(), job, near))

    async def _by_radio(self, ble: BleMethod) -> Link:
        gear, engaged = self._equipment, self._engaged
        if engaged.card is not None:
            self._letting_go = asyncio.create_task(engaged.card.close())  # the phone may be taken away now
        if gear.armed is not None:
            if engaged.offered is not None and ble.central_client and ble.central_uuid == engaged.offered:
                return await self._by_armed(gear.armed, engaged.offered)
            await gear.armed.disarm()  # this phone brings its own UUID, and a radio may be good for one use at a time
        while True:
            try:
                return await self._reach(ble)
            except LinkError as error:
                # Nothing has started: a radio that is back within moments serves this person yet.
                if error.code is not LinkCode.RADIO_OFF or not await self._radio_back():
                    raise

    async def _by_armed(self, service: ArmedService, offered: UUID) -> Link:
        """Wait for the phone under the UUID it was promised; no other would be looked for."""
        armed = await service.take()
        if armed is None:
            raise LinkError(LinkCode.RADIO_OFF, "the service shown ahead of the tap is gone")
        self._server = armed.server
        if armed.uuid != offered:
            raise LinkError(LinkCode.RADIO_OFF, "the service shown ahead of the tap was replaced since")
        armed.server.set_ident(session.ble_ident(self._engaged.device.e_device_key_bytes))
        return await armed.server.accepted()

    async def _reach(self, ble: BleMethod) -> Link:
        gear = self._equipment
        if self._server is not None:
            await self._server.close()
            self._server = None
        serve = ble.central_client and (gear.prefer_server or not ble.peripheral_server)
        if serve and ble.central_uuid is not None:
            ident = session.ble_ident(self._engaged.device.e_device_key_bytes)
            self._server = await serve_for_central(gear.radio, ble.central_uuid, ident, limits=gear.ble_limits)
            return await self._server.accepted()
        if ble.peripheral_server and ble.peripheral_uuid is not None:
            return await connect_to_peripheral(
                gear.radio, ble.peripheral_uuid, address=ble.address, psm=ble.psm, limits=gear.ble_limits
            )
        raise LinkError(LinkCode.NO_METHOD)

    async def _radio_back(self) -> bool:
        radio = self._equipment.radio
        if radio.trouble in {RadioTrouble.DISABLED, RadioTrouble.NO_ADAPTER, RadioTrouble.BLOCKED}:
            return False
        log.info("Bluetooth went away before the session began; waiting for it")
        try:
            async with asyncio.timeout(_RADIO_BACK_S):
                while not radio.available:  # noqa: ASYNC110 -- for a moment, and rarely
                    await asyncio.sleep(_RADIO_LOOK_S)
        except TimeoutError:
            return False
        return True

    async def _exchange(self, job: int) -> None:
        """Send the question, wait for the person and the phone, decrypt."""
        gear = self._equipment
        link, cipher, question = self._link, self._cipher, self._question
        if link is None or cipher is None or question is None:
            raise LinkError(LinkCode.CLOSED)
        build = partial(
            request.build_device_request,
            question.encoded,
            self._transcript,
            reader=gear.identity,
            all_at_once=self._engaged.device.capabilities.reader_auth_all,
            use_cases=question.use_cases,
        )
        # A token takes its time; a key in memory is quicker than a thread.
        waits = gear.identity is not None and gear.identity.signer.waits
        try:
            asked = await asyncio.to_thread(build) if waits else build()
        except SignerError as error:
            log.warning("reader key: %s", error)
            raise Ended(Outcome.FAILED, error.code) from None
        data = cipher.encrypt(asked)
        message: session.SessionEstablishment | session.SessionData
        message = (
            session.SessionData(data) if self._established else session.SessionEstablishment(self._reader_key, data)
        )
        self._established = True

        def began(_: int) -> None:
            link.on_progress = None
            self._post(ev.ResponseBegan(gear.monotonic(), job))

        link.on_progress = began
        await link.send(message.encode())
        self._post(ev.RequestSent(gear.monotonic(), job))
        self._plaintext = self._open(await link.receive(), cipher)
        self._post(ev.ResponseArrived(gear.monotonic(), job))

    def _open(self, received: bytes, cipher: session.SessionCipher) -> bytes:
        limits = cbor.Limits(max_bytes=self._equipment.ble_limits.message_cap)
        try:
            answer = session.parse_session_data(received, limits)
        except Malformed as problem:
            log.info("session data: %s", problem)
            self._last_status = session.Status.CBOR_DECODING_ERROR
            raise Ended(Outcome.FAILED, ReaderCode.SESSION_MALFORMED) from None
        self._peer_ended = answer.status is not None
        if answer.data is None or answer.status in {10, 11}:
            self._last_status = None
            if answer.status == session.Status.TERMINATION:
                raise Ended(Outcome.DECLINED, ReaderCode.PEER_TERMINATED)
            raise Ended(Outcome.FAILED, ReaderCode.PEER_ERROR)
        try:
            return cipher.decrypt(answer.data)
        except session.DecryptionFailed:
            self._last_status = session.Status.SESSION_ENCRYPTION_ERROR
            raise Ended(Outcome.FAILED, ReaderCode.DECRYPTION) from None

    async def _verify(self, job: int) -> None:
        gear, plaintext, question = self._equipment, self._plaintext, self._question
        if plaintext is None or question is None:
            raise Ended(Outcome.FAILED, ReaderCode.READER_FAULT)
        self._plaintext = None
        try:
            answer = response.parse(plaintext)
        except Malformed as problem:
            log.info("response: %s", problem)
            self._last_status = session.Status.CBOR_DECODING_ERROR
            raise Ended(Outcome.FAILED, ReaderCode.RESPONSE_MALFORMED) from None
        moment = gear.moment()
        evidence = Evidence(
            self._transcript,
            moment.at,
            gear.signers(),
            self._private,
            question.requested,
            (),
            gear.revocations(),
        )
        verdict = weigh_response(verify_response(answer, evidence), gear.revocation)
        self._verdicts.append(drop_unrequested(verdict, question.requested))
        following = proceed(gear.profile, self._asking, self._verdicts, moment, gear.floor())
        if isinstance(following, Ask):
            if self._peer_ended:
                raise Ended(Outcome.EMPTY, ReaderCode.PEER_TERMINATED)
            self._question = following.question
            self._post(ev.Judged(gear.monotonic(), job, None))
            return
        decision = in_doubt(following.decision, moment.doubt, TIME_CODES, refuse=gear.refuse_in_doubt)
        if decision.granted and following.document is not None:
            await self._prepare_grant(following.document)
        self._post(ev.Judged(gear.monotonic(), job, decision, gear.profile.compare))

    async def _prepare_grant(self, document: DocumentVerdict) -> None:
        """Make what a yes needs beside itself: the number for the building, the portrait for the attendant."""
        gear = self._equipment
        self._badge = gear.badge(document)
        if not gear.profile.compare:
            return
        portrait = next((given["portrait"] for given in document.elements.values() if "portrait" in given), None)
        picture = await gear.decode(portrait) if isinstance(portrait, bytes) else None
        if picture is None:
            raise Ended(Outcome.UNDETERMINED, ReaderCode.PORTRAIT_UNREADABLE)
        self._picture = picture

    def take_badge(self) -> Badge | None:
        """Return the number for the building, once."""
        badge, self._badge = self._badge, None
        return badge

    def take_picture(self) -> Picture | None:
        """Return the decoded portrait, once."""
        picture, self._picture = self._picture, None
        return picture

    async def _close(self, _: int) -> None:
        """Say how it ended, then close: status 20, or 10 or 11 for what we could not read, then State=02."""
        link = self._link
        if link is not None:
            link.on_progress = None
            if self._established and not self._peer_ended and self._last_status is not None:
                try:
                    async with asyncio.timeout(1.0):
                        await link.send(session.SessionData(status=self._last_status).encode())
                except (LinkError, TimeoutError):
                    log.info("the phone was gone before the end could be told")
            await link.close()
        if self._server is not None:
            await self._server.close()
        if self._engaged.card is not None:
            await self._engaged.card.close()

    async def release(self) -> None:
        """Drop everything. Bounded; safe to call at any moment, and more than once."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=5.0)
        if self._link is not None:
            await self._link.close()
        if self._server is not None:
            await self._server.close()
        if self._engaged.card is not None:
            await self._engaged.card.close()
        self._link = self._server = self._cipher = self._private = None
        self._plaintext = self._question = self._badge = self._picture = None
        self._transcript = self._reader_key = b""
        self._verdicts.clear()
