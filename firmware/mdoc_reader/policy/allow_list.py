"""Lists of documents that a site knows, by keyed hash: whoever reads the file learns no document number from it.

An entry is HMAC-SHA256 with the site's key for lists over four lines: `mdoc-reader list entry`, issuing country,
issuing jurisdiction or nothing, and document number, in capitals and without blanks. Numbers are short: without the key
they could all be tried, so the key is a secret of the site and never in the file. Where states or provinces number
their documents on their own, an entry that names the jurisdiction tells them apart.

The file is text, one entry a line, `#` begins a comment:

    mdoc-reader-list 1 KEY-ID
    HASH
    HASH badge=12345
    HASH jurisdiction badge=12346

KEY-ID and HASH are hexadecimal, 16 and 64 digits; `jurisdiction` says that the hash covers one.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mdoc_reader.model.badge import MAX_BITS, Badge

MAX_BYTES = 16 * 1024 * 1024
MAX_ENTRIES = 100_000
MAX_LINE = 200
MIN_KEY, MAX_KEY = 16, 64
MAX_PART = 256
_HEADER = "mdoc-reader-list"
_VERSION = "1"
_PURPOSE = "mdoc-reader list entry"
_HEX = frozenset("0123456789abcdef")


class ListError(ValueError):
    """A list that cannot be used. The text names the line and what would be right; it quotes no entry."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What a list says of one document: that it is on it, and perhaps its badge."""

    badge: Badge | None = field(default=None, repr=False)


_PLAIN = Entry()


@dataclass(frozen=True, slots=True)
class AllowList:
    """A list with its key.

    Attributes:
        entries: by hash.
        jurisdictions: whether some of the hashes cover a jurisdiction.
    """

    key: bytes = field(repr=False)
    entries: Mapping[bytes, Entry] = field(repr=False)
    jurisdictions: bool = False

    def find(self, country: str, jurisdiction: str | None, number: str) -> Entry | None:
        """Return the entry of a document, None where there is none.

        A plain look-up: who times it learns of a keyed hash, and nothing of the list.
        """
        found = self.entries.get(_hash(self.key, country, "", number))
        if found is None and self.jurisdictions and jurisdiction:
            found = self.entries.get(_hash(self.key, country, jurisdiction, number))
        return found


def key_id(key: bytes) -> str:
    """Return what tells one site's key from another's without telling anything of the key."""
    return hmac.digest(key, b"mdoc-reader list key", "sha256").hex()[:16]


def header(key: bytes) -> str:
    """Return the first line of a list made with a key. Raises ValueError for a key of a wrong length."""
    _check_key(key)
    return f"{_HEADER} {_VERSION} {key_id(key)}"


def make_entry(key: bytes, country: str, number: str, *, jurisdiction: str = "", badge: int | None = None) -> str:
    """Return the line of one document. Raises ValueError for parts that no document has.

    Args:
        key: the site's, 16 to 64 bytes.
        country: issuing_country, two or three letters.
        number: document_number as the document shows it; blanks and the case of letters do not matter.
        jurisdiction: issuing_jurisdiction, where the number is only unique together with it.
        badge: what the building is told for this document.
    """
    _check_key(key)
    country = _plain(country)
    if not (2 <= len(country) <= 3 and country.isascii() and country.isalpha()):
        raise ValueError("issuing country: two letters such as DE")
    if not _plain(number):
        raise ValueError("document number: it is empty")
    if max(len(number), len(jurisdiction)) > MAX_PART:
        raise ValueError(f"document number and jurisdiction have at most {MAX_PART} characters")
    parts = [_hash(key, country, jurisdiction, number).hex()]
    if _plain(jurisdiction):
        parts.append("jurisdiction")
    if badge is not None:
        parts.append(f"badge={Badge(badge).number}")
    return " ".join(parts)


def load(path: Path, key: bytes) -> AllowList:
    """Read a list from its file. Raises OSError and ListError."""
    with path.open("rb") as stream:
        data = stream.read(MAX_BYTES + 1)
    try:
        return parse(data, key)
    except ListError as error:
        raise ListError(f"{path}:{error}") from None


def parse(data: bytes, key: bytes) -> AllowList:
    """Read a list. Raises ListError that begins with the line."""
    _check_key(key)
    if len(data) > MAX_BYTES:
        raise ListError(f"1: a list has at most {MAX_BYTES} bytes")
    try:
        lines = data.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise ListError(f"{number}: a list is ASCII text (byte {error.start} is not)") from None
    entries: dict[bytes, Entry] = {}
    jurisdictions, begun = False, False
    for number, line in enumerate(lines, 1):
        fields = line[: MAX_LINE + 1].partition("#")[0].split()
        if not fields:
            continue
        if not begun:
            _check_header(fields, key, number)
            begun = True
            continue
        if len(line) > MAX_LINE:
            raise ListError(f"{number}: a line has at most {MAX_LINE} characters")
        digest, entry, covers = _entry(fields, number)
        if digest in entries:
            raise ListError(f"{number}: this document is on the list already")
        if len(entries) == MAX_ENTRIES:
            raise ListError(f"{number}: a list has at most {MAX_ENTRIES} entries")
        entries[digest] = entry
        jurisdictions = jurisdictions or covers
    if not begun:
        raise ListError(f"1: a list begins with '{_HEADER} {_VERSION} KEY-ID'")
    return AllowList(key, entries, jurisdictions)


def _check_key(key: bytes) -> None:
    if not MIN_KEY <= len(key) <= MAX_KEY:
        raise ListError(f"1: the key of a list has {MIN_KEY} to {MAX_KEY} bytes; this one has {len(key)}")


def _check_header(fields: list[str], key: bytes, number: int) -> None:
    if fields[0] != _HEADER or len(fields) != 3:
        raise ListError(f"{number}: a list begins with '{_HEADER} {_VERSION} KEY-ID'")
    if fields[1] != _VERSION:
        raise ListError(f"{number}: a list of version {fields[1][:8]!r}; this program reads version {_VERSION}")
    if fields[2] != key_id(key):
        raise ListError(f"{number}: the list was made with another key than the site's, whose id is {key_id(key)}")


def _entry(fields: list[str], number: int) -> tuple[bytes, Entry, bool]:
    digest = fields[0].lower()
    if len(digest) != 64 or not _HEX.issuperset(digest):
        raise ListError(f"{number}: an entry begins with a hash of 64 hexadecimal digits")
    covers, badge = False, None
    for word in fields[1:]:
        name, equals, value = word.partition("=")
        if word == "jurisdiction" and not covers:
            covers = True
        elif name == "badge" and equals and badge is None:
            badge = _badge(value, number)
        else:
            raise ListError(f"{number}: behind a hash stand 'jurisdiction' and 'badge=NUMBER', each once at most")
    return bytes.fromhex(digest), _PLAIN if badge is None else Entry(badge), covers


def _badge(text: str, number: int) -> Badge:
    if 0 < len(text) <= 20 and text.isdigit():
        value = int(text)
        if value < 1 << MAX_BITS:
            return Badge(value)
    raise ListError(f"{number}: a badge is a number of at most {MAX_BITS} bits")


def _plain(text: str) -> str:
    """Take the blanks out and make letters large: how a number is printed and typed."""
    return "".join(text.split()).upper()


def _hash(key: bytes, country: str, jurisdiction: str, number: str) -> bytes:
    # No part can hold the separator, which is a blank: two documents never make one message. The first line keeps it
    # from what else the site's key is used for.
    message = "\n".join((_PURPOSE, _plain(country), _plain(jurisdiction), _plain(number)))
    return hmac.digest(key, message.encode("utf-8", "surrogatepass"), "sha256")
