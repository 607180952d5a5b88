"""What a probe tells of a tap: kinds, versions and sizes, in words and as facts for JSON.

Nothing here tells two phones apart: no identifiers, no UUIDs, no keys, none of the engagement's bytes, and no text a
phone chose.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from mdoc_reader.mdoc import handover
from mdoc_reader.mdoc.handover import Carrier, CarrierKind, HandoverSelect
from mdoc_reader.mdoc.ndef import Record, Tnf
from mdoc_reader.model.connection import BleMethod, NfcMethod, WifiAwareMethod
from mdoc_reader.nfc import tnep
from mdoc_reader.nfc.activation import AnswerToSelect
from mdoc_reader.nfc.isodep_card import IsoDepCard
from mdoc_reader.nfc.ports import Card
from mdoc_reader.nfc.type4 import CapabilityContainer

Facts = dict[str, object]

_KINDS: tuple[tuple[Tnf, bytes, str], ...] = (
    (Tnf.WELL_KNOWN, handover.SELECT, "handover select"),
    (Tnf.WELL_KNOWN, handover.REQUEST, "handover request"),
    (Tnf.WELL_KNOWN, tnep.PARAMETER, "TNEP service"),
    (Tnf.WELL_KNOWN, tnep.STATUS, "TNEP status"),
    (Tnf.WELL_KNOWN, b"T", "text"),
    (Tnf.WELL_KNOWN, b"U", "URI"),
    (Tnf.WELL_KNOWN, b"Sp", "smart poster"),
    (Tnf.EXTERNAL, handover.DEVICE_ENGAGEMENT, "device engagement"),
    (Tnf.EXTERNAL, handover.NFC_CARRIER, "NFC carrier"),
    (Tnf.MEDIA, handover.BLE_CARRIER, "Bluetooth carrier"),
    (Tnf.MEDIA, handover.WIFI_AWARE_CARRIER, "Wi-Fi Aware carrier"),
)


@dataclass(slots=True)
class Report:
    """Facts by name, and the same as headed lines for people."""

    facts: Facts = field(default_factory=dict)
    lines: list[tuple[str, str]] = field(default_factory=list)

    def add(self, name: str, fact: object, line: str = "", head: str = "") -> None:
        """Add a fact, and its line where it has one."""
        self.facts[name] = fact
        if line:
            self.lines.append((head, line))

    def text(self) -> str:
        """Return the lines, their heads in one column."""
        width = max((len(head) for head, _ in self.lines), default=0)
        return "\n".join(f"{head:<{width}}  {line}".rstrip() for head, line in self.lines)


def describe_card(report: Report, card: Card) -> None:
    """Tell how the card is talked to."""
    drawn = "draws its identifier anew each time, as phones do" if card.random_uid else "has an identifier of its own"
    report.add("random_identifier", card.random_uid, drawn)
    if not isinstance(card, IsoDepCard):
        report.add("longest_command", card.longest_command, f"commands of up to {card.longest_command} bytes")
        report.add("longest_response", card.longest_response, f"responses of up to {card.longest_response} bytes")
        return
    said = card.parameters
    report.add("frame_to_card", said.fsc, f"frames of up to {said.fsc} bytes to it and {said.fsd} from it")
    report.add("frame_from_card", said.fsd)
    waiting_ms = said.fwt_s * 1000
    report.add("waiting_ms", round(waiting_ms, 1), f"answers within {waiting_ms:.0f} ms, or asks for more time")
    answer = getattr(card, "answer", None)
    if isinstance(answer, AnswerToSelect):
        shared = sorted(set(answer.to_card) & set(answer.from_card))
        report.add("rates", [106, *shared], f"bit rates {', '.join(map(str, [106, *shared]))} kbit/s")


def describe_container(report: Report, cc: CapabilityContainer) -> None:
    """Tell what the NDEF application says of itself."""
    major, minor = cc.version
    writes = f"writes up to {cc.longest_write}" if cc.writable else "takes no writes"
    report.add(
        "ndef_application",
        {
            "version": f"{major}.{minor}",
            "longest_read": cc.longest_read,
            "longest_write": cc.longest_write,
            "file_size": cc.file_size,
            "readable": cc.readable,
            "writable": cc.writable,
        },
        f"application there, mapping version {major}.{minor}: reads up to {cc.longest_read} bytes at a time, "
        f"{writes}, file of {cc.file_size}",
        "NDEF",
    )


def kind_of(record: Record) -> str:
    """Name the kind of a record, where it is one that is known here."""
    return next((words for tnf, name, words in _KINDS if record.is_a(tnf, name)), "other")


def describe_message(report: Report, size: int, records: Sequence[Record]) -> None:
    """Tell what an NDEF message holds."""
    kinds = Counter(kind_of(record) for record in records)
    told = ", ".join(kind if count == 1 else f"{count} {kind}" for kind, count in kinds.items())
    report.add("message", {"bytes": size, "records": dict(kinds)}, f"message of {size} bytes: {told or 'empty'}")


def describe_services(report: Report, services: Sequence[tnep.Service]) -> None:
    """Tell whether handover can be negotiated."""
    found = next((service for service in services if service.name == tnep.HANDOVER), None)
    if found is None:
        return
    facts = {"wait_ms": round(found.wait_s * 1000, 1), "extensions": found.extensions, "largest": found.largest}
    line = (
        f"negotiated: waits of {found.wait_s * 1000:.0f} ms, up to {found.extensions} more, "
        f"messages of up to {found.largest} bytes"
    )
    report.add("negotiated_handover", facts, line, "handover")


def describe_select(report: Report, select: HandoverSelect) -> None:
    """Tell what a static handover offers."""
    version = ".".join(map(str, select.version))
    carriers = [_carrier(carrier) for carrier in select.carriers]
    report.add(
        "static_handover",
        {"version": version, "carriers": [facts for facts, _ in carriers]},
        f"static, version {version}: {len(carriers)} carrier{'' if len(carriers) == 1 else 's'}",
        "handover",
    )
    report.lines += [("", f"- {line}") for _, line in carriers]
    said = select.engagement
    report.add(
        "engagement",
        {"version": said.version, "bytes": len(said.raw), "curve": said.curve.name, "methods": len(said.methods)},
        f"device engagement version {said.version}, {len(said.raw)} bytes, key on {said.curve.name}",
    )


def _carrier(carrier: Carrier) -> tuple[Facts, str]:
    facts: Facts = {"kind": str(carrier.kind), "power": carrier.power_state.name.lower()}
    match carrier.method:
        case BleMethod() as ble:
            roles = [
                words
                for able, words in (
                    (ble.peripheral_server, "mdoc peripheral server mode"),
                    (ble.central_client, "mdoc central client mode"),
                )
                if able
            ]
            extras = {
                "uuid": (ble.peripheral_uuid or ble.central_uuid) is not None,
                "address": ble.address is not None,
                "l2cap": ble.psm is not None,
            }
            facts |= {"roles": roles, **extras}
            names = ("UUID", "address", "L2CAP")
            told = ", ".join(
                f"{'with' if there else 'no'} {name}" for name, there in zip(names, extras.values(), strict=True)
            )
            return facts, f"Bluetooth: {' and '.join(roles)}; {told}"
        case NfcMethod() as nfc:
            facts |= {"longest_command": nfc.max_command_data, "longest_response": nfc.max_response_data}
            return facts, f"NFC: commands of {nfc.max_command_data} bytes of data, responses of {nfc.max_response_data}"
        case WifiAwareMethod():
            return facts, "Wi-Fi Aware"
        case _:
            return facts, "NFC" if carrier.kind is CarrierKind.NFC else "a carrier this reader does not know"
