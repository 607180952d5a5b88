"""A writer for the kernel's initramfs format (cpio "newc", Documentation/driver-api/early-userspace/buffer-format)."""

from __future__ import annotations

import stat
from collections.abc import Mapping

Content = bytes | None


def archive(entries: Mapping[str, tuple[int, Content]]) -> bytes:
    """Return an archive of path -> (permission bits, content), in order; content None makes a folder.

    Archives may follow one another in one initramfs: later entries replace earlier ones.
    """
    whole = bytearray()
    for number, (path, (permissions, content)) in enumerate(entries.items(), start=1):
        kind = stat.S_IFDIR if content is None else stat.S_IFREG
        whole += _record(number, path, kind | permissions, content or b"")
    whole += _record(0, "TRAILER!!!", 0, b"")
    whole += bytes(-len(whole) % 512)
    return bytes(whole)


def _record(number: int, path: str, mode: int, content: bytes) -> bytes:
    name = path.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
    head += bytes(-len(head) % 4)
    return head + content + bytes(-len(content) % 4)
