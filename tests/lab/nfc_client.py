"""A bare reader of raw APDUs for tests of the lab's phone: short commands, nothing of the firmware's NFC room."""

from __future__ import annotations

from dataclasses import dataclass, field

from mdoc_reader.lab.nfc_apdus import ApduHandler

SELECT_NDEF = bytes.fromhex("00A4040007D276000085010100")
SELECT_CC = bytes.fromhex("00A4000C02E103")
SELECT_TRANSFER = bytes.fromhex("00A4040C07A0000002480400")
TS_HANDOVER = b"\xd1\x02\x14Ts\x13urn:nfc:sn:handover"


@dataclass
class Client:
    """Sends commands, counts them, and adds up how long the phone thought."""

    phone: ApduHandler
    commands: int = 0
    thought_s: list[float] = field(default_factory=list)

    def send(self, command: bytes | str) -> tuple[bytes, int]:
        """Return data and status word."""
        self.commands += 1
        answer = self.phone.on_apdu(bytes.fromhex(command) if isinstance(command, str) else command)
        self.thought_s.append(answer.after_s)
        return answer.data[:-2], int.from_bytes(answer.data[-2:], "big")

    def done(self, command: bytes | str) -> bytes:
        """Return the data of an answer that must be 9000."""
        data, sw = self.send(command)
        assert sw == 0x9000, f"{sw:04X}"
        return data

    def read(self, offset: int, size: int) -> bytes:
        """Read exactly so many bytes."""
        data = self.done(bytes((0, 0xB0, offset >> 8, offset & 0xFF, size & 0xFF)))
        assert len(data) == size
        return data

    def open(self) -> bytes:
        """Select the application and the NDEF file; return the capability container."""
        self.done(SELECT_NDEF)
        self.done(SELECT_CC)
        container = self.read(0, 15)
        container += self.read(15, size - 15) if (size := int.from_bytes(container[:2], "big")) > 15 else b""
        self.done(b"\x00\xa4\x00\x0c\x02" + container[9:11])
        return container

    def message(self, most: int = 0xF6, octets: int = 2) -> bytes:
        """Read the message in the file; empty while there is none."""
        size = int.from_bytes(self.read(0, octets), "big")
        return b"".join(self.read(octets + at, min(most, size - at)) for at in range(0, size, most))

    def write(self, message: bytes, most: int = 0xF6) -> None:
        """Write a message: at once where it fits, else length, data, length."""
        whole = len(message).to_bytes(2, "big") + message
        if len(whole) <= most:
            self.update(0, whole)
            return
        self.update(0, bytes(2))
        for at in range(0, len(message), most):
            self.update(2 + at, message[at : at + most])
        self.update(0, whole[:2])

    def update(self, offset: int, data: bytes) -> None:
        """Write bytes."""
        self.done(bytes((0, 0xD6, offset >> 8, offset & 0xFF, len(data))) + data)

    def answer(self, tries: int = 1) -> bytes:
        """Read until there is a message."""
        for _ in range(tries):
            if message := self.message():
                return message
        raise AssertionError("not ready")

    def negotiate(self, request: bytes, tries: int = 1) -> bytes:
        """Select the handover service, write the request, return what comes back."""
        self.open()
        self.message()
        self.write(TS_HANDOVER)
        assert self.answer(tries) == b"\xd1\x02\x01Te\x00"
        self.write(request)
        return self.answer(tries)

    def deliver(self, message: bytes, most: int = 255, asked: int = 256, *, extended: bool = False) -> bytes:
        """Send a session message and return the phone's, by ENVELOPE and GET RESPONSE."""
        size = len(message)
        head = (
            bytes((size,)) if size < 128 else bytes((0x81, size)) if size < 256 else b"\x82" + size.to_bytes(2, "big")
        )
        whole = b"\x53" + head + message
        cuts = [whole[at : at + most] for at in range(0, len(whole), most)]
        for cut in cuts[:-1]:
            assert self.done(command(0x10, 0xC3, cut, None, extended=extended)) == b""
        data, sw = self.send(command(0, 0xC3, cuts[-1], asked, extended=extended))
        while sw >> 8 in {0x61, 0x6C}:
            wanted = sw & 0xFF or asked if sw >> 8 == 0x61 else sw & 0xFF or 256
            more, sw = self.send(command(0, 0xC0, b"", wanted, extended=extended))
            data += more
        assert sw == 0x9000, f"{sw:04X}"
        return do53(data)


def command(cla: int, ins: int, data: bytes, le: int | None, *, extended: bool = False) -> bytes:
    """Return a command with P1 P2 0000."""
    head = bytes((cla, ins, 0, 0))
    if extended:
        middle = b"\0" + len(data).to_bytes(2, "big") + data if data else b"\0"
        return head + middle + (b"" if le is None else (le & 0xFFFF).to_bytes(2, "big"))
    return head + (bytes((len(data),)) + data if data else b"") + (b"" if le is None else bytes((le & 0xFF,)))


def do53(data: bytes) -> bytes:
    """Return what a data object of tag 53 holds."""
    assert data[0] == 0x53
    octets = data[1] & 0x7F if data[1] & 0x80 else 0
    size = int.from_bytes(data[2 : 2 + octets], "big") if octets else data[1]
    assert len(data) == 2 + octets + size
    return data[2 + octets :]
