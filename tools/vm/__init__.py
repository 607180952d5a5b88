"""Debian guests in QEMU, with a real bluetoothd or as a whole device: for tests and benchmarks. See README.md."""

from vm.cache import GuestError
from vm.guest import Done, Guest, Process
from vm.image import DISTS, FLAVOURS, Image, build, missing_tools
from vm.wheels import project

__all__ = ["DISTS", "FLAVOURS", "Done", "Guest", "GuestError", "Image", "Process", "build", "missing_tools", "project"]
