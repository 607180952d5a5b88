"""Whole products, as processes: the handheld whose officer looks at the portrait, the kiosk's door, the turnstile."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from device_stage import Device, device
from osdp_bench import Panel, Wire, until
from PIL import Image

from mdoc_reader.app import cli
from mdoc_reader.lab import certificates, issuer, people
from mdoc_reader.lab.situations import SITUATIONS
from mdoc_reader.lab.wallet import Holding, Wallet

ASKS = """
[profile]
name = "may drive"
rule = 'drives("B")'
compare = true

[[profile.request]]
doctype = "org.iso.18013.5.1.mDL"
why = "the portrait is compared"
[profile.request.elements."org.iso.18013.5.1"]
portrait = false
driving_privileges = false
"""


def adult(reader: Device, portrait: bytes | None = None) -> Wallet:
    """A grown-up, with a portrait of one colour where none is given."""
    today = certificates.now().date()
    key = issuer.generate_device_key("P-256")
    elements = people.mdl_elements(people.adult(today), today, portrait_jpeg=portrait)
    return Wallet([Holding(issuer.issue(reader.signer, key.public_key(), people.MDL_DOCTYPE, elements), key)])


def looks(path: Path) -> set[tuple[int, int, int]]:
    """Return the colours on a display, but for black and white."""
    with Image.open(path) as picture:
        found = picture.convert("RGB").getcolors(1 << 16) or []
    return {colour for _, colour in found if isinstance(colour, tuple) and len(set(colour)) > 1}


async def shown(reader: Device, wanted: Callable[[Path], bool]) -> None:
    """Wait until the display, which another process draws, looks as wanted."""
    async with asyncio.timeout(5):
        while not wanted(reader.screen):  # noqa: ASYNC110 -- a file tells nobody
            await asyncio.sleep(0.05)


def test_the_handheld(tmp_path: Path) -> None:
    settings = f"""
[deadlines]
comparing = 3
showing = 0.5
asleep = 6

[buttons]
lock = true

[panel]
languages = ["en", "de"]
{ASKS}"""

    async def play() -> None:
        async with device(tmp_path, settings) as reader:
            await reader.until("phase", phase="idle")
            async with reader.visitor(adult(reader)):
                await reader.until("phase", phase="comparing")
                await reader.bench.press("confirm")  # nobody has looked at a face so soon
                await asyncio.sleep(0.8)
                assert reader.bench.state.events("relay") == [] or not reader.bench.state.relay
                faces = looks(reader.screen)
                await reader.bench.press("confirm")
                told = await reader.until("concluded")
            assert told["outcome"] == "granted", told
            assert told["reasons"] == ["rule_met", "holder_confirmed"]
            assert len(faces) > 1500, "a photograph was on the display"
            await reader.bench.wait_for(lambda state: state.relay)
            await reader.until("phase", phase="idle")
            await shown(reader, lambda screen: len(looks(screen)) < 500)

            async with reader.visitor(adult(reader)):
                await reader.until("phase", phase="comparing")
                await reader.bench.press("reject")
                told = await reader.until("concluded")
            assert (told["outcome"], told["reasons"]) == ("refused", ["holder_rejected"])
            await reader.until("phase", phase="idle")

            async with reader.visitor(adult(reader)):
                told = await reader.until("concluded")
            assert told["reasons"] == ["timeout_comparing"]
            await shown(reader, lambda screen: len(looks(screen)) < 500)
            await reader.until("phase", phase="idle")

            async with reader.visitor(adult(reader, portrait=b"\xff\xd8\xff no picture")):
                told = await reader.until("concluded")
            assert (told["outcome"], told["reasons"]) == ("undetermined", ["portrait_unreadable"])
            await reader.until("phase", phase="idle")

            english = reader.screen.read_bytes()
            await reader.bench.press("language")
            await shown(reader, lambda screen: screen.read_bytes() != english)

            await reader.until("phase", phase="asleep")
            await reader.bench.press("confirm")
            await reader.bench.press("wake")
            await asyncio.sleep(0.3)
            assert not [told for told in reader.told if told["event"] == "phase"], "a short press wakes nobody"
            await reader.bench.press("wake", 1.4)
            await reader.until("phase", phase="idle")

    asyncio.run(play())
    log = (tmp_path / "log").read_text()
    assert "Muster" not in log


def test_the_kiosk(tmp_path: Path) -> None:
    """Hours, a forced door, a granted one, the exit button, and a door that is left open."""
    settings = """
[panel]
relay_pulse = 0.5

[door]
grace = 0.5
warn = 0.5
held = 1

[deadlines]
showing = 0.3

[profile]
name = "over 18"
rule = "age_over(18) and open_now"
hours = ["daily 00:00-24:00"]
time_zone = "Europe/Berlin"

[[profile.request]]
doctype = "org.iso.18013.5.1.mDL"
[profile.request.elements."org.iso.18013.5.1"]
age_over_18 = false
"""

    async def play() -> None:
        async with device(tmp_path, settings) as reader:
            await reader.until("phase", phase="idle")
            await shown(reader, lambda screen: screen.exists())
            calm = reader.screen.read_bytes()
            await reader.bench.contact("door")
            await reader.until("door", what="door_forced")
            await reader.bench.wait_for(lambda state: bool(state.parts.get("alarm")))
            await shown(reader, lambda screen: screen.read_bytes() != calm)
            await reader.bench.contact("door", active=False)
            await reader.until("door", what="door_closed")
            await reader.bench.wait_for(lambda state: not state.parts.get("alarm"))
            await shown(reader, lambda screen: screen.read_bytes() == calm)

            async with reader.visitor(adult(reader)):
                told = await reader.until("concluded")
                assert told["outcome"] == "granted", told
                await reader.bench.contact("door")
                await reader.until("door", what="door_opened")
            await reader.until("door", what="door_held")
            await reader.bench.contact("door", active=False)
            await reader.until("door", what="door_closed")

            await reader.bench.press("exit")
            await reader.until("door", what="exit_requested")
            await reader.bench.wait_for(lambda state: state.relay)
            await reader.bench.contact("fire")
            await reader.until("door", what="fire_on")
            await reader.bench.wait_for(lambda state: state.relay)

    asyncio.run(play())


def test_the_turnstile(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is on the list gets in, and the building's panel is told the number beside their document, encrypted."""
    secret = bytes(range(16))
    (tmp_path / "osdp.key").write_text(secret.hex() + "\n")
    (tmp_path / "osdp.key").chmod(0o600)
    key, members = tmp_path / "site.key", tmp_path / "members.list"
    assert cli.main(["profile", "key", str(key)]) == 0
    capsys.readouterr()
    today = certificates.now().date()
    number = people.adult(today).document_number
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{number} 4711\n"))
    assert cli.main(["profile", "entry", "--key", str(key), "--country", "UT", "--header"]) == 0
    members.write_text(capsys.readouterr().out)
    assert number not in members.read_text()
    wire = Wire(tmp_path)
    settings = f"""
[deadlines]
showing = 0.3

[building]
driver = "osdp"
options.port = "{wire.port}"
options.baud = 115200
options.address = 5
options.key_file = "{tmp_path}/osdp.key"
options.format = 37
options.silent_s = 1

[profile]
name = "members"
rule = 'listed("members")'
site_key = "{key}"
lists = {{ members = "{members}" }}
identifier = "listed"

[[profile.request]]
doctype = "org.iso.18013.5.1.mDL"
why = "members are known by their documents"
[profile.request.elements."org.iso.18013.5.1"]
document_number = true
issuing_country = true
"""

    async def play() -> None:
        async with device(tmp_path, settings) as reader:
            await reader.until("fault", part="building", raised=True)
            panel = Panel(wire, secret)
            try:
                await asyncio.to_thread(until, lambda: panel.secure)
                await reader.until("fault", part="building", raised=False)
                async with reader.visitor(adult(reader)):
                    told = await reader.until("concluded")
                assert told["outcome"] == "granted", told
                await asyncio.to_thread(until, lambda: panel.cards)
                bits = int.from_bytes(bytes(panel.cards[0]["data"]), "big")
                assert (bits >> 4) & ((1 << 35) - 1) == 4711, "37 bits from the left, a parity bit at each end"
                await reader.until("phase", phase="idle")

                today = certificates.now().date()
                stranger = replace(SITUATIONS["adult"], person=people.stranger)
                assert people.stranger(today).document_number != number
                async with reader.visitor(stranger.wallet(reader.iaca, reader.signer)):
                    told = await reader.until("concluded")
                assert (told["outcome"], told["reasons"]) == ("refused", ["not_listed"])
                await asyncio.sleep(0.5)
                assert len(panel.cards) == 1
                await reader.until("phase", phase="idle")
            finally:
                panel.close()
            await reader.until("fault", part="building", raised=True)

    try:
        asyncio.run(play())
    finally:
        wire.close()
    assert "4711" not in (tmp_path / "log").read_text()
