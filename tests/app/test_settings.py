"""Settings: what is wrong is said with file, line, key and what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from mdoc_reader.app import cli, settings, wiring
from mdoc_reader.app.settings import SettingsError

CONFIG = Path(__file__).resolve().parents[2] / "config"
GOOD = """\
[reader]
name = "test door"

[deadlines]
consent = 20

[profile]
name = "over 18"
age_over = 18

[[profile.request]]
doctype = "org.iso.18013.5.1.mDL"
[profile.request.elements."org.iso.18013.5.1"]
age_over_18 = false
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "reader.toml"
    file.write_text(text)
    return file


@pytest.mark.parametrize("name", sorted(path.name for path in CONFIG.glob("*.toml")))
def test_every_shipped_configuration_is_good(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["config", "check", str(CONFIG / name)]) == 0
    assert capsys.readouterr().out.endswith("ok\n")


def test_what_is_left_out_has_the_standards_times(tmp_path: Path) -> None:
    loaded = settings.load(written(tmp_path, GOOD))
    assert loaded.reader.product
    assert wiring.deadlines_of(loaded).unconforming() == ("consent",)


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ('name = "test door"', 'nmae = "x"', 2, ("reader.nmae", "did you mean 'name'")),
        ("consent = 20", 'consent = "soon"', 5, ("deadlines.consent", "Expected `float`")),
        ("consent = 20", "consent = -1", 5, ("deadlines.consent", "> 0")),
        ("age_over = 18", "age_over = 180", 9, ("profile.age_over", "<= 99")),
        ("age_over_18 = false", 'age_over_18 = "no"', 13, ("elements", "Expected `bool`")),
        ("[deadlines]", "[deadline]", 4, ("deadline", "did you mean 'deadlines'")),
        (
            "age_over_18 = false",
            "age_over_18 = false\nage_over_21 = false\nage_over_65 = false",
            13,
            ("at most 2 age_over_NN",),
        ),
        ("age_over_18 = false", "", 13, ("one element at least",)),
        ("[reader]", "[reader", 1, ("not TOML",)),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, line: int, says: tuple[str, ...]) -> None:
    assert old in GOOD
    file = written(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(SettingsError) as caught:
        settings.load(file)
    text = str(caught.value)
    assert text.startswith(str(file))
    for part in says:
        assert part in text, text
    if "not TOML" not in says:
        assert f":{line}:" in text, text


def test_a_product_refuses_simulated_parts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    simulated = 'driver = "simulated"\noptions.wire = "{runtime}/pins.sock"\n'
    file = written(tmp_path, f"{GOOD}\n[pins]\n{simulated}")
    assert cli.main(["config", "check", str(file)]) == 2
    assert "simulated; a product refuses it" in capsys.readouterr().err
    assert cli.main(["run", "--config", str(file)]) == 2
    allowed = written(tmp_path, GOOD.replace("[reader]", "[reader]\nproduct = false") + f"\n[pins]\n{simulated}")
    assert cli.main(["config", "check", str(allowed)]) == 0


def test_unknown_drivers_and_options_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["config", "check", str(written(tmp_path, f'{GOOD}\n[bluetooth]\ndriver = "bluez9"\n'))]) == 2
    assert "there are bluez, bumble, disabled" in capsys.readouterr().err
    text = f'{GOOD}\n[bluetooth]\ndriver = "bumble"\noptions.transprot = "usb:0"\n'
    assert cli.main(["config", "check", str(written(tmp_path, text))]) == 2
    assert "transprot" in capsys.readouterr().err


def test_a_missing_file_and_a_missing_anchor_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "--config", str(tmp_path / "no.toml")]) == 2
    assert "cannot be read" in capsys.readouterr().err
    file = written(tmp_path, GOOD.replace("[reader]", '[reader]\ntrust_anchors = ["/nowhere"]'))
    assert cli.main(["run", "--config", str(file)]) == 2
    assert "/nowhere" in capsys.readouterr().err


def test_placeholders_are_replaced_anywhere_in_options() -> None:
    places = {"runtime": "/run/reader", "state": "/var/lib/reader"}
    tree = {"transport": "unix:{runtime}/hci.sock", "list": ["{state}/a", 3], "n": 1}
    assert wiring.expand(tree, places) == {
        "transport": "unix:/run/reader/hci.sock",
        "list": ["/var/lib/reader/a", 3],
        "n": 1,
    }
