"""Trusted lists in XML (ETSI TS 119 612, and the XML form of TS 119 602): recognised, and refused with a reason.

Believing one means verifying an XML signature (XAdES): canonical forms, transforms that the document itself names,
references into itself. What there is in Python for that rests on a large C library for XML, and its history is one of
signatures that covered something else than what was read. A reader at a door does without; those who need such a list
convert it where they keep their pins. Not one character of the XML is parsed here: no entity, no namespace.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from mdoc_reader.model.reasons import Malformed, MalformedCode, Severity
from mdoc_reader.trust.list_codes import ListCode
from mdoc_reader.trust.list_signer import finding
from mdoc_reader.trust.lists import ListKind, Origin, SignedList
from mdoc_reader.trust.packing import unpacked

_LOOKED_AT = 64 * 1024
_ROOTS = re.compile(rb"<(?:[A-Za-z0-9_-]{1,32}:)?(?:TrustServiceStatusList|ListOfTrustedEntities|LoTE)[\s>/]")


def is_trusted_list(data: bytes) -> bool:
    """Say whether the beginning of `data` looks like such a list. Nothing is parsed."""
    head = data[:_LOOKED_AT]
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):  # UTF-16: what matters is in ASCII
        head = head.replace(b"\0", b"")[2:]
    head = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return head.startswith(b"<") and _ROOTS.search(head) is not None


def open_trusted_list(data: bytes, pins: Sequence[bytes], at: datetime) -> SignedList:
    """Refuse a trusted list in XML whatever the pins and the time: one ERROR, TRUSTED_LIST_UNSUPPORTED, no entries.

    Raises Malformed where it is no such list.
    """
    del pins, at
    if not is_trusted_list(unpacked(data)):
        raise Malformed(MalformedCode.WRONG_TYPE, "trusted_list", detail="not a trusted list in XML")
    origin = Origin(ListKind.TRUSTED_LIST, "XML trusted list", "trusted_list")
    return SignedList(origin, None, (), findings=(finding(ListCode.TRUSTED_LIST_UNSUPPORTED, Severity.ERROR),))
