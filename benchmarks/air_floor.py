"""The least that a presentation must say over Bluetooth: a trace for `air_model`, as short as the specifications allow.

What is forced, and by what (Core specification 6.0; ISO/IEC 18013-5, second edition, 11.1.3):

- two advertisements: one tells the scanner the address, the next is answered by CONNECT_IND (Vol 6 Part B 4.4.3 and
  4.4.4); one is enough where the engagement named the address
- for more than 23 octets the MTU exchange, at most one a connection (Vol 3 Part F 3.4.2)
- the service by its UUID, ended at the first hit: one Find By Type Value (Vol 3 Part G 4.4.2)
- its characteristics, ended at the last wanted one: as many Read By Type as their declarations need at this MTU (Vol 3
  Part G 4.6.1); a service made for one presentation has no handles to remember
- the CCCDs of State and Server2Client: one Find Information each (Vol 3 Part G 4.7.1); one answer holds UUIDs of one
  size only and so never spans both (Part F 3.4.3.2)
- both CCCDs written, each with its response (Vol 3 Part G 4.12.3, 3.3.3.3)
- State=01 by Write Without Response (18013-5)
- messages in chunks of MTU-3, no value over 512, one octet of them a flag (18013-5; Vol 3 Part F 3.2.9)
- on a channel its request and response (Vol 3 Part A 4.22, 4.23), 4 octets of length a message (18013-5), 2 octets of
  length an SDU (Vol 3 Part A 3.4); no credit after the first, which may be as many as one likes (10.1)
- the end: State=02, or status 20 on a channel (18013-5); then LL_TERMINATE_IND (Vol 6 Part B 5.1.6)

What is chosen, and by whom. The central chooses connection interval, PHY and data length: these are conditions, the
same for floor and count. The phone chooses how often it advertises, or how long it listens, and its MTU: the floor
meets the same phone. Where the phone is the client it chooses its whole discovery, whether it reads Ident, and when it
subscribes: marked `by_phone`, and told apart from everything else; State=01 stays, since all waits for it. What BlueZ
chooses is in the count and never in the floor: discovering more of a phone than one service, seeing more advertisements
than two, waiting for the controllers' features, its credits. We choose the MTU we ask for: `best_mtu` says which one
fills the link layer's packets, and the floor takes it, up to what the phone takes.
"""

from __future__ import annotations

from dataclasses import dataclass

from air_model import Kind, Pdu, Phase, Side, Trace, Way

_DECLARATION = 2 + 1 + 2 + 16  # handle, properties, value handle, 128-bit UUID (Vol 3 Part G 3.3.1)
_ATT_VALUE_HEADER = 3
_VALUE_MAX = 512
_STATUS_20_BYTES = 9  # SessionData {"status": 20}
_MESSAGE_LENGTH = 4
_SDU_LENGTH = 2
_SDU_MAX = _MPS_MAX = 65533
_DEFAULT_MTU = 23
READER_ADVERTISING_US = 20_000
PHONE_ADVERTISING_US = 100_000


@dataclass(frozen=True, slots=True)
class FloorOptions:
    """What the floor depends on beside the sizes. `mtu` is the largest that both sides take.

    `psm_known`: the engagement named the PSM of a channel. `address_known`: the engagement named the phone's address.
    `phone_sightings`: how many advertisements of the reader pass until the phone connects, which is the phone's choice.
    """

    mtu: int = 517
    data_length: int = 251
    psm_known: bool = True
    address_known: bool = False
    phone_sightings: int = 2
    phone_advertising_us: int = PHONE_ADVERTISING_US
    sdu: int = _SDU_MAX
    mps: int = _MPS_MAX


_DEFAULT = FloorOptions()


def best_mtu(mtu: int, data_length: int) -> int:
    """Return the MTU up to `mtu` that carries most payload a packet of `data_length` octets on the air.

    A chunk of MTU-3 is MTU octets of ATT with its header (or one that ends at a value of 512), and 4 of L2CAP; a last
    packet with a few octets in it costs nearly what a full one costs.
    """
    limit = min(mtu, _VALUE_MAX + _ATT_VALUE_HEADER)

    def payload_a_packet(size: int) -> float:
        return (size - _ATT_VALUE_HEADER - 1) / -(-(size + 4) // data_length)

    return max(range(_DEFAULT_MTU, limit + 1), key=lambda size: (payload_a_packet(size), size))


def floor_trace(way: Way, request_bytes: int, response_bytes: int, options: FloorOptions = _DEFAULT) -> Trace:
    """Return the shortest trace that moves both session messages that way, with connection, start and end."""
    reader_is_central = way.central is Side.READER
    channel = way in {Way.PHONE_CHANNEL, Way.READER_CHANNEL}
    mtu = best_mtu(options.mtu, options.data_length)
    if not channel:
        pdus = [*_gatt_setup(way.central, mtu), *_gatt_messages(way.central, mtu, request_bytes, response_bytes)]
    else:
        pdus = [] if options.psm_known else _psm_by_gatt(way.central, mtu)
        pdus += _channel(way.central, request_bytes, response_bytes, options)
    pdus.append(Pdu(Phase.END, way.central, Kind.TERMINATE, 2, "LL_TERMINATE_IND"))
    return Trace(
        way=way,
        pdus=tuple(pdus),
        request_bytes=request_bytes,
        response_bytes=response_bytes,
        mtu=0 if channel else mtu,
        sightings=(1 if options.address_known else 2) if reader_is_central else options.phone_sightings,
        advertising_us=options.phone_advertising_us if reader_is_central else READER_ADVERTISING_US,
    )


def _asked(client: Side, octets: int, answer: int, name: str) -> list[Pdu]:
    """Return one request of the client with its response; the phone's own are its choice."""
    by_phone = client is Side.PHONE
    return [
        Pdu(Phase.SETUP, client, Kind.REQUEST, octets, f"{name} Request", by_phone=by_phone),
        Pdu(Phase.SETUP, client.other, Kind.RESPONSE, answer, f"{name} Response", by_phone=by_phone),
    ]


def _discovery(client: Side, mtu: int, characteristics: int) -> list[Pdu]:
    """Return MTU exchange, the service by its UUID, and that many characteristics."""
    pdus = _asked(client, 3, 3, "Exchange MTU") if mtu > _DEFAULT_MTU else []
    pdus += _asked(client, 7 + 16, 1 + 4, "Find By Type Value")
    a_response = (mtu - 2) // _DECLARATION
    for done in range(0, characteristics, a_response):
        count = min(a_response, characteristics - done)
        pdus += _asked(client, 7, 2 + count * _DECLARATION, "Read By Type")
    return pdus


def _gatt_setup(client: Side, mtu: int) -> list[Pdu]:
    pdus = _discovery(client, mtu, 3)
    for _ in range(2):
        pdus += _asked(client, 5, 2 + 4, "Find Information")
    for _ in range(2):
        pdus += _asked(client, 5, 1, "Write")
    return [*pdus, Pdu(Phase.SETUP, client, Kind.STREAM, _ATT_VALUE_HEADER + 1, "State=01")]


def _psm_by_gatt(client: Side, mtu: int) -> list[Pdu]:
    """Return what finds and reads the PSM characteristic: 4 octets, and they may stand after three others."""
    return _discovery(client, mtu, 4) + _asked(client, 3, 1 + 4, "Read")


def chunks(message_bytes: int, mtu: int) -> list[int]:
    """Return the octets of each ATT PDU that carries a message, its flag octets and headers included."""
    size = min(mtu - _ATT_VALUE_HEADER, _VALUE_MAX) - 1
    full, rest = divmod(message_bytes, size)
    return [_ATT_VALUE_HEADER + 1 + octets for octets in [size] * full + [rest] * (rest > 0 or not full)]


def k_frames(message_bytes: int, sdu: int, mps: int) -> list[int]:
    """Return the octets of each K-frame that carries a message with its length, SDU lengths included."""
    frames: list[int] = []
    left = message_bytes + _MESSAGE_LENGTH
    while left > 0:
        in_sdu = min(left, sdu)
        left -= in_sdu
        full, rest = divmod(in_sdu + _SDU_LENGTH, mps)
        frames += [mps] * full + [rest] * (rest > 0)
    return frames


def _gatt_messages(client: Side, mtu: int, request_bytes: int, response_bytes: int) -> list[Pdu]:
    def streamed(sender: Side, phase: Phase, sizes: list[int], what: str = "") -> list[Pdu]:
        name = what or ("Write Command" if sender is client else "Handle Value Notification")
        return [Pdu(phase, sender, Kind.STREAM, octets, name) for octets in sizes]

    return [
        *streamed(Side.READER, Phase.REQUEST, chunks(request_bytes, mtu)),
        *streamed(Side.PHONE, Phase.RESPONSE, chunks(response_bytes, mtu)),
        *streamed(Side.READER, Phase.END, [_ATT_VALUE_HEADER + 1], "State=02"),
    ]


def _channel(client: Side, request_bytes: int, response_bytes: int, options: FloorOptions) -> list[Pdu]:
    def framed(sender: Side, phase: Phase, message_bytes: int) -> list[Pdu]:
        sizes = k_frames(message_bytes, options.sdu, options.mps)
        return [Pdu(phase, sender, Kind.FRAME, octets, "K-frame") for octets in sizes]

    name = "LE Credit Based Connection"
    return [
        Pdu(Phase.SETUP, client, Kind.REQUEST, 14, f"{name} Request", grants=0xFFFF),
        Pdu(Phase.SETUP, client.other, Kind.RESPONSE, 14, f"{name} Response", grants=0xFFFF),
        *framed(Side.READER, Phase.REQUEST, request_bytes),
        *framed(Side.PHONE, Phase.RESPONSE, response_bytes),
        *framed(Side.READER, Phase.END, _STATUS_20_BYTES),
    ]
