"""Signs: what the reader tells the person in front of it, independent of lamps, tones and pixels."""

from __future__ import annotations

from enum import StrEnum


class Sign(StrEnum):
    """One thing to say. Each has its own light, sound and screen in outputs."""

    READY = "ready"  # present your phone
    CONNECTING = "connecting"  # code accepted, reaching the phone
    APPROVE = "approve"  # approve on your phone
    HOLD_STILL = "hold_still"  # data is coming
    CHECKING = "checking"
    GRANTED = "granted"
    REFUSED = "refused"
    UNDETERMINED = "undetermined"  # cannot be checked here and now
    DECLINED = "declined"  # you chose not to share, or shared too little
    NOT_READABLE = "not_readable"  # that is not a mobile document
    TRY_AGAIN = "try_again"  # something broke on the way
    FAULT = "fault"  # out of order
    MAINTENANCE = "maintenance"
