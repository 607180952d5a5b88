"""Words from files: complete, bounded, and in letters that a display has; anything else is refused with its place."""

from __future__ import annotations

import tomllib
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdoc_reader.model.sign import By, Sign
from mdoc_reader.outputs.languages import (
    ALARMS,
    DARK,
    MAX_FILE,
    MAX_FILES,
    PARTS,
    SHIPPED,
    WordsError,
    chosen,
    english,
    load,
    parse,
)
from mdoc_reader.outputs.letters import missing_letters

TEXT = (SHIPPED / "en.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("tag", ["de", "en", "uk"])
def test_what_comes_with_the_reader_is_complete(tag: str) -> None:
    language = load()[tag]
    assert set(language.signs) == set(Sign) - DARK
    assert set(language.parts) == set(PARTS)
    assert set(language.alarms) == set(ALARMS)
    assert language.invitation([By.CODE]) is None, "that is what `ready` says"
    assert language.invitation([By.CODE, By.TAP]) != language.invitation([By.TAP])
    said = [words.headline for words in language.signs.values()]
    assert len(set(said)) >= len(said) - 1, "only the two ways of approving have one headline"


def test_languages_differ_in_everything_a_person_reads() -> None:
    languages = load()
    assert set(languages) == {"de", "en", "uk"}
    for sign in set(Sign) - DARK:
        assert len({language.signs[sign].headline for language in languages.values()}) == 3
    letters = "".join(words.headline for words in languages["uk"].signs.values())
    assert all("CYRILLIC" in unicodedata.name(letter) for letter in letters if letter.isalpha())


def test_languages_are_chosen_in_order() -> None:
    assert [language.tag for language in chosen(["uk", "en"])] == ["uk", "en"]
    for tags, told in (([], "at least one"), (["en", "en"], "twice"), (["en", "xx"], "xx: there are de, en, uk")):
        with pytest.raises(WordsError, match=told):
            chosen(tags)


def test_a_folder_adds_and_replaces_languages(tmp_path: Path) -> None:
    (tmp_path / "en.toml").write_text(TEXT.replace('"Welcome"', '"Come in"'), encoding="utf-8")
    (tmp_path / "fr-CH.toml").write_text(TEXT.replace('"Welcome"', '"Bienvenue"'), encoding="utf-8")
    (tmp_path / "notes.txt").write_text("not a language", encoding="utf-8")
    found = load(tmp_path)
    assert set(found) == {"de", "en", "uk", "fr-CH"}
    assert found["en"].signs[Sign.GRANTED].headline == "Come in"
    assert found["fr-CH"].signs[Sign.GRANTED].headline == "Bienvenue"
    assert english().signs[Sign.GRANTED].headline == "Welcome"
    with pytest.raises(OSError, match="missing"):
        load(tmp_path / "missing")


@pytest.mark.parametrize("section", ["signs.granted", "invitations.tap", "alarms.held"])
def test_whatever_is_missing_is_named(section: str) -> None:
    block = TEXT[TEXT.index(f"[{section}]") :].split("\n\n")[0]
    with pytest.raises(WordsError, match=rf"my.toml: {section}: is missing"):
        parse("en", TEXT.replace(block, ""), "my.toml")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"Welcome"', '""', "signs.granted.headline: must not be empty"),
        ('"Welcome"', '" Welcome"', "begin or end with a space"),
        ('"Welcome"', '"Wel\\ncome"', r"U\+000A"),
        ('"Welcome"', f'"{"x" * 41}"', "more than 40 letters"),
        ('"Welcome"', f'"{"x" * 9000}"', "more than 40 letters"),
        ('"Welcome"', '"欢迎"', r"no U\+6B22, U\+8FCE; it has Latin, Greek and Cyrillic"),
        ('"Welcome"', '"Welcome \\u202e"', r"U\+202E"),
        ('"Welcome"', "7", "must be text"),
        ('["You may go in"]', '"You may go in"', "signs.granted.lines: must be a list"),
        ('["You may go in"]', '["a", "b", "c"]', "at most 2"),
        ('["You may go in"]', "[1]", "list of at most 2 texts"),
        ("[signs.granted]", "[signs.granted]\nsize = 3", "signs.granted.size: is not known here"),
        ("[signs.granted]", "[signs.asleep]\nheadline='Zzz'\nlines=[]\n[signs.granted]", "signs.asleep: is not known"),
        ('missing = "No {part}"', 'missing = "No part"', "missing: must be text with {part} in it once"),
        ('missing = "No {part}"', 'missing = "{part} {part}"', "once"),
        ('camera = "Camera"', "camera = []", "parts.camera: must be text"),
        ('camera = "Camera"', 'camera = "Camera"\nengine = "Engine"', "parts.engine: is not known"),
        ("[parts]", "[[parts]]", "parts: must be a table"),
        ('name = "English"', "", "name: is missing"),
        ('name = "English"', 'name = "English', "my.toml"),
        ('name = "English"', f"name = {'[' * 5000}", "my.toml"),
    ],
)
def test_whatever_is_wrong_is_named(old: str, new: str, told: str) -> None:
    assert TEXT.count(old) >= 1
    with pytest.raises(WordsError, match=told):
        parse("en", TEXT.replace(old, new, 1), "my.toml")


def test_accents_are_composed() -> None:
    decomposed = unicodedata.normalize("NFD", '"Größe"')
    assert parse("en", TEXT.replace('"Welcome"', decomposed), "x").signs[Sign.GRANTED].headline == "Größe"


@pytest.mark.parametrize("tag", ["EN", "e", "en_US", "", "../en", "en-", "en-" + "x" * 9])
def test_a_file_is_named_by_a_language_tag(tag: str) -> None:
    with pytest.raises(WordsError, match="language tag"):
        parse(tag, TEXT, "my.toml")


def test_files_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "en.toml"
    path.write_bytes(b"#" * (MAX_FILE + 1))
    with pytest.raises(WordsError, match="octets"):
        load(tmp_path)
    path.write_bytes(b'name = "\xff"')
    with pytest.raises(WordsError, match="UTF-8"):
        load(tmp_path)
    path.unlink()
    path.mkdir()
    with pytest.raises(WordsError, match="not a file"):
        load(tmp_path)
    path.rmdir()
    for number in range(MAX_FILES + 1):
        (tmp_path / f"a{chr(97 + number // 26)}{chr(97 + number % 26)}.toml").write_text(TEXT, encoding="utf-8")
    with pytest.raises(WordsError, match="more than 32 languages"):
        load(tmp_path)


TREE = tomllib.loads(TEXT)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_a_language_or_refused(text: str) -> None:
    with pytest.raises(WordsError):
        parse("en", text, "x")


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60))
def test_any_words_are_shown_whole_or_refused(text: str) -> None:
    quoted = "".join(f"\\U{ord(letter):08x}" for letter in text if not "\ud800" <= letter <= "\udfff")
    try:
        language = parse("en", TEXT.replace('"Welcome"', f'"{quoted}"'), "x")
    except WordsError:
        return
    headline = language.signs[Sign.GRANTED].headline
    assert 0 < len(headline) <= 40
    assert missing_letters(headline) == ""
    assert headline.isprintable() or "\xa0" in headline
