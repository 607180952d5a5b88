"""The daemon as a process of its own, with codes typed to it and every other part disabled."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from mdoc_reader.lab import certificates
from mdoc_reader.lab.air import Air
from mdoc_reader.lab.phone_app import Manner, Mode, offer, present
from mdoc_reader.lab.phone_radio import PhoneRadio
from mdoc_reader.lab.situations import SITUATIONS

CONFIG = Path(__file__).resolve().parents[2] / "config" / "laptop.toml"


def test_codes_typed_to_a_reader_without_camera_and_panel(tmp_path: Path) -> None:
    config = tmp_path / "reader.toml"
    text = CONFIG.read_text()
    assert 'driver = "bluez"' in text
    text = text.replace('driver = "bluez"', 'driver = "bumble"\noptions.transport = "unix:{runtime}/hci.sock"')
    config.write_text(text.replace("[reader]", '[reader]\ntrust_anchors = ["{runtime}/iaca.pem"]'))
    iaca = certificates.make_iaca()
    (tmp_path / "iaca.pem").write_bytes(iaca.pem)
    signer = certificates.make_document_signer(iaca)

    async def play() -> None:
        async with Air() as air:
            await air.listen(tmp_path / "hci.sock")
            reader = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "mdoc_reader.app.cli", "run", "--config", str(config)),
                *("--codes", "-", "--events", "-"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={**os.environ, "RUNTIME_DIRECTORY": str(tmp_path)},
            )
            assert reader.stdin is not None
            assert reader.stdout is not None

            async def until(wanted: str, **values: object) -> dict[str, object]:
                assert reader.stdout is not None
                async with asyncio.timeout(20):
                    while True:
                        line = await reader.stdout.readline()
                        assert line, await reader.stderr.read() if reader.stderr else ""
                        event = json.loads(line)
                        if event["event"] == wanted and all(event[key] == value for key, value in values.items()):
                            return dict(event)

            await until("phase", phase="idle")
            wallet = SITUATIONS["adult"].wallet(iaca, signer)
            for mode, outcome in ((Mode.CENTRAL, "granted"), (Mode.PERIPHERAL, "granted")):
                engagement = offer(wallet, mode)
                async with PhoneRadio(air) as radio:
                    phone = asyncio.create_task(present(radio, wallet, engagement, Manner(0.01)))
                    reader.stdin.write(b"\n" + engagement.qr_text.encode() + b"\n")
                    event = await until("concluded")
                    assert event["outcome"] == outcome, event
                    await until("phase", phase="idle")
                    phone.cancel()
                    await asyncio.wait({phone})
            reader.stdin.write(b"x" * 50_000 + b"\nhttps://example.org\n")
            assert (await until("concluded"))["outcome"] == "not_an_mdoc"
            reader.send_signal(signal.SIGTERM)
            _, log = await asyncio.wait_for(reader.communicate(), 20)
            assert reader.returncode == 0, log

    asyncio.run(play())
