"""Why something could not be fetched: one code for each. What is fetched is judged elsewhere, and has codes there."""

from __future__ import annotations

from mdoc_reader.model.reasons import ReasonCode


class FetchCode(ReasonCode):
    """What went wrong on the way to a list."""

    BAD_URL = "fetch_bad_url", "The address is not one that lists are fetched from."
    INSECURE_URL = "fetch_insecure_url", "The address is plain http, and the settings do not allow that."
    NAME_UNKNOWN = "fetch_name_unknown", "The server's name is not known: is there a network?"
    PRIVATE_ADDRESS = "fetch_private_address", "The address leads into a private network, where nothing was to be got."
    UNREACHABLE = "fetch_unreachable", "The server cannot be reached: is there a network?"
    TIMED_OUT = "fetch_timed_out", "The server was too slow."
    TLS_UNTRUSTED = "fetch_tls_untrusted", "The server's certificate is not trusted."
    TLS_CLOCK = "fetch_tls_clock", "The server's certificate does not hold at this time: is the clock right?"
    TLS_FAILED = "fetch_tls_failed", "No secure connection to the server could be made."
    TLS_PIN = "fetch_tls_pin", "The server has another key than the one pinned."
    TLS_AUTHORITIES = "fetch_tls_authorities", "The file of certificates for this server cannot be read."
    BAD_ANSWER = "fetch_bad_answer", "The server does not speak HTTP as it should."
    BAD_STATUS = "fetch_bad_status", "The server answered with a status that brings no list."
    NOT_FOUND = "fetch_not_found", "The server has no list at this address."
    DENIED = "fetch_denied", "The server refuses to give the list."
    SERVER_ERROR = "fetch_server_error", "The server has a fault of its own."
    BUSY = "fetch_busy", "The server asks to come back later."
    REDIRECT_LOOP = "fetch_redirect_loop", "The server sends us in a circle."
    REDIRECT_MANY = "fetch_redirect_many", "The server sends us from place to place too often."
    REDIRECT_INSECURE = "fetch_redirect_insecure", "The server sends us from https to plain http."
    REDIRECT_HOST = "fetch_redirect_host", "The server sends us to another one, but its key was pinned."
    TOO_LARGE = "fetch_too_large", "The list is larger than the settings allow."
    BOMB = "fetch_bomb", "The list is small on the way, and larger unpacked than the settings allow."
    CUT_OFF = "fetch_cut_off", "The connection ended before the list did."
    ENCODING = "fetch_encoding", "The list is packed in a way that this reader does not know, or wrongly."
    EMPTY = "fetch_empty", "The server answered with nothing."
    WRONG_TYPE = "fetch_wrong_type", "The server answered with a page for people: does this network ask for a login?"
    OUT_OF_TIME = "fetch_out_of_time", "The time for this round was over before this list's turn."
    SPOOL_FULL = "fetch_spool_full", "The spool is full: nobody has imported what is there."


class SpoolTrouble(ReasonCode):
    """Why the fetcher cannot work at all."""

    PLAN_UNREADABLE = "fetch_plan_unreadable", "What is to be fetched cannot be read."
    NOT_WRITABLE = "fetch_spool_not_writable", "The spool cannot be written to."
    BUSY = "fetch_spool_busy", "Another fetcher is at work on this spool."


PASSING = frozenset(
    {
        FetchCode.NAME_UNKNOWN,
        FetchCode.UNREACHABLE,
        FetchCode.TIMED_OUT,
        FetchCode.TLS_FAILED,
        FetchCode.BAD_ANSWER,
        FetchCode.SERVER_ERROR,
        FetchCode.BUSY,
        FetchCode.CUT_OFF,
    }
)
"""What may be over in a moment: worth a second try at once."""


class FetchError(Exception):
    """One list could not be fetched. `retry_after`: seconds the server asked us to wait, if it did."""

    def __init__(self, code: FetchCode, detail: str = "", retry_after: float | None = None) -> None:
        """Keep the reason; `detail` is made of our own words and of numbers."""
        self.code = code
        self.detail = detail[:200]
        self.retry_after = retry_after
        super().__init__(code, self.detail)

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.code}: {self.detail or self.code.log}"


class SpoolError(Exception):
    """The fetcher cannot work."""

    def __init__(self, code: SpoolTrouble, detail: str = "") -> None:
        """Keep the reason; `detail` names a file or an error of the system."""
        self.code = code
        self.detail = detail[:200]
        super().__init__(code, self.detail)

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.code}: {self.code.log} ({self.detail})" if self.detail else f"{self.code}: {self.code.log}"
