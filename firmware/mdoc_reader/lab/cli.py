"""`mdoc-lab`: the lab's command line, for people who test a reader or a door with it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mdoc_reader.lab import certificates, people
from mdoc_reader.lab.issuer import DEVICE_CURVES
from mdoc_reader.lab.situations import SITUATIONS
from mdoc_reader.mdoc.keys import CURVES, CURVES_BY_NAME, encode_cose_key, generate_agreement_key
from mdoc_reader.mdoc.request import ItemsRequest, build_device_request
from mdoc_reader.mdoc.response import DeviceAuthKind
from mdoc_reader.mdoc.session import SessionCipher, SessionEstablishment
from mdoc_reader.mdoc.transcript import session_transcript

SESSION_CURVES = tuple(row.name for row in CURVES.values() if row.agreement and (row.ec or row.kty == 1))
_DEFAULT_ELEMENTS = ("age_over_18", "portrait", "family_name", "given_name")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status: 0 done, 1 the demo saw a surprise, 2 not possible as asked."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    # These two have options of their own, and simulated hardware that the other commands need not import.
    if arguments[:1] == ["demo"]:
        from mdoc_reader.lab import demo

        return int(demo.main(arguments[1:]))
    if arguments[:1] == ["phone"]:
        from mdoc_reader.lab import phone_app

        return int(phone_app.main(arguments[1:]))
    chosen = _parser().parse_args(arguments)
    try:
        if chosen.command == "issuer":
            return _issuer(chosen.folder, chosen.curve, chosen.signer_curve or chosen.curve)
        return _response(chosen)
    except (ValueError, OSError) as error:
        print(f"mdoc-lab {chosen.command}: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mdoc-lab", description="An issuer and phones in software, to test readers with."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("demo", help="the reader and the lab's cast, live in the terminal", add_help=False)
    commands.add_parser("phone", help="one lab phone on the air", add_help=False)

    issuing = commands.add_parser(
        "issuer", help="make an issuing authority, a document signer and a reader identity", description=_issuer.__doc__
    )
    issuing.add_argument("folder", type=Path, help="where to write; made where missing, files in it are replaced")
    issuing.add_argument("--curve", default="P-256", choices=certificates.AUTHORITY_CURVES, help="default: P-256")
    issuing.add_argument(
        "--signer-curve", choices=certificates.SIGNER_CURVES, help="of document signer and reader; default: as --curve"
    )

    answering = commands.add_parser(
        "response", help="make a response and all that `mdoc-reader verify` needs", description=_response.__doc__
    )
    answering.add_argument("folder", type=Path, help="where to write; made where missing, files in it are replaced")
    answering.add_argument(
        "--behaviour",
        default="adult",
        choices=SITUATIONS,
        metavar="NAME",
        help="default: adult. " + " ".join(f"{one.name}: {one.about}" for one in SITUATIONS.values()),
    )
    answering.add_argument("--curve", default="P-256", choices=certificates.AUTHORITY_CURVES, help="of the issuer")
    answering.add_argument("--session-curve", choices=SESSION_CURVES, help="default: as the device key, or P-256")
    answering.add_argument("--device-curve", default="P-256", choices=DEVICE_CURVES, help="of the device key")
    answering.add_argument("--mac", action="store_true", help="prove the device key by MAC instead of a signature")
    answering.add_argument(
        "--element",
        action="append",
        dest="elements",
        metavar="NAME",
        help=f"ask for this mDL element; may be repeated; default: {', '.join(_DEFAULT_ELEMENTS)}",
    )
    return parser


def _issuer(folder: Path, curve: str, signer_curve: str) -> int:
    """Write an IACA, a document signer, a reader authority and a reader: certificates as PEM and DER, keys as PEM."""
    iaca = certificates.make_iaca(curve)
    reader_ca = certificates.make_reader_ca(curve)
    made = {
        "iaca": iaca,
        "ds": certificates.make_document_signer(iaca, signer_curve),
        "reader_ca": reader_ca,
        "reader": certificates.make_reader(reader_ca, signer_curve),
    }
    files: dict[str, bytes] = {}
    for name, credential in made.items():
        files |= {f"{name}.pem": credential.pem, f"{name}.der": credential.der, f"{name}.key.pem": credential.key_pem}
    _write(folder, files)
    print(f"Issuer on {curve}, document signer and reader on {signer_curve}, written to {folder}.")
    print("Readers trust iaca.pem, wallets trust reader_ca.pem. The keys are not encrypted: for the lab only.")
    return 0


def _response(chosen: argparse.Namespace) -> int:
    """Issue an mDL, ask for elements of it, answer as told, and write every part of the conversation."""
    situation = SITUATIONS[chosen.behaviour]
    iaca = certificates.make_iaca(chosen.curve)
    signer = certificates.make_document_signer(iaca, chosen.curve)
    device_auth = DeviceAuthKind.MAC if chosen.mac else None
    wallet = situation.wallet(iaca, signer, device_curve=chosen.device_curve, device_auth=device_auth)
    session_curve = chosen.session_curve or _session_curve(chosen.device_curve)
    engagement = wallet.engage(session_curve)
    reader_key = generate_agreement_key(CURVES_BY_NAME[session_curve])
    e_reader_key = encode_cose_key(reader_key.public_key())
    transcript = session_transcript(engagement.encoded, e_reader_key)
    wanted = {people.MDL_NAMESPACE: dict.fromkeys(chosen.elements or _DEFAULT_ELEMENTS, False)}
    request = build_device_request([ItemsRequest(people.MDL_DOCTYPE, wanted).encode()], transcript)
    cipher = SessionCipher(reader_key, engagement.private_key.public_key(), transcript)
    establishment = SessionEstablishment(e_reader_key, cipher.encrypt(request)).encode()
    begun, asked = wallet.handle_establishment(engagement, establishment)
    response = wallet.respond(asked, begun.transcript, reader_key=reader_key.public_key())
    _write(
        chosen.folder,
        {
            "response.cbor": response,
            "transcript.cbor": transcript,
            "request.cbor": request,
            "engagement.txt": engagement.qr_text.encode() + b"\n",
            "establishment.cbor": establishment,
            "session_data.cbor": wallet.reply(begun, asked),
            "reader_key.pem": reader_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            "iaca.pem": iaca.pem,
        },
    )
    print(f"{situation.about} A response of {len(response)} bytes, written to {chosen.folder}. Try:")
    print(
        f"  mdoc-reader verify {chosen.folder / 'response.cbor'} --transcript {chosen.folder / 'transcript.cbor'}"
        f" --reader-key {chosen.folder / 'reader_key.pem'} --anchors {chosen.folder / 'iaca.pem'}"
        f" --request {chosen.folder / 'request.cbor'}"
    )
    return 0


def _session_curve(device_curve: str) -> str:
    row = CURVES_BY_NAME[device_curve]
    return device_curve if row.agreement else "P-256"


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / name
        path.write_bytes(content)
        if "key" in name:
            path.chmod(0o600)
