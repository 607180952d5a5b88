"""The device flavour: Debian 13 with systemd as its first process, simulated GPIO and camera, and what a Pi would have.

The reader is found where its units expect it: `/opt/mdoc-reader` is laid out as the virtual environment of a device,
with this project and the locked packages in it and Debian's own (libcamera, lgpio) beside them.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from vm import kernel_modules, lgpio_module
from vm.flavour import Flavour

_MASKED = (
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "getty-static.service",
    "getty.target",
    "kmod-static-nodes.service",
    "ldconfig.service",
    "modprobe@efi_pstore.service",
    "proc-sys-fs-binfmt_misc.automount",
    "run-lock.mount",
    "sys-fs-fuse-connections.mount",
    "systemd-ask-password-console.path",
    "systemd-ask-password-wall.path",
    "systemd-binfmt.service",
    "systemd-creds.socket",
    "systemd-firstboot.service",
    "systemd-hibernate-clear.service",
    "systemd-hostnamed.socket",
    "systemd-hwdb-update.service",
    "systemd-initctl.socket",
    "systemd-journal-catalog-update.service",
    "systemd-logind.service",
    "systemd-machine-id-commit.service",
    "systemd-modules-load.service",
    "systemd-network-generator.service",
    "systemd-networkd-persistent-storage.service",
    "systemd-networkd-wait-online.service",
    "systemd-networkd.service",
    "systemd-networkd.socket",
    "systemd-pcrextend.socket",
    "systemd-pcrlock.socket",
    "systemd-pcrmachine.service",
    "systemd-pcrphase-sysinit.service",
    "systemd-pcrphase.service",
    "systemd-pstore.service",
    "systemd-random-seed.service",
    "systemd-sysext.socket",
    "systemd-tmpfiles-clean.timer",
    "systemd-tmpfiles-setup-dev-early.service",
    "systemd-tpm2-setup-early.service",
    "systemd-tpm2-setup.service",
    "systemd-udev-load-credentials.service",
    "systemd-udev-trigger.service",
    "systemd-update-done.service",
    "systemd-user-sessions.service",
)
"""Units that only cost time here. Nothing here waits for what udev would find at the start: tests trigger it."""

_AGENT = """\
[Unit]
Description=What the host asks of this guest
SuccessAction=poweroff-force
FailureAction=poweroff-force

[Service]
Type=exec
ExecStart=/usr/bin/python3 -ES /run/guest/agent.py
WorkingDirectory=/root
Environment=HOME=/root LANG=C.UTF-8 PYTHONUNBUFFERED=1
Environment=PYTHONPATH=/opt/project:/opt/packages
StandardOutput=journal+console
TasksMax=infinity
"""
_JOURNAL = "[Journal]\nStorage=volatile\nRuntimeMaxUse=32M\nRateLimitBurst=0\n"
_MODULES_NOT_HERE = (
    "dvb-core",
    "dvb-frontends",
    "firewire",
    "i2c",
    "pci",
    "platform",
    "radio",
    "rc",
    "spi",
    "tuners",
    "usb",
)
_PROGRAM = """\
#!/opt/mdoc-reader/bin/python
import sys

from mdoc_reader.app.cli import main

sys.exit(main())
"""


def finish(root: Path, archives: Path) -> None:
    """Write users, units and links that maintainer scripts would have written; build what Debian has not."""
    etc = root / "etc"
    for name in ("passwd", "group"):
        shutil.copyfile(root / "usr" / "share" / "base-passwd" / f"{name}.master", etc / name)
    (etc / "hostname").write_text("device\n")
    (etc / "fstab").unlink(missing_ok=True)
    _units(root)
    _alternatives(root / "usr" / "lib" / "x86_64-linux-gnu")
    _environment(root / "opt" / "mdoc-reader")
    (modules,) = (root / "lib" / "modules").iterdir()
    for unused in _MODULES_NOT_HERE:
        shutil.rmtree(modules / "kernel" / "drivers" / "media" / unused, ignore_errors=True)
    kernel_modules.build(root, archives)
    lgpio_module.build(root, archives)


def _units(root: Path) -> None:
    units = root / "etc" / "systemd" / "system"
    wanted = units / "multi-user.target.wants"
    wanted.mkdir(parents=True, exist_ok=True)
    for name in _MASKED:
        (units / name).unlink(missing_ok=True)
        (units / name).symlink_to("/dev/null")
    generators = root / "etc" / "systemd" / "system-generators"
    generators.mkdir(exist_ok=True)
    for each in (root / "usr" / "lib" / "systemd" / "system-generators").iterdir():
        (generators / each.name).symlink_to("/dev/null")
    (units / "default.target").symlink_to("/usr/lib/systemd/system/multi-user.target")
    (units / "guest-agent.service").write_text(_AGENT)
    (wanted / "guest-agent.service").symlink_to("../guest-agent.service")
    journal = root / "etc" / "systemd" / "journald.conf.d"
    journal.mkdir(exist_ok=True)
    (journal / "guest.conf").write_text(_JOURNAL)


def _alternatives(libraries: Path) -> None:
    """Lay the links that numpy's libraries are found by."""
    for name in ("blas", "lapack"):
        link = libraries / f"lib{name}.so.3"
        if not link.exists():
            link.symlink_to(f"{name}/lib{name}.so.3")


def _environment(folder: Path) -> None:
    packages = folder / "lib" / "python3.13" / "site-packages"
    packages.mkdir(parents=True)
    (packages / "device.pth").write_text("/opt/project\n/opt/packages\n")
    programs = folder / "bin"
    programs.mkdir()
    for name in ("python", "python3"):
        (programs / name).symlink_to("/usr/bin/python3")
    (folder / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = true\nversion = 3.13\n")
    (programs / "mdoc-reader").write_text(_PROGRAM)
    (programs / "mdoc-reader").chmod(0o755)


DEVICE = Flavour(
    name="device",
    packages=(
        "bluez",
        "libcamera-ipa",
        "libelf1t64",
        "python3-libcamera",
        "python3-libgpiod",
        "python3-numpy",
        "rfkill",
        "systemd",
        "udev",
    ),
    tools=("mmdebstrap", "mksquashfs", "depmod", *kernel_modules.TOOLS, *lgpio_module.TOOLS),
    first="/usr/lib/systemd/systemd",
    python=frozenset(
        {
            "cbor2",
            "cffi",
            "colorzero",
            "cryptography",
            "dbus-fast",
            "gpiozero",
            "libosdp",
            "luma-core",
            "luma-lcd",
            "luma-oled",
            "msgspec",
            "pillow",
            "pycparser",
            "pyserial",
            "segno",
            "smbus2",
            "typing-extensions",
            "urllib3",
            "zxing-cpp",
        }
    ),
    lock="device.lock",
    finish=finish,
    sources=("device.py", "kernel_modules.py", "lgpio_module.py", "lgpio.lock", "bytecode.py"),
    compiled=True,
    fetch=f"{kernel_modules.FETCH.strip()} && {lgpio_module.FETCH}",
)
"""Debian 13 alone, on amd64: built in the guest's own machine language on this one."""
