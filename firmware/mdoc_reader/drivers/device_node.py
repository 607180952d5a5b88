"""A device's file in /dev: whether it is there, and whether this user may open it. It is not opened for that."""

from __future__ import annotations

import grp
import os
from pathlib import Path

from mdoc_reader.model.check import Check, Health

_RULES = "copy systemd/udev/60-mdoc-reader.rules to /etc/udev/rules.d/ and restart: root alone has this device"


def trouble(part: str, node: Path, enable: str) -> Check | None:
    """Say why a device cannot be opened; None where it can. `enable`: what makes it be there."""
    if not node.exists():
        return Check(part, Health.FAULT, f"there is no {node}", enable)
    if os.access(node, os.R_OK | os.W_OK, effective_ids=True):
        return None
    group = _group(node)
    advice = f"add the reader's user to the group {group!r} and start the reader anew" if group else _RULES
    return Check(part, Health.FAULT, f"this user may not open {node}", advice)


def _group(node: Path) -> str:
    """Return the group that may use the device; nothing where that is nobody but root."""
    try:
        status = node.stat()
        name = grp.getgrgid(status.st_gid).gr_name
    except (OSError, KeyError):
        return ""
    return name if status.st_gid and status.st_mode & 0o060 == 0o060 else ""
