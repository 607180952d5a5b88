"""Why each ATT request, signalling PDU and D-Bus call of a presentation over BlueZ is left: words for `bluetooth.py`.

The tables are made from what was counted; whatever is counted and has no reason here is shown with a question mark.
"""

from __future__ import annotations

UNKNOWN = "?"

# By the beginning of the PDU's name; the first that fits counts. `whose` is who decides that it is said.
AIR: tuple[tuple[str, str, str], ...] = (
    ("Exchange MTU", "specification", "More than 23 octets a PDU; once a connection."),
    ("Read By Type Request 2B3A", "bluetoothd", "Server Supported Features: asked of every phone, no setting."),
    (
        "Read By Group Type Request 2800",
        "bluetoothd",
        "All services, until the phone says there are no more. One would do (Find By Type Value); no setting.",
    ),
    ("Read By Group Type Request 2801", "bluetoothd", "Secondary services: always asked, no setting."),
    ("Read By Type Request 2802", "bluetoothd", "Included services: always asked, no setting."),
    (
        "Read By Type Request 2803",
        "specification, bluetoothd",
        "Characteristics. One request would do for our service; bluetoothd asks for those of all services.",
    ),
    ("Read By Type Request 2B2A", "bluetoothd", "Database Hash: read even with Cache = no."),
    ("Write Request, 2B29", "bluetoothd", "Client Supported Features: told wherever the phone has the characteristic."),
    ("Write Request, CCCD of 2A05", "bluetoothd", "Subscribes to Service Changed wherever the phone has it."),
    (
        "Write Request, CCCD of State",
        "18013-5",
        "State=02 may come from the server: both sides must be able to hear it.",
    ),
    ("Write Request, CCCD of Server2Client", "18013-5", "The messages of the server are notifications."),
    ("Write Command, State", "18013-5", "State=01 begins the session; State=02 ends it."),
    ("Write Command, Client2Server", "18013-5", "A message, in chunks of MTU - 3."),
    (
        "Handle Value Notification",
        "18013-5",
        "A message, in chunks of MTU - 3, ours of MTU - 5; State=02 where the server ends it.",
    ),
    ("LE Credit Based Connection", "specification", "Opens the channel."),
    ("Flow Control Credit", "specification", "The kernel's credits: as it reads, it lets more come."),
    ("K-frame", "18013-5", "The messages with their length."),
    ("LL_TERMINATE_IND", "specification", "The end of the connection."),
    ("Error Response", "", "The answer to a search that found nothing more."),
)

PHONE: tuple[tuple[str, str], ...] = (
    ("Find By Type Value", "The service by its UUID, until there are no more."),
    ("Read By Type Request 2803", "Its characteristics, until there are no more."),
    ("Find Information", "The CCCD it is about to write."),
    ("Exchange MTU", "More than 23 octets a PDU; once a connection."),
    ("Read Request, Ident", "It checks that the reader is the one it engaged (18013-5)."),
    ("Read Request, PSM", "Where the channel is (18013-5)."),
    ("Write Request, CCCD", "It subscribes, as 18013-5 has it."),
)
"""What a phone that is client chooses to ask."""

# By phase and member, then by member alone.
BUS: dict[tuple[str, str], str] = {
    (
        "",
        "SetDiscoveryFilter",
    ): "LE only, and only this UUID: nobody else's advertisements wake us. Goes out with the next.",
    ("", "StartDiscovery"): "bluetoothd connects only to what it has seen.",
    ("", "StopDiscovery"): "The controller cannot scan and connect well at once. Nobody waits for it.",
    ("", "Connect"): "Connects, exchanges the MTU, discovers.",
    ("link", "Connect"): "Connects, exchanges the MTU, discovers. For a channel: GATT stays reachable should it fail.",
    ("", "AcquireNotify"): "Subscribes and gives a socket for all values: one for State, one for the messages.",
    ("", "AcquireWrite"): "A socket for all chunks: without it each chunk is a call.",
    ("start", "WriteValue"): "State=01, one value: acquiring a socket for it is as dear.",
    ("end", "WriteValue"): "State=02.",
    ("end", "ReadValue"): "A fence: once the phone has answered, State=02 has arrived. Only while it is still there.",
    ("", "RegisterApplication"): "The service of this engagement.",
    ("", "RegisterAdvertisement"): "Its UUID on the air. Goes out with the one before.",
    ("", "UnregisterAdvertisement"): "Nobody else is to connect.",
    ("", "UnregisterApplication"): "The service was for one presentation.",
    ("", "<GetManagedObjects"): "bluetoothd reads the service, twice by its own habit.",
    ("", "<GetAll"): "bluetoothd reads the advertisement.",
    ("", "<ReadValue"): "The phone reads Ident, and the PSM where there are channels.",
    ("", "<AcquireNotify"): "The phone subscribes: a socket for each characteristic.",
    ("start", "<WriteValue"): "State=01.",
    (
        "response",
        "<WriteValue",
    ): "A call for each chunk: WriteAcquired would save them, and mixes early writes up in 5.66 and 5.82.",
    ("", "<StopNotify"): "bluetoothd tells that the phone is gone.",
    ("", "<Release"): "bluetoothd takes the advertisement down.",
    ("end", "Set"): "Blocks the device: that disconnects at once, where Disconnect alone waits two seconds.",
    ("", "Disconnect"): "Ends what bluetoothd is about with the device, before it is blocked.",
    ("", "RemoveDevice"): "Nothing is remembered of a phone: it comes with another address next time. After the end.",
}


def of_air(name: str, *, by_phone: bool = False) -> tuple[str, str]:
    """Return who decides about a PDU, and why it is there."""
    if by_phone and (why := next((why for start, why in PHONE if name.startswith(start)), None)):
        return "phone", why
    return next(((whose, why) for start, whose, why in AIR if name.startswith(start)), (UNKNOWN, UNKNOWN))


def of_bus(phase: str, member: str) -> str:
    """Return why a call is made."""
    return BUS.get((phase, member)) or BUS.get(("", member)) or UNKNOWN
