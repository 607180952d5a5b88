"""What an MSO says of its revocation, and what it must not."""

from __future__ import annotations

import pytest

from mdoc_reader.mdoc.status import IdentifierListInfo, Status, StatusListInfo, parse
from mdoc_reader.model.reasons import Malformed, MalformedCode

URI = "https://lab.invalid/status/1"


def test_both_ways() -> None:
    placed = {"idx": 412, "uri": URI, "later": 1}
    named = {"id": b"\x01", "uri": URI, "certificate": b"\x30"}
    assert parse({}) == Status()
    assert parse({"status_list": placed}) == Status(StatusListInfo(412, URI))
    assert parse({"identifier_list": named}) == Status(None, IdentifierListInfo(b"\x01", URI, b"\x30"))
    assert parse({"status_list": placed, "identifier_list": named, 5: None}) == Status(
        StatusListInfo(412, URI), IdentifierListInfo(b"\x01", URI, b"\x30"), others=True
    )
    assert parse({"status_list": {"idx": 2**32 - 1, "uri": URI}}).status_list == StatusListInfo(2**32 - 1, URI)


def test_nothing_of_it_is_shown() -> None:
    shown = repr(parse({"status_list": {"idx": 412, "uri": URI}, "identifier_list": {"id": b"me", "uri": URI}}))
    assert "412" not in shown
    assert "me'" not in shown


WRONG = [
    ({"status_list": []}, "status_list", MalformedCode.WRONG_TYPE),
    ({"status_list": {"uri": URI}}, "status_list.idx", MalformedCode.MISSING_KEY),
    ({"status_list": {"idx": 0}}, "status_list.uri", MalformedCode.MISSING_KEY),
    ({"status_list": {"idx": -1, "uri": URI}}, "status_list.idx", MalformedCode.BAD_VALUE),
    ({"status_list": {"idx": 2**32, "uri": URI}}, "status_list.idx", MalformedCode.BAD_VALUE),
    ({"status_list": {"idx": True, "uri": URI}}, "status_list.idx", MalformedCode.WRONG_TYPE),
    ({"status_list": {"idx": 0, "uri": ""}}, "status_list.uri", MalformedCode.BAD_VALUE),
    ({"status_list": {"idx": 0, "uri": "x" * 2049}}, "status_list.uri", MalformedCode.TOO_LARGE),
    ({"status_list": {"idx": 0, "uri": b"x"}}, "status_list.uri", MalformedCode.WRONG_TYPE),
    ({"status_list": {"idx": 0, "uri": URI, "certificate": "x"}}, "status_list.certificate", MalformedCode.WRONG_TYPE),
    ({"status_list": {"idx": 0, "uri": URI, "certificate": b""}}, "status_list.certificate", MalformedCode.BAD_VALUE),
    ({"identifier_list": 5}, "identifier_list", MalformedCode.WRONG_TYPE),
    ({"identifier_list": {"uri": URI}}, "identifier_list.id", MalformedCode.MISSING_KEY),
    ({"identifier_list": {"id": b"", "uri": URI}}, "identifier_list.id", MalformedCode.BAD_VALUE),
    ({"identifier_list": {"id": bytes(257), "uri": URI}}, "identifier_list.id", MalformedCode.BAD_VALUE),
    ({"identifier_list": {"id": "me", "uri": URI}}, "identifier_list.id", MalformedCode.WRONG_TYPE),
]


@pytest.mark.parametrize(("value", "path", "code"), WRONG, ids=lambda each: each if isinstance(each, str) else None)
def test_wrong(value: dict[object, object], path: str, code: MalformedCode) -> None:
    with pytest.raises(Malformed) as refused:
        parse(value)
    assert (refused.value.code, refused.value.path) == (code, f"MSO.status.{path}")
