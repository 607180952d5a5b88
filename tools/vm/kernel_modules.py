"""Kernel modules that Debian leaves out, built from Debian's own source of the guest's kernel: simulated hardware.

`gpio-sim` (with `irq_sim`) is a GPIO chip, `vimc` a camera with its pipeline, `v4l2loopback` (a Debian package of its
own) a camera that shows what is written to it. All are built against Debian's headers; a change of a few lines is
needed where upstream counts on being built in.
Debian's helper programs run with the guest's own loader and libraries, so that an older machine can build too.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from vm.cache import GuestError
from vm.command import run

FETCH = """\
v=$(ls "$1/lib/modules") && v=${v%-amd64} && upstream=${v%%+*} && series=${upstream%.*} &&
source=$(apt-cache madison "linux-source-$series" | sed -n "s/.*| \\($upstream-[^ ]*\\) |.*/\\1/p" | head -n 1) &&
apt-get download -q "linux-source-$series=$source" "linux-headers-$v-amd64" "linux-headers-$v-common" &&
apt-get download -q "linux-kbuild-$v" v4l2loopback-dkms
"""
"""Fetches what is needed for the kernel that was unpacked: the source, and what modules are built against."""

TOOLS = ("dpkg-deb", "gcc", "make", "tar", "xz")

_SOURCES = ("drivers/gpio/gpio-sim.c", "kernel/irq/irq_sim.c", "drivers/media/test-drivers/vimc")
_KBUILD = """\
obj-m := irq_sim.o gpio-sim.o vimc.o v4l2loopback.o
vimc-y := vimc-core.o vimc-common.o vimc-streamer.o vimc-capture.o vimc-debayer.o vimc-scaler.o vimc-sensor.o
vimc-y += vimc-lens.o
"""
_LEFT_AT = """\
static bool persist_gpio_outputs;
module_param(persist_gpio_outputs, bool, 0644);

static bool gpio_sim_left_at(struct gpio_sim_chip *chip, unsigned int offset)
{
	if (persist_gpio_outputs && !test_bit(offset, chip->direction_map))
		return test_bit(offset, chip->value_map);
	return test_bit(offset, chip->pull_map);
}

"""
_CHANGES = {
    "irq_sim.c": (
        # Not exported to modules; what replaces it is.
        ("irq_to_desc(irqnum)", "irq_data_to_desc(irq_get_irq_data(irqnum))"),
        ("#include <linux/irq.h>\n", '#include <linux/irq.h>\n#include <linux/module.h>\nMODULE_LICENSE("GPL");\n'),
    ),
    "gpio-sim.c": (
        # Raspberry Pi's own pin controllers can leave a released line driven: so can this one, where it is told to.
        ("static void gpio_sim_free(", _LEFT_AT + "static void gpio_sim_free("),
        (
            "!!test_bit(offset, chip->pull_map));\n\t\t__clear_bit",
            "gpio_sim_left_at(chip, offset));\n\t\t__clear_bit",
        ),
    ),
}
# What Debian's compiler can do and an older one cannot, and what needs the whole kernel's debug information.
_WITHOUT = ("CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT=", "CONFIG_DEBUG_INFO_BTF_MODULES=")


def build(root: Path, archives: Path) -> None:
    """Build the modules for the kernel in a root and put them there; depmod is the caller's. Raises GuestError."""
    (modules,) = (root / "lib" / "modules").iterdir()
    tree = archives / "kernel"
    for archive in (*archives.glob("linux-headers-*.deb"), *archives.glob("linux-kbuild-*.deb")):
        run("dpkg-deb", "-x", str(archive), str(tree), seconds=120)
    headers = tree / "usr" / "src" / f"linux-headers-{modules.name}"
    makefile = headers / "Makefile"
    makefile.write_text(makefile.read_text().replace("/usr/src/", f"{tree}/usr/src/"))
    _run_with_guests_libraries(root, headers)
    built = archives / "modules"
    _source(archives, built)
    run(
        "make",
        "-C",
        str(headers),
        f"M={built}",
        "-j2",
        "CC=gcc",
        "HOSTCC=gcc",
        *_WITHOUT,
        "modules",
        seconds=600,
    )
    target = modules / "updates"
    target.mkdir()
    for name in ("irq_sim.ko", "gpio-sim.ko", "vimc.ko", "v4l2loopback.ko"):
        run("strip", "--strip-debug", str(built / name), seconds=60)
        shutil.copyfile(built / name, target / name)


def _source(archives: Path, built: Path) -> None:
    (archive,) = archives.glob("linux-source-*.deb")
    run("dpkg-deb", "-x", str(archive), str(archives / "source"), seconds=120)
    (tarball,) = (archives / "source" / "usr" / "src").glob("linux-source-*.tar.xz")
    top = tarball.name.removesuffix(".tar.xz")
    unpacked = archives / "linux"
    unpacked.mkdir()
    run(
        "tar",
        "-xJf",
        str(tarball),
        "-C",
        str(unpacked),
        "--strip-components=1",
        *(f"{top}/{name}" for name in _SOURCES),
        seconds=600,
    )
    built.mkdir()
    for name in _SOURCES:
        path = unpacked / name
        for file in path.glob("*.[ch]") if path.is_dir() else (path,):
            text = file.read_text()
            for old, new in _CHANGES.get(file.name, ()):
                if text.count(old) != 1:
                    raise GuestError(f"{file.name} of this kernel is not as expected: {old.strip()!r}")
                text = text.replace(old, new)
            (built / file.name).write_text(text)
    (archive,) = archives.glob("v4l2loopback-dkms_*.deb")
    run("dpkg-deb", "-x", str(archive), str(archives / "loopback"), seconds=60)
    for file in (archives / "loopback" / "usr" / "src").glob("v4l2loopback-*/*.[ch]"):
        shutil.copyfile(file, built / file.name)
    (built / "Kbuild").write_text(_KBUILD)


def _run_with_guests_libraries(root: Path, headers: Path) -> None:
    loader, libraries = root / "usr/lib64/ld-linux-x86-64.so.2", root / "usr/lib/x86_64-linux-gnu"
    for name, program in (
        ("scripts/basic/fixdep", "fixdep"),
        ("scripts/genksyms/genksyms", "genksyms"),
        ("scripts/mod/modpost", "modpost.real-lsb-64"),
        ("tools/objtool/objtool", "objtool.real-x86"),
    ):
        script = headers / name
        real = script.with_name(f"{program}.elf")
        script.with_name(program).rename(real)
        script.unlink(missing_ok=True)
        script.write_text(f'#!/bin/sh\nexec "{loader}" --library-path "{libraries}" "{real}" "$@"\n')
        script.chmod(0o755)
