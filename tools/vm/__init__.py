"""A Debian guest with a real bluetoothd, in QEMU: for the system tests and the benchmarks. See README.md here."""

from vm.cache import GuestError
from vm.guest import Done, Guest, Process
from vm.image import DISTS, Image, build, missing_tools, project

__all__ = ["DISTS", "Done", "Guest", "GuestError", "Image", "Process", "build", "missing_tools", "project"]
