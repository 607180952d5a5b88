"""What else people hold to a reader: MIFARE cards, FeliCa cards, and cards of ISO/IEC 14443 type B."""

from __future__ import annotations

import secrets

from mdoc_reader.lab.nfc_air import FRAME_SIZES, Kind, RfAnswer, RfFrame, with_crc, without_crc
from mdoc_reader.lab.nfc_apdus import ApduHandler
from mdoc_reader.lab.nfc_blocks import BlockPicc, Wtx, frame_waiting_time
from mdoc_reader.lab.nfc_type_a import TypeA, TypeAState

CLASSIC_1K = 0x08
CLASSIC_4K = 0x18
ULTRALIGHT = 0x00

_READ = 0x30
_AUTHENTICATE = (0x60, 0x61)
_REFUSED = RfAnswer(b"\x04", bits=4)
_FELICA_SLOT_S = 0.002417
_ANY_SYSTEM = 0xFF


class Mifare:
    """A type A card without the block protocol: MIFARE Classic by `sak` 08 or 18, an NFC Forum type 2 tag by 00."""

    def __init__(self, *, uid: bytes = bytes.fromhex("04a1b2c3"), sak: int = CLASSIC_1K) -> None:
        """Lie outside any field. ValueError for an identifier that has not 4, 7 or 10 bytes."""
        self._a = TypeA(uid=uid, sak=sak)
        self._sak = sak

    def powered(self, *, on: bool) -> None:
        """Begin anew, or end."""
        self._a.powered(on=on)

    def hear(self, frame: RfFrame) -> RfAnswer | None:
        """Take a frame: selection, then the few commands that tell such cards apart."""
        body = without_crc(Kind.A, frame.data)
        if self._a.state is not TypeAState.ACTIVE or frame.last_bits != 8 or body is None or frame.kind is not Kind.A:
            return self._a.hear(frame)
        if body[0] == _READ and len(body) == 2:
            if self._sak == ULTRALIGHT:
                return RfAnswer(with_crc(Kind.A, bytes(16)))
            self._a.rest()
            return _REFUSED
        if body[0] in _AUTHENTICATE and len(body) == 2 and self._sak != ULTRALIGHT:
            return RfAnswer(secrets.token_bytes(4))
        return self._a.hear(frame)


class FeliCa:
    """A FeliCa card (JIS X 6319-4) that answers polling at 212 and 424 kbit/s, and nothing else."""

    def __init__(self, *, idm: bytes = bytes.fromhex("0114b34ec1a2d3e4"), system: int = 0x0003) -> None:
        """Lie outside any field. ValueError for an identifier that has not 8 bytes."""
        if len(idm) != 8:
            raise ValueError("an IDm has 8 bytes")
        self._idm = idm
        self._system = system.to_bytes(2, "big")
        self._on = False

    def powered(self, *, on: bool) -> None:
        """Begin anew, or end."""
        self._on = on

    def hear(self, frame: RfFrame) -> RfAnswer | None:
        """Take a frame: polling for its system or for any."""
        body = without_crc(Kind.F, frame.data) if frame.kind is Kind.F and self._on else None
        if body is None or len(body) != 6 or body[0] != 6 or body[1] != 0 or frame.rate not in {2, 4}:
            return None
        if any(want not in {_ANY_SYSTEM, have} for want, have in zip(body[2:4], self._system, strict=True)):
            return None
        answer = b"\x01" + self._idm + bytes.fromhex("100b4b428485d0ff") + (self._system if body[4] == 1 else b"")
        said = with_crc(Kind.F, bytes((len(answer) + 1,)) + answer)
        return RfAnswer(said, kind=Kind.F, rate=frame.rate, after_s=_FELICA_SLOT_S)


class PiccB:
    """A card of type B with the block protocol behind it (ISO/IEC 14443-3 clause 7)."""

    def __init__(self, apdus: ApduHandler, *, fsci: int = 8, fwi: int = 8, wtx: Wtx | None = None) -> None:
        """Describe the card: its applications, how large a frame it takes, and its frame waiting time."""
        self._apdus = apdus
        self._fsci = fsci
        self._fwi = fwi
        self._wtx = wtx if wtx is not None else Wtx()
        self._pupi = secrets.token_bytes(4)
        self._on = self._halted = False
        self._asked = False
        self._blocks: BlockPicc | None = None
        self.complaints: list[str] = []
        """What the reader did against the rules."""

    def powered(self, *, on: bool) -> None:
        """Begin anew, or end."""
        self._end()
        self._on, self._halted, self._asked = on, False, False
        self._pupi = secrets.token_bytes(4)

    def hear(self, frame: RfFrame) -> RfAnswer | None:
        """Take a frame from the reader."""
        body = without_crc(Kind.B, frame.data) if frame.kind is Kind.B and frame.rate == 1 and self._on else None
        if body is None:
            return None
        if self._blocks is not None:
            said = self._blocks.hear(body)
            if self._blocks.deselected:
                self._end()
                self._halted = True
            return None if said is None else _answer_b(said.data, said.after_s)
        if body[0] == 0x05 and len(body) == 3:
            return self._on_request(body[2])
        if not self._asked or body[1:5] != self._pupi:
            return None
        if body[0] == 0x50:
            self._halted, self._asked = True, False
            return _answer_b(b"\x00")
        if body[0] == 0x1D and len(body) >= 9:
            return self._on_attrib(body)
        return None

    def _on_request(self, parameter: int) -> RfAnswer | None:
        if self._halted and not parameter & 0x08:
            return None
        self._halted, self._asked = False, True
        protocol = bytes((0x00, self._fsci << 4 | 1, self._fwi << 4 | 1))
        return _answer_b(b"\x50" + self._pupi + bytes(4) + protocol)

    def _on_attrib(self, body: bytes) -> RfAnswer | None:
        if body[5:7] != b"\x00" + body[6:7] or body[6] >> 4:
            self.complaints.append("ATTRIB for timing or bit rates the card does not offer")
            return None
        cid = body[8] & 0x0F
        self._asked = False
        self._blocks = BlockPicc(
            self._apdus,
            self.complaints,
            fsd=FRAME_SIZES[min(body[6] & 0x0F, len(FRAME_SIZES) - 1)],
            fsc=FRAME_SIZES[self._fsci],
            fwt_s=frame_waiting_time(self._fwi),
            cid=cid,
            wtx=self._wtx,
        )
        return _answer_b(bytes((cid,)))

    def _end(self) -> None:
        if self._blocks is not None:
            self._blocks = None
            self._apdus.on_deselected()


def _answer_b(data: bytes, after_s: float = 0.0) -> RfAnswer:
    return RfAnswer(with_crc(Kind.B, data), kind=Kind.B, after_s=after_s)
