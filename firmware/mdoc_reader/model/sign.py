"""Signs: what the reader tells the person in front of it, independent of lamps, tones and pixels."""

from __future__ import annotations

from enum import StrEnum


class By(StrEnum):
    """How a person can begin, for signs that invite."""

    CODE = "code"  # show a QR code to the camera
    TAP = "tap"  # tap the phone


class Sign(StrEnum):
    """One thing to say. Each has its own light, sound and screen in outputs."""

    READY = "ready"  # present your phone
    CONNECTING = "connecting"  # code accepted, reaching the phone
    APPROVE = "approve"  # approve on your phone
    APPROVE_HERE = "approve_here"  # the same, and the phone stays at the reader
    HOLD_STILL = "hold_still"  # data is coming
    CHECKING = "checking"
    GRANTED = "granted"
    REFUSED = "refused"
    UNDETERMINED = "undetermined"  # cannot be checked here and now
    DECLINED = "declined"  # you chose not to share, or shared too little
    NOT_READABLE = "not_readable"  # that is not a mobile document
    UNLOCK = "unlock"  # unlock your phone first
    ONE_ONLY = "one_only"  # more than one card or phone at the reader
    TAP_AGAIN = "tap_again"  # approve on the phone, then tap once more
    TRY_AGAIN = "try_again"  # something broke on the way
    COMPARE = "compare"  # the attendant compares the portrait with the person
    CLOSED = "closed"  # outside opening hours
    ALARM = "alarm"  # the door was forced, or stands open too long
    FAULT = "fault"  # out of order
    MAINTENANCE = "maintenance"
    ASLEEP = "asleep"  # nothing is said: lamps off, display dark
