"""Profiles as people write them: explained in plain words, odd ones named, wrong ones refused where they are wrong."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from mdoc_reader.app import cli, profiles, settings, wiring
from mdoc_reader.app.settings import SettingsError

CONFIG = Path(__file__).resolve().parents[2] / "config"
PRODUCTS = ("age-check", "door", "kiosk", "police-handheld", "turnstile")
PLAIN = """[profile]
name = "test"
rule = "age_over(18)"

[[profile.request]]
doctype = "org.iso.18013.5.1.mDL"
[profile.request.elements."org.iso.18013.5.1"]
age_over_18 = false
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "reader.toml"
    file.write_text(text)
    return file


def odd(folder: Path, text: str) -> list[str]:
    loaded = settings.load(written(folder, text))
    return profiles.oddities(loaded.profile, wiring.profile_of(loaded, "reader.toml", lists=False))


@pytest.mark.parametrize("name", PRODUCTS)
def test_each_product_is_a_working_file_and_asks_for_no_more_than_it_uses(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(CONFIG / f"{name}.toml")
    assert cli.main(["config", "check", file]) == 0
    assert "warning: profile" not in capsys.readouterr().out
    assert cli.main(["profile", "explain", file]) == 0
    told = capsys.readouterr().out
    assert "It opens only when" in told
    assert "Please look at this" not in told


def test_the_handheld_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["profile", "explain", str(CONFIG / "police-handheld.toml")]) == 0
    told = capsys.readouterr().out
    for words in ("may drive category B", "driving privileges", "because: the officer", "confirm or reject"):
        assert words in told
    assert "kept" not in told


def test_what_is_asked_and_not_used_is_named(tmp_path: Path) -> None:
    assert odd(tmp_path, PLAIN) == []
    (line,) = odd(tmp_path, PLAIN + "family_name = false\n")
    assert "family_name and uses it for nothing" in line
    used = PLAIN.replace('"age_over(18)"', "'age_over(18) and holds(\"family_name\")'") + "family_name = false\n"
    (line,) = odd(tmp_path, used)
    assert "which tells who somebody is, and gives no reason" in line
    assert odd(tmp_path, used.replace("doctype =", 'why = "we greet people"\ndoctype =')) == []
    (line,) = odd(tmp_path, PLAIN.replace("age_over_18 = false", "age_over_18 = true"))
    assert "intent to retain, and retains nothing" in line
    (line,) = odd(tmp_path, PLAIN.replace("age_over(18)", "drives('B')"))[1:]
    assert "can never answer" in line


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("age_over(18)", "age_ower(18)", 3, "did you mean 'age_over'"),
        ("age_over(18)", "age_over(18) and", 3, "column 17"),
        ('"age_over(18)"', '"age_over(18)"\nage_over = 21', 3, "takes the place of age_over"),
        ("name =", 'time_zone = "Europe/Berlim"\nname =', 2, "did you mean 'Europe/Berlin'"),
        ("name =", 'hours = ["mo-fr 25:00-26:00"]\nname =', 2, "25:00"),
        ("name =", "compare = true\nname =", 2, "a portrait must be asked for"),
        ("name =", 'identifier = "pseudonym"\nname =', 8, "made of document_number"),
        ("age_over(18)", "listed('x')", 3, "no list is set up here"),
        ("age_over(18)", "open_now", 3, "opening hours"),
    ],
)
def test_a_profile_that_cannot_be_is_refused_where_it_is_wrong(
    tmp_path: Path, old: str, new: str, line: int, says: str
) -> None:
    file = written(tmp_path, PLAIN.replace(old, new, 1))
    with pytest.raises(SettingsError) as caught:
        wiring.profile_of(settings.load(file), str(file))
    assert str(caught.value).startswith(f"{file}:{line}: profile.")
    assert says in str(caught.value)


def test_what_is_handed_on_is_asked_for_with_the_intent_to_retain(tmp_path: Path) -> None:
    text = PLAIN.replace("name =", 'identifier = "pseudonym"\nsite_key = "x"\nname =') + "document_number = false\n"
    with pytest.raises(SettingsError, match=r"intent to retain \(true\)"):
        settings.load(written(tmp_path, text))
    settings.load(written(tmp_path, text.replace("document_number = false", "document_number = true")))


def test_a_line_to_the_building_is_told_pseudonyms_unless_the_profile_says_otherwise(tmp_path: Path) -> None:
    line = '[building]\ndriver = "wiegand"\noptions = { d0 = 16, d1 = 21 }\n'
    with pytest.raises(SettingsError, match="made of document_number"):
        settings.load(written(tmp_path, line + PLAIN))
    visits = settings.load(written(tmp_path, line + PLAIN.replace("name =", 'identifier = "visit"\nname =')))
    assert visits.profile.identifier == "visit"
    assert settings.load(written(tmp_path, PLAIN)).profile.identifier == "none"


def test_ages_are_counted_over_all_requests(tmp_path: Path) -> None:
    more = PLAIN + "age_over_21 = false\n" + PLAIN.partition("\n\n")[2].replace("mDL", "other").replace("_18", "_65")
    with pytest.raises(SettingsError, match="at most 2 age_over_NN"):
        settings.load(written(tmp_path, more))


def test_a_site_key_is_made_once_and_for_its_owner_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = tmp_path / "site.key"
    assert cli.main(["profile", "key", str(key)]) == 0
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_bytes()
    assert cli.main(["profile", "key", str(key)]) == 1
    assert key.read_bytes() == before
    assert "is there already" in capsys.readouterr().err
    listed = PLAIN.replace("age_over(18)", "listed('staff')").replace(
        "name =", f'site_key = "{key}"\nlists = {{ staff = "{tmp_path}/staff" }}\nname =', 1
    )
    file = written(tmp_path, listed)
    with pytest.raises(SettingsError, match=r"profile\.lists\.staff: .*No such file"):
        wiring.profile_of(settings.load(file), str(file))
    (tmp_path / "staff").write_text("mdoc-reader-list 1 0000000000000000\n")
    with pytest.raises(SettingsError, match="another key"):
        wiring.profile_of(settings.load(file), str(file))
    key.chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        wiring.profile_of(settings.load(file), str(file))
