"""Words in several languages, read from TOML files: one file for each language, named by its tag (`en.toml`).

Some come with the reader; an operator's own folder adds more, or replaces one whole. A file is complete or refused: a
sign without words would leave a person standing there with nothing to read. A refusal names the file, the key and what
would be right.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from mdoc_reader.model.sign import By, Sign
from mdoc_reader.outputs.letters import missing_letters

MAX_FILE = 64 * 1024
MAX_FILES = 32
MAX_TEXT = 40
"""Letters in a headline or a line."""
MAX_LINES = 2
DARK = frozenset({Sign.ASLEEP})
"""Signs that say nothing, in any language."""
INVITATIONS: Mapping[str, frozenset[By]] = MappingProxyType(
    {"tap": frozenset({By.TAP}), "tap_or_code": frozenset({By.TAP, By.CODE})}
)
ALARMS = ("forced", "held")
PARTS = (
    *("bluetooth", "camera", "nfc", "pins", "display", "building"),
    *("clock", "key", "lists", "disk", "temperature", "power"),
)
SHIPPED = Path(__file__).parent / "words"
_TAG = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{1,8}){0,4}")
_PLACE = "{part}"


class WordsError(ValueError):
    """Words that cannot be used, with the file and the key."""


@dataclass(frozen=True, slots=True)
class Words:
    """What a screen says: one headline, up to two small lines."""

    headline: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Language:
    """Everything the reader can say in one language. `name` is what the language calls itself."""

    tag: str
    name: str
    signs: Mapping[Sign, Words]
    invitations: Mapping[frozenset[By], Words]
    alarms: Mapping[str, Words]
    parts: Mapping[str, str]
    missing: str
    look_at: str

    def invitation(self, by: Collection[By]) -> Words | None:
        """Return the words for people who can begin in these ways; None where `ready` says it."""
        return self.invitations.get(frozenset(by))

    def named(self, sign: Sign, parts: Sequence[str]) -> str:
        """Return one line that names parts: what to look at under maintenance, else what does not work."""
        told = self.look_at if sign is Sign.MAINTENANCE else self.missing
        return told.replace(_PLACE, ", ".join(self.parts.get(part, part) for part in parts))


def load(folder: Path | None = None) -> Mapping[str, Language]:
    """Return every language by its tag: those that come with the reader, and those of `folder`, which win.

    Raises WordsError for a file that is not complete and right, and OSError for a folder that cannot be read.
    """
    found = dict(_shipped())
    if folder is not None:
        found |= _read_folder(folder)
    return MappingProxyType(found)


def chosen(tags: Sequence[str], folder: Path | None = None) -> tuple[Language, ...]:
    """Return the languages of these tags in their order, the first being what the reader falls back to.

    Raises WordsError as `load` does, and for no tag, a tag twice, or one that has no file.
    """
    known = load(folder)
    if not tags:
        raise WordsError("at least one language is needed")
    if len(set(tags)) < len(tags):
        raise WordsError("a language is named twice")
    unknown = [tag for tag in tags if tag not in known]
    if unknown:
        raise WordsError(f"no words for {', '.join(unknown)}: there are {', '.join(sorted(known))}")
    return tuple(known[tag] for tag in tags)


def english() -> Language:
    """Return the English that comes with the reader."""
    return _shipped()["en"]


def parse(tag: str, text: str, source: str) -> Language:
    """Return the language of a file's text. Raises WordsError; `source` names the file in it."""
    if not _TAG.fullmatch(tag):
        raise WordsError(f"{source}: {tag!r} is no language tag; one looks like en or de-AT")
    try:
        tree = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise WordsError(f"{source}: {error}") from error
    reader = _Reader(source)
    reader.keys(tree, "", ("name", "missing", "look_at", "signs", "invitations", "alarms", "parts"))
    signs = reader.said(tree, "signs", [str(sign) for sign in Sign if sign not in DARK])
    invitations = reader.said(tree, "invitations", list(INVITATIONS))
    parts = reader.table(tree, "", "parts")
    reader.keys(parts, "parts", PARTS)
    return Language(
        tag,
        reader.text(tree, "", "name"),
        MappingProxyType({Sign(name): words for name, words in signs.items()}),
        MappingProxyType({INVITATIONS[name]: words for name, words in invitations.items()}),
        MappingProxyType(reader.said(tree, "alarms", ALARMS)),
        MappingProxyType({part: reader.text(parts, "parts", part) for part in PARTS}),
        reader.pattern(tree, "missing"),
        reader.pattern(tree, "look_at"),
    )


class _Reader:
    """Takes a file's values apart and says where one is wrong."""

    def __init__(self, source: str) -> None:
        self._source = source

    def _wrong(self, where: str, key: str, what: str) -> WordsError:
        return WordsError(f"{self._source}: {f'{where}.{key}' if where else key}: {what}")

    def keys(self, tree: Mapping[str, object], where: str, wanted: Sequence[str]) -> None:
        """Refuse a key that is missing and one that is too many."""
        for key in wanted:
            if key not in tree:
                raise self._wrong(where, key, "is missing")
        for key in tree:
            if key not in wanted:
                raise self._wrong(where, key[:MAX_TEXT], f"is not known here; known are {', '.join(wanted)}")

    def table(self, tree: Mapping[str, object], where: str, key: str) -> Mapping[str, object]:
        """Return a table."""
        value = tree[key]
        if not isinstance(value, dict):
            raise self._wrong(where, key, "must be a table")
        return value

    def text(self, tree: Mapping[str, object], where: str, key: str) -> str:
        """Return one line of text, composed (NFC), that a display can show."""
        value = tree[key]
        if not isinstance(value, str):
            raise self._wrong(where, key, "must be text")
        return self._checked(value, where, key)

    def pattern(self, tree: Mapping[str, object], key: str) -> str:
        """Return a text with the place of a part's name in it, once."""
        value = tree[key]
        if not isinstance(value, str) or value.count(_PLACE) != 1:
            raise self._wrong("", key, f"must be text with {_PLACE} in it once")
        self._checked(value.replace(_PLACE, "x"), "", key)
        return unicodedata.normalize("NFC", value)

    def said(self, tree: Mapping[str, object], section: str, wanted: Sequence[str]) -> dict[str, Words]:
        """Return a table of words with just these keys."""
        table = self.table(tree, "", section)
        self.keys(table, section, wanted)
        return {key: self._words(self.table(table, section, key), f"{section}.{key}") for key in wanted}

    def _words(self, tree: Mapping[str, object], where: str) -> Words:
        self.keys(tree, where, ("headline", "lines"))
        lines = tree["lines"]
        if not isinstance(lines, list) or len(lines) > MAX_LINES or not all(isinstance(line, str) for line in lines):
            raise self._wrong(where, "lines", f"must be a list of at most {MAX_LINES} texts")
        checked = tuple(self._checked(line, where, "lines") for line in lines)
        return Words(self.text(tree, where, "headline"), checked)

    def _checked(self, value: str, where: str, key: str) -> str:
        text = unicodedata.normalize("NFC", value[: MAX_TEXT * 4])
        if not text.strip() or text != text.strip():
            raise self._wrong(where, key, "must not be empty, nor begin or end with a space")
        if len(text) > MAX_TEXT:
            raise self._wrong(where, key, f"has more than {MAX_TEXT} letters")
        if lacking := missing_letters(text):
            told = ", ".join(f"U+{ord(letter):04X}" for letter in lacking[:8])
            raise self._wrong(where, key, f"the display's font has no {told}; it has Latin, Greek and Cyrillic")
        return text


@cache
def _shipped() -> Mapping[str, Language]:
    return MappingProxyType(_read_folder(SHIPPED))


def _read_folder(folder: Path) -> dict[str, Language]:
    paths = sorted(path for path in folder.iterdir() if path.suffix == ".toml")
    if len(paths) > MAX_FILES:
        raise WordsError(f"{folder}: more than {MAX_FILES} languages")
    return {path.stem: _read_file(path) for path in paths}


def _read_file(path: Path) -> Language:
    if not path.is_file():  # a pipe would keep the start waiting
        raise WordsError(f"{path}: is not a file")
    with path.open("rb") as file:
        octets = file.read(MAX_FILE + 1)
    if len(octets) > MAX_FILE:
        raise WordsError(f"{path}: has more than {MAX_FILE} octets")
    try:
        return parse(path.stem, octets.decode("utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise WordsError(f"{path}: is not UTF-8") from error
