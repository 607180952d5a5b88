"""What the reader costs before anybody comes: processor time from start to idle, and memory while idle.

The daemon runs as on a door, with one stand-in for hardware that is not here: gpiozero's mock pins. bluetoothd may be
away, and the BlueZ driver waits for it then. It is set against a Python that imports the very same third-party modules
and nothing else. Both are read from /proc once they say that they are ready.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import figures
from figures import Quartiles
from mdoc_reader.lab import issuer
from mdoc_reader.lab.air import Air

CONFIG = figures.ROOT / "config"
RUN = (sys.executable, "-c", "import sys; from mdoc_reader.app.cli import main; sys.exit(main())")
READY_S, SETTLE_S = 60.0, 0.5
# What each part of the reader brings along, to tell where processor time and memory go.
PARTS: Mapping[str, Sequence[str]] = {
    "nothing": (),
    "asyncio": ("asyncio",),
    "importlib.metadata": ("importlib.metadata",),
    "msgspec": ("msgspec", "msgspec.toml"),
    "cbor2": ("cbor2",),
    "cryptography: EC keys": ("cryptography.hazmat.primitives.asymmetric.ec",),
    "cryptography: AES, HKDF, X25519": (
        "cryptography.hazmat.primitives.ciphers.aead",
        "cryptography.hazmat.primitives.kdf.hkdf",
        "cryptography.hazmat.primitives.asymmetric.x25519",
    ),
    "cryptography.x509": ("cryptography.x509",),
    "zxingcpp": ("zxingcpp",),
    "gpiozero": ("gpiozero",),
    "luma.oled": ("luma.oled.device", "luma.core.interface.serial"),
    "dbus-fast": ("dbus_fast.aio",),
    "bumble": ("bumble.device", "bumble.host", "bumble.gatt", "bumble.transport"),
    "numpy": ("numpy",),
}


@dataclass(frozen=True, slots=True)
class Cost:
    """Processor milliseconds of all threads, resident MiB, and how much of that is the process's own (not files)."""

    cpu_ms: float
    resident_mib: float
    private_mib: float


def cost_of(process: int) -> Cost:
    """Read a running process's cost so far."""
    tasks = list(Path(f"/proc/{process}/task").iterdir())
    nanoseconds = sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)
    status = Path(f"/proc/{process}/status").read_text()
    found = {key: int(value) for key, value in re.findall(r"^(VmRSS|RssAnon):\s+(\d+) kB", status, re.MULTILINE)}
    return Cost(nanoseconds / 1e6, found["VmRSS"] / 1024, found["RssAnon"] / 1024)


def idle_cost(command: Sequence[str], environment: Mapping[str, str], settle_s: float) -> Cost:
    """Start a command that prints a line with "ready" in it, let it settle, read its cost, end it."""
    with tempfile.TemporaryFile("w+") as complaints:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, text=True
        )
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("no pipe")
        try:
            for line in process.stdout:
                if "ready" in line:
                    break
            else:
                complaints.seek(0)
                raise SystemExit(f"{' '.join(command)} ended before it was ready:\n{complaints.read()}")
            time.sleep(settle_s)
            return cost_of(process.pid)
        finally:
            process.stdin.close()
            process.terminate()
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()


def import_cost(modules: Sequence[str], environment: Mapping[str, str]) -> Cost:
    """Return the cost of a Python that imports these modules and waits."""
    # A library may try an optional one that is not there: the reader paid for trying, so the attempt is repeated.
    tries = [f"try:\n import {name}\nexcept ImportError:\n pass" for name in modules]
    lines = (*tries, "print('ready', flush=True)", "import sys", "sys.stdin.read()")
    return idle_cost((sys.executable, "-c", "\n".join(lines)), environment, 0.0)


def third_party(command: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Return the third-party modules a start of the reader imports, in the order it does."""
    with tempfile.NamedTemporaryFile("w+") as log:
        process = subprocess.Popen(
            (command[0], "-X", "importtime", *command[1:]),
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        if process.stdout is None:
            raise RuntimeError("no pipe")
        for line in process.stdout:
            if "ready" in line:
                break
        time.sleep(SETTLE_S)
        process.terminate()
        process.wait(timeout=15)
        process.stdout.close()
        log.seek(0)
        names = re.findall(r"^import time:\s+\d+ \|\s+\d+ \|\s*(\S+)$", log.read(), re.MULTILINE)
    site = {path.name.removesuffix(".py").partition(".")[0] for path in Path(figures.__file__).parent.glob("*.py")}
    own = sys.stdlib_module_names | {"mdoc_reader", "__main__", "_distutils_hack", "sitecustomize"} | site
    found = [name for name in names if name.partition(".")[0] not in own and not name.startswith("_")]
    # Whoever imports a module that an extension registered by itself finds it only behind its package.
    return [name for name in dict.fromkeys(found) if importable(name)]


def importable(name: str) -> bool:
    """Say whether a module can be imported by its name alone."""
    from importlib.util import find_spec

    try:
        return find_spec(name) is not None
    except (ImportError, ValueError, AttributeError):
        return False


def device_configuration(folder: Path) -> Path:
    """Write the door's configuration with the stand-in; everything else is as shipped."""
    text = (CONFIG / "door.toml").read_text()
    swaps = {
        r'driver = "gpiozero"': 'driver = "simulated"\noptions.wire = "{runtime}/pins.sock"',
        r'name = "front door"': 'name = "front door"\nproduct = false',
    }
    for pattern, replacement in swaps.items():
        text, count = re.subn(pattern, replacement, text, count=1)
        if not count:
            raise SystemExit(f"config/door.toml has changed: nothing fits {pattern}")
    path = folder / "door.toml"
    path.write_text(text)
    return path


def fill(folder: Path) -> None:
    """Put an anchor and a reader's identity where the configurations look for them."""
    folder.chmod(0o700)
    (folder / "anchors").mkdir()
    (folder / "anchors" / "iaca.pem").write_bytes(issuer.make_iaca().pem)
    reader = issuer.make_reader(issuer.make_reader_ca())
    (folder / "reader.key.pem").write_bytes(reader.key_pem)
    (folder / "reader.key.pem").chmod(0o600)
    (folder / "reader.chain.pem").write_bytes(reader.pem)


async def measure(rounds: int, *, parts: bool) -> str:
    """Return the report."""
    with tempfile.TemporaryDirectory(prefix="mdoc-startup-") as name:
        folder = Path(name)
        await asyncio.to_thread(fill, folder)
        environment = {**os.environ, "RUNTIME_DIRECTORY": name, "STATE_DIRECTORY": name, "PYTHONWARNINGS": "ignore"}
        configurations = {
            "device (config/door.toml)": device_configuration(folder),
            "demo (config/demo.toml)": CONFIG / "demo.toml",
        }
        rows = []
        async with Air() as air:
            await air.listen(folder / "hci.sock")
            for title, path in configurations.items():
                command = (*RUN, "run", "--config", str(path), "--events", "-", "--log", "error")
                modules = await asyncio.to_thread(third_party, command, environment)
                starts, imports = [], []
                for _ in range(rounds):  # in turns
                    starts.append(await asyncio.to_thread(idle_cost, command, environment, SETTLE_S))
                    imports.append(await asyncio.to_thread(import_cost, modules, environment))
                ratios = [one.cpu_ms / two.cpu_ms for one, two in zip(starts, imports, strict=True)]
                rows.append(
                    (
                        title,
                        Quartiles.of([one.cpu_ms for one in starts]).text(0),
                        f"{Quartiles.of([one.cpu_ms for one in imports]).text(0)}, {len(modules)} modules",
                        Quartiles.of(ratios).text(2),
                        f"{Quartiles.of([one.resident_mib for one in starts]).median:.1f}",
                        f"{Quartiles.of([one.private_mib for one in starts]).median:.1f}",
                        f"{Quartiles.of([one.resident_mib for one in imports]).median:.1f}",
                    )
                )
        head = ("configuration", "start to idle, CPU ms", "third-party imports alone, CPU ms", "ratio")
        tables = [figures.table((*head, "resident MiB", "of it private", "imports alone, MiB"), rows)]
        if parts:
            tables.append(await asyncio.to_thread(parts_table, rounds, environment))
    return "\n\n".join(tables)


def parts_table(rounds: int, environment: Mapping[str, str]) -> str:
    """Return what each library costs alone, above a bare Python, and all together."""
    everything = tuple(module for modules in PARTS.values() for module in modules)
    rows = []
    bare = Cost(0, 0, 0)
    for part, modules in {**PARTS, "all of these": everything}.items():
        costs = [import_cost(modules, environment) for _ in range(rounds)]
        cpu = Quartiles.of([one.cpu_ms for one in costs]).median
        resident = Quartiles.of([one.resident_mib for one in costs]).median
        private = Quartiles.of([one.private_mib for one in costs]).median
        if part == "nothing":
            bare = Cost(cpu, resident, private)
            rows.append(("bare Python", f"{cpu:.0f}", f"{resident:.1f}", f"{private:.1f}"))
        else:
            rows.append(
                (
                    part,
                    f"+{cpu - bare.cpu_ms:.0f}",
                    f"+{resident - bare.resident_mib:.1f}",
                    f"+{private - bare.private_mib:.1f}",
                )
            )
    return figures.table(("import", "CPU ms", "resident MiB", "of it private"), rows)


def main() -> None:
    """Measure, print, and with --write keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--quick", action="store_true", help="two rounds, without the libraries one by one")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    arguments = parser.parse_args()
    os.environ["PYGAME_HIDE_SUPPORT_PROMPT"] = "1"
    rounds = 2 if arguments.quick else arguments.rounds
    shown = asyncio.run(measure(rounds, parts=not arguments.quick))
    text = f"""## Start to idle

Processor time and memory of `mdoc-reader run` until it is idle, against a Python that imports the same third-party
modules alone. Medians, with quartiles in brackets; both in turns. Pins are gpiozero's mock pins; no
bluetoothd runs and no display answers on I2C here. The demo's Bluetooth is Bumble on a socket.

{shown}

{rounds} rounds: `.venv/bin/python benchmarks/startup.py --write`
{figures.machine("mdoc-reader", "cryptography", "msgspec", "dbus-fast", "bumble", "gpiozero", "luma.oled")}
"""
    print(text)
    if arguments.write:
        figures.write_section("startup", text)


if __name__ == "__main__":
    main()
