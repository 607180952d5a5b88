"""How a lab phone behaves on the air, and where it leaves the standard (ISO 18013-5 11.1.3)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class VanishAt(StrEnum):
    """When a phone disconnects without a word; it raises PhoneGone then."""

    BEFORE_CONNECTION = "before_connection"
    """As server it advertises, and leaves when a reader asks for a connection, without an answer. As client it has
    found the reader and asks for none."""
    CONNECTED = "connected"
    MTU_EXCHANGED = "mtu_exchanged"
    BETWEEN_SUBSCRIPTIONS = "between_subscriptions"
    """One of the two notifications is enabled."""
    SUBSCRIBED = "subscribed"
    """Both notifications are enabled, State=01 is not written; as server, the answer to the second is never sent."""
    STARTED = "started"
    """State=01 was written, or the L2CAP channel was opened."""
    MID_RECEIVE = "mid_receive"
    """After the first piece of the reader's first message."""
    MID_SEND = "mid_send"
    """After half of the pieces of its first message."""
    AFTER_SEND = "after_send"
    """Right after its first whole message, before the end."""


@dataclass(frozen=True, slots=True)
class PhoneRadioBehaviour:
    """How a phone behaves on the air. Sizes in bytes, times in seconds."""

    mtu: int = 515
    """The ATT MTU it asks for (as client) or grants (as server), at most 517; 23 as client asks for none."""
    chunk: int | None = None
    """The size of its chunks with their flag byte; None for the largest that fit. On L2CAP: what it writes at once."""
    short_chunks: bool = False
    """Every second chunk that is not the last is only half as long as it could be."""
    chunk_delay_s: float = 0.0
    ident_check: bool = True
    """Whether it reads Ident and leaves a reader that shows another."""
    no_state: bool = False
    """It connects, subscribes, and never starts."""
    idle: bool = False
    """As client: it connects and does nothing more."""
    start_first: bool = False
    """As client: it writes State=01 before it enables notifications."""
    takes_several: bool = False
    """As client: it tells the reader, where that can be told, that it takes several notifications in one PDU."""
    early_data: bytes | None = None
    """A chunk to be ignored: as client written before State=01; as server notified before the reader subscribed, once
    when it connected and once between its two subscriptions."""
    missing: tuple[int, ...] = ()
    """As server: characteristics (1 State, 2 Client2Server, 3 Server2Client) it does not have."""
    wrong_service: bool = False
    """As server it advertises the UUID of the engagement and has a service with another; as client it looks for another
    on the reader it found, and leaves."""
    swap_chunk: int | None = None
    """The place, from 0, of a chunk of each of its messages that changes places with the next one."""
    duplicate_chunk: int | None = None
    """The place, from 0, of a chunk of each of its messages that is sent twice."""
    endless: int | None = None
    """In place of each message it sends pieces of one that never ends, until it has sent so many bytes."""
    vanish_at: VanishAt | None = None
    vanish_delay_s: float = 0.0
    """How long after its last message it vanishes: on a real air a connection interval at least, 7.5 ms or more."""
    l2cap: bool = False
    """As server it takes L2CAP channels at `psm`; as client it opens one where the reader offers it."""
    psm: int = 0x00C1
    psm_characteristic: bool = True
    """As server with `l2cap`: whether its service tells the PSM (characteristic 0000000A)."""
    refuse_channel: bool = False
    """As server with `l2cap`: the PSM is told and nobody listens there."""
    drop_channel_after: int | None = None
    """It closes the channel once so many bytes, or the whole of the reader's first message, came; the connection stays,
    and the session can start over GATT there."""
    starve_channel: bool = False
    """It lets one frame come over the channel and gives no further credits; the session can start over GATT there."""
    falls_back: bool = True
    """As client: when the channel is refused or ends early, it starts by State=01 instead of leaving."""


ORDINARY = PhoneRadioBehaviour()
"""A phone that does as it should, without L2CAP."""

BYTE_A_SECOND = PhoneRadioBehaviour(chunk=2, chunk_delay_s=1.0)
"""A phone that sends one byte of its message a second."""
