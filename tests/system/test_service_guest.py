"""The reader under its own unit, in a Debian guest with systemd: it starts with nothing there, is fed and bitten, is
given its secrets, and is shut in. One guest for all of it; what one test leaves behind the next one counts on nowhere.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import guest_service as service
import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from guest_door import AT_ONCE, GuestDoor, Way
from guest_machine import Device, vm
from guest_service import UNIT

from mdoc_reader.lab import certificates, vical
from mdoc_reader.lab.phone_app import Mode
from mdoc_reader.trust.importer import Orders, import_files

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

Figure = Callable[[str, object], None]
READY_S = 120.0
"""Nobody waits so long on a board: the guest's processor is emulated, and tests run beside it."""
PASSPHRASE = "a word nobody guesses"  # noqa: S105 -- of this test alone
PROBE, BLOCK = "/run/mdoc-test/probe.py", "/run/mdoc-test/sitecustomize.py"
RESTED = "/var/lib/mdoc-reader/rested"
BLOCKS = f"""\
import os, signal, sys, time
signal.signal(signal.SIGUSR1, lambda *_: time.sleep(3600))
if "rest" in sys.orig_argv:
    with open("{RESTED}", "a") as file:
        file.write(os.environ["SERVICE_RESULT"] + chr(10))
"""
"""What a defect would do: the event loop's thread runs it between two of its steps, and does not come back. And a note
of each time `rest` ran, and why: systemd keeps none."""
CREDENTIAL = "mdoc-reader.key-passphrase"
SEALED = f"/etc/credstore.encrypted/{CREDENTIAL}"
CONFIG = f"""
[reader]
trust_anchors = ["/etc/mdoc-reader/iaca.pem"]
reader_certificates = "/etc/mdoc-reader/reader.pem"

[trust]
clock = "kept"
store = "/var/lib/mdoc-reader-trust"

[key]
driver = "file"
options.path = "/var/lib/mdoc-reader/reader.key"
options.passphrase_credential = "{CREDENTIAL}"

[bluetooth]
driver = "bluez"
options.longest_pause_s = 2.0

[camera]
driver = "v4l2"
options.device = "/dev/video99"

[deadlines]
showing = 0.1

[profile]
name = "over 18"
age_over = 18

[[profile.request]]
doctype = "org.iso.18013.5.1.mDL"
[profile.request.elements."org.iso.18013.5.1"]
age_over_18 = false

[[trust.sources]]
name = "utopia"
url = "https://lists.example/vical.cbor"
kind = "vical"
"""
DROP_IN = f"""\
ExecStartPre=/opt/mdoc-reader/bin/python {PROBE}
Environment=PYTHONPATH=/run/mdoc-test
TimeoutStartSec={READY_S:.0f}
"""
WITH_CODES = rf"""
ExecStart=
ExecStart=/opt/mdoc-reader/bin/mdoc-reader run --config {service.CONFIG} \
    --codes {service.CODES} --events {service.EVENTS}
"""


@pytest.fixture(scope="module")
def iaca() -> certificates.Credential:
    """The issuer the reader believes."""
    return certificates.make_iaca()


@pytest.fixture(scope="module")
def installed(device_guest: Device, iaca: certificates.Credential) -> Iterator[Device]:
    """The guest with the reader installed, its key sealed for this machine, and the reader started once."""
    authority = certificates.make_reader_ca()
    reader = certificates.make_reader(authority)
    locked = BestAvailableEncryption(PASSPHRASE.encode())
    key = reader.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked)

    async def up() -> None:
        guest = device_guest.guest
        await service.install(guest)
        await guest.write_file("/etc/mdoc-reader/iaca.pem", iaca.pem)
        await guest.write_file("/etc/mdoc-reader/reader.pem", reader.pem)
        await guest.write_file(service.CONFIG, CONFIG.encode())
        await guest.write_file("/var/lib/mdoc-reader/reader.key", key, 0o600)
        await service.ran(guest, ["chown", "-R", "mdoc-reader:mdoc-reader", "/var/lib/mdoc-reader"])
        await guest.write_file(PROBE, Path(__file__).with_name("guest_probe.py").read_bytes())
        await guest.write_file(BLOCK, BLOCKS.encode())
        seal = ["systemd-creds", "encrypt", "--with-key=host", f"--name={CREDENTIAL}", "-", SEALED]
        await service.ran(guest, seal, stdin=PASSPHRASE)
        await service.ran(guest, ["udevadm", "trigger", "--settle", "--action=add", "/dev/ttyS0"])
        await service.drop_in(guest, "test", DROP_IN)
        await service.start(guest)

    async def down() -> None:
        await device_guest.guest.run(["systemctl", "stop", UNIT, "bluetooth.service"])
        await service.drop_in(device_guest.guest, "test", None)

    device_guest.loop.run(up())
    try:
        yield device_guest
    finally:
        device_guest.loop.run(down())


def test_systemd_reads_all_units_without_a_complaint(installed: Device) -> None:
    names = [path.name for pattern in ("*.service", "*.timer", "*.path") for path in service.shipped(pattern)]

    async def verify() -> str:
        done = await installed.guest.run(["systemd-analyze", "verify", "--man=no", *names], seconds=120)
        assert done.rc == 0, done.err
        return done.out + done.err

    assert [line for line in installed.loop.run(verify()).splitlines() if "mdoc" in line] == []


@pytest.mark.parametrize(
    "options", [(), ("l2cap.conf",), ("l2cap.conf", "tpm.conf")], ids=["as shipped", "l2cap", "all"]
)
def test_how_exposed_the_reader_is(installed: Device, options: tuple[str, ...]) -> None:
    async def score() -> str:
        guest = installed.guest
        folder = f"/run/mdoc-score-{len(options)}"
        unit = service.SHIPPED / UNIT
        await guest.write_file(f"{folder}/{UNIT}", unit.read_bytes())
        for name in options:
            await guest.write_file(f"{folder}/{UNIT}.d/{name}", (unit.parent / "options" / name).read_bytes())
        return await service.ran(
            guest, ["systemd-analyze", "security", "--offline=yes", "--threshold=12", "--no-pager", f"{folder}/{UNIT}"]
        )

    match = re.search(r"exposure level for \S+: ([0-9.]+)", installed.loop.run(score()))
    assert match is not None
    assert float(match[1]) <= 1.2


@pytest.mark.parametrize("name", ["mdoc-reader-fetch.service", "mdoc-reader-import.service"])
def test_how_exposed_the_hands_of_sync_are(installed: Device, name: str) -> None:
    command = ["systemd-analyze", "security", "--offline=yes", "--threshold=12", f"/etc/systemd/system/{name}"]
    installed.loop.run(service.ran(installed.guest, command))


def test_ready_with_no_bluetooth_no_network_and_no_camera(installed: Device, record_property: Figure) -> None:
    unit = installed.loop.run(service.show(installed.guest))
    took = (int(unit["ActiveEnterTimestampMonotonic"]) - int(unit["InactiveExitTimestampMonotonic"])) / 1e6
    record_property("ready_s", f"{took:.1f}, probe included")
    assert took < READY_S
    ordered = " ".join(unit.get(key, "") for key in ("After", "Requires", "Wants", "BindsTo", "Requisite"))
    for waited_for in ("bluetooth", "network", "time-sync", "dev-"):
        assert waited_for not in ordered
    installed.loop.run(service.until(installed.guest, StatusText="fault; out of order: bluetooth, camera"))


def test_what_shuts_it_in(installed: Device) -> None:
    found = service.probed(installed.loop.run(service.journal(installed.guest)))
    assert found["AF_UNIX"] == "done"
    for family in ("AF_INET", "AF_INET6", "AF_NETLINK", "AF_PACKET", "AF_BLUETOOTH", "AF_VSOCK"):
        assert found[family] == "EAFNOSUPPORT", family
    assert found["networks"] == "lo"
    for path in ("/etc/x", "/usr/x", "/opt/mdoc-reader/x", "/var/lib/x"):
        assert found[f"write {path}"] == "EROFS", path
    assert found["write /tmp/x"] == "done"
    for path in ("/dev/mem", "/dev/kmsg", "/dev/vda"):
        assert found[f"open {path}"] in {"EACCES", "EPERM", "ENOENT"}, path
    assert found["open /dev/null"] == found["open /dev/ttyS0"] == "done"
    assert found["write and execute memory"] == "EACCES"
    assert found["execute what was written"] == "EACCES"
    assert found["make a namespace"] == found["mount"] == found["set the clock"] == "EPERM"
    assert found["see the spool"] == "EACCES"
    assert found["processes"] == "1"
    assert (found["CapBnd"], found["CapEff"]) == ("0" * 16, "0" * 16)
    assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2")


def test_only_the_reader_talks_to_bluetoothd(installed: Device) -> None:
    ask = "--dest=org.bluez / org.freedesktop.DBus.ObjectManager.GetManagedObjects"

    async def answer(user: str) -> str:
        call = ["dbus-send", "--system", "--print-reply", "--reply-timeout=2000", *ask.split()]
        done = await installed.guest.run(["systemd-run", "--quiet", "--pipe", "--wait", f"--uid={user}", *call])
        return done.err

    # There is no bluetoothd yet: who may ask is told that, who may not is told that instead.
    assert "AccessDenied" in installed.loop.run(answer("mdoc-fetch"))
    assert "AccessDenied" not in installed.loop.run(answer("mdoc-reader"))


def test_the_passphrase_is_sealed_and_nobody_else_gets_at_it(installed: Device) -> None:
    async def look() -> tuple[bytes, int]:
        guest = installed.guest
        await service.until(guest, ActiveState="active")
        path = f"/run/credentials/{UNIT}/{CREDENTIAL}"
        assert await guest.read_file(path) == PASSPHRASE.encode()
        other = ["systemd-run", "--quiet", "--pipe", "--wait", "--uid=mdoc-fetch", "cat", path]
        return await guest.read_file(SEALED), (await guest.run(other)).rc

    sealed, code = installed.loop.run(look())
    assert PASSPHRASE.encode() not in sealed
    assert code != 0


def test_it_is_fed_while_it_waits(installed: Device) -> None:
    """For longer than the watchdog is patient, with parts that are not there."""

    async def wait() -> tuple[dict[str, str], dict[str, str]]:
        before = await service.until(installed.guest, ActiveState="active")
        fed = before["WatchdogTimestampMonotonic"]
        end = time.monotonic() + 2 * int(before["WatchdogUSec"].removesuffix("s"))
        while time.monotonic() < end:
            now = await service.show(installed.guest)
            if int(now["WatchdogTimestampMonotonic"]) - int(fed) > 10e6:
                break
        return before, now

    before, after = installed.loop.run(wait())
    assert int(after["WatchdogTimestampMonotonic"]) - int(before["WatchdogTimestampMonotonic"]) > 10e6
    assert after["MainPID"] == before["MainPID"]
    assert after["NRestarts"] == before["NRestarts"]


def test_a_blocked_event_loop_is_bitten_and_the_reader_is_back(installed: Device, record_property: Figure) -> None:
    async def bite() -> tuple[float, float, str]:
        guest = installed.guest
        unit = await service.until(guest, ActiveState="active")
        count = int(unit["NRestarts"])
        began = time.monotonic()
        await service.systemctl(guest, "kill", "--signal=USR1", "--kill-whom=main", UNIT)
        await service.until(guest, Result="watchdog")
        bitten = time.monotonic() - began
        await service.until(guest, ActiveState="active", NRestarts=str(count + 1))
        return bitten, time.monotonic() - began, await service.journal(guest, since=unit["InvocationID"])

    bitten, back, told = installed.loop.run(bite())
    record_property("bitten_s", f"{bitten:.1f}")
    record_property("ready_again_s", f"{back:.1f}")
    assert 5 < bitten < 30
    assert "Watchdog timeout" in told
    # Where it hung is in the journal, and whoever mends it can read it there.
    assert "sitecustomize.py" in told
    assert "run_forever" in told
    assert installed.loop.run(rested(installed.guest)) == "watchdog"


async def rested(guest: vm.Guest) -> str:
    """Return why `rest` ran last."""
    return (await guest.read_file(RESTED)).decode().split()[-1]


async def kill(guest: vm.Guest) -> None:
    """Kill it, as the kernel does when memory is short; return once it is back."""
    count = int((await service.show(guest))["NRestarts"])
    await service.systemctl(guest, "kill", "--signal=KILL", "--kill-whom=main", UNIT)
    await service.until(guest, ActiveState="active", NRestarts=str(count + 1))
    assert await rested(guest) == "signal"


def test_a_presentation_over_bluetooth_from_behind_all_of_it(installed: Device, iaca: certificates.Credential) -> None:
    """A network namespace of its own, no Bluetooth sockets: the message bus and what it hands over are enough."""

    async def visit() -> str:
        guest = installed.guest
        await guest.attach_hci()
        await service.ran(guest, ["sh", "-c", "until [ -e /sys/class/bluetooth/hci0 ]; do sleep 0.2; done"])
        await service.start(guest, "bluetooth.service")
        for _ in range(3):  # an adapter that bluetoothd has missed is plugged in again, as a person would
            try:
                await guest.hci_up(20)
                break
            except vm.GuestError:
                await guest.detach_hci()
                await guest.attach_hci()
        await service.until(guest, StatusText="fault; out of order: camera")  # Bluetooth is taken up; who shows codes?
        await service.ran(guest, ["mkfifo", "-m", "0666", service.CODES])
        relay = f"exec 3<>{service.CODES}; tail -n 0 -F {service.EVENTS} & exec cat >&3"
        process = await guest.start(["sh", "-c", relay])
        await service.drop_in(guest, "codes", WITH_CODES)
        await service.systemctl(guest, "restart", UNIT)
        await service.until(guest, StatusText="idle; out of order: camera")
        door = GuestDoor(guest, installed.air, process, iaca, certificates.make_document_signer(iaca))
        door.idle.set()
        listening = asyncio.create_task(door.listen())
        try:
            seen = await door.visit(Way("reader is server", Mode.CENTRAL, ""), manner=AT_ONCE)
        finally:
            await process.signal(15, group=True)
            listening.cancel()
            await service.drop_in(guest, "codes", None)
            await kill(guest)
        return f"{seen.outcome} {seen.transport} {seen.reasons}"

    said = installed.loop.run(visit())
    assert said.startswith("granted BLE, reader is server"), said


def test_the_importer_runs_in_its_sandbox(installed: Device, iaca: certificates.Credential) -> None:
    provider, second = vical.make_provider(), certificates.make_iaca()
    newer = vical.make_vical(provider, [iaca, second], vicalIssueID=8)
    name = f"utopia-{hashlib.sha256(newer).hexdigest()[:16]}.list"
    with tempfile.TemporaryDirectory() as folder:
        held = [("held", vical.make_vical(provider, [iaca], vicalIssueID=7))]
        import_files(Path(folder), held, Orders(certificates.now(), (("root", provider.root.der),)))
        files = {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}
        links = {
            str(path.relative_to(folder)): str(path.readlink()) for path in Path(folder).rglob("*") if path.is_symlink()
        }

    async def run() -> tuple[dict[str, str], str, list[str]]:
        guest = installed.guest
        for path, data in files.items():
            if path not in links:
                await guest.write_file(f"/var/lib/mdoc-reader-trust/{path}", data)
        for path, target in links.items():
            await service.ran(guest, ["ln", "-sfn", target, f"/var/lib/mdoc-reader-trust/{path}"])
        await service.ran(guest, ["chown", "-R", "mdoc-trust:mdoc-trust", "/var/lib/mdoc-reader-trust"])
        spool = "/var/lib/mdoc-reader-spool/incoming"
        await guest.write_file(f"{spool}/{name}", newer, 0o640)
        await service.ran(guest, ["chown", "mdoc-fetch:mdoc-spool", f"{spool}/{name}"])
        await service.start(guest, "mdoc-reader-import.service")
        unit = await service.show(guest, "mdoc-reader-import.service")
        left = await guest.ask("list", path=spool)
        return unit, await service.journal(guest, "mdoc-reader-import.service"), left["names"]

    unit, told, left = installed.loop.run(run())
    assert (unit["Result"], unit["ExecMainStatus"]) == ("success", "0"), told
    assert "taken, 2 anchors" in told
    assert left == []


def test_stopped_it_rests(installed: Device, record_property: Figure) -> None:
    async def stop() -> tuple[dict[str, str], float]:
        await service.until(installed.guest, ActiveState="active")
        began = time.monotonic()
        await service.systemctl(installed.guest, "stop", UNIT)
        return await service.show(installed.guest), time.monotonic() - began

    unit, took = installed.loop.run(stop())
    record_property("stopped_and_at_rest_s", f"{took:.1f}")
    assert (unit["ActiveState"], unit["Result"]) == ("inactive", "success")
    assert installed.loop.run(rested(installed.guest)) == "success"


def test_without_its_credential_it_says_so_and_tries_again_and_l2cap_is_bluetooth_alone(installed: Device) -> None:
    """Two in one start, which takes its time here: the probe runs before what fails."""

    async def start() -> str:
        guest = installed.guest
        await service.systemctl(guest, "stop", UNIT)
        await service.ran(guest, ["mv", SEALED, "/run/mdoc-test/away"])
        option = (service.SHIPPED / "options" / "l2cap.conf").read_text().partition("[Service]")[2]
        await service.drop_in(guest, "l2cap", option)
        await service.systemctl(guest, "start", "--no-block", UNIT)
        unit = await service.until(guest, SubState="auto-restart*")
        await service.systemctl(guest, "stop", UNIT)
        await service.ran(guest, ["mv", "/run/mdoc-test/away", SEALED])
        await service.drop_in(guest, "l2cap", None)
        return await service.journal(guest, since=unit["InvocationID"])

    told = installed.loop.run(start())
    # The reader's own words, and not the service manager's.
    assert re.search(rf"reader\.toml: key: .*{re.escape(CREDENTIAL)}", told), told
    found = service.probed(told)
    assert found["AF_UNIX"] == found["AF_BLUETOOTH"] == "done"
    for family in ("AF_INET", "AF_INET6", "AF_NETLINK", "AF_PACKET", "AF_VSOCK"):
        assert found[family] == "EAFNOSUPPORT", family


def test_the_hardware_watchdog_is_asked_for(installed: Device) -> None:
    async def ask() -> str:
        await service.systemctl(installed.guest, "daemon-reexec")
        return await service.systemctl(installed.guest, "show", "--property=RuntimeWatchdogUSec", "--value")

    assert installed.loop.run(ask()).strip() == "14s"
