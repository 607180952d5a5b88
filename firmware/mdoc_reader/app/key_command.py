"""`mdoc-reader key`: the reader's own key and its certificates, from the first day to the renewal.

    key create     make the key where the configuration says: in the token, or in an encrypted file
    key csr        make a certificate signing request with it
    key install    check the certificates that came back, and put them where the configuration says
    key show       show key and certificates
    key check      open the key, sign with it, and say what is wrong and what to do

Run it as the user the reader runs as. For a new key beside the one in use, name the new one in a copy of the
configuration, and change over when its certificates are there. Exit codes: 0 good; 1 refused, or warnings; 2 a fault.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import secrets
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mdoc_reader.app import wiring
from mdoc_reader.app.doctor import told
from mdoc_reader.app.identity import (
    Chain,
    IdentityError,
    certificates_of,
    chain_checks,
    judged,
    load_chain,
    read_chain,
    renewal,
)
from mdoc_reader.app.inputs import InputError, read_input
from mdoc_reader.app.key_csr import CsrError, make_csr
from mdoc_reader.app.settings import MAX_BYTES, DriverSettings, ReaderSettings, SettingsError, convert
from mdoc_reader.mdoc.keys import curve_of
from mdoc_reader.model.check import Check, Health
from mdoc_reader.model.reasons import Severity
from mdoc_reader.model.signer import ReaderSigner, SignerError, SignerPublicKey

_EXAMINE_S = 15.0


@dataclass(frozen=True, slots=True)
class _Place:
    """What a configuration says of the key: its driver, and the file of its certificates."""

    file: str
    driver: wiring.Driver
    chain: Path | None

    @property
    def chain_file(self) -> Path:
        if self.chain is None:
            raise SettingsError(f"{self.file}: reader.reader_certificates does not say where the certificates go")
        return self.chain

    @contextmanager
    def opened(self) -> Iterator[ReaderSigner]:
        signer: ReaderSigner = self.driver.module.open_key(self.driver.options)
        try:
            yield signer
        finally:
            signer.close()


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser("key", help="make and look after the reader's own key", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, words: str, function: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        added = actions.add_parser(name, help=words)
        added.add_argument(
            "--config", type=Path, required=True, metavar="FILE", help="the TOML file the reader runs by"
        )
        added.set_defaults(function=lambda arguments: _guarded(function, arguments))
        return added

    create = action("create", "make the key", _create)
    create.add_argument("--curve", default="P-256", metavar="NAME", help="P-256 (default), P-384, P-521 or brainpool")
    csr = action("csr", "make a certificate signing request", _csr)
    csr.add_argument("--subject", required=True, metavar="NAME", help="RFC 4514, such as 'CN=Door 3,O=Example,C=UT'")
    csr.add_argument("--out", type=Path, metavar="FILE", help="write it there; default: print it")
    install = action("install", "check and install certificates", _install)
    install.add_argument("certificates", nargs="+", metavar="CERTS", help="PEM or DER; leaf, those between, the root")
    for name, words, function in (("show", "show key and certificates", _show), ("check", "try the key", _check)):
        action(name, words, function).add_argument("--json", action="store_true", help="print JSON")


def _guarded(function: Callable[[argparse.Namespace], int], arguments: argparse.Namespace) -> int:
    try:
        return function(arguments)
    except (SignerError, IdentityError, CsrError, InputError) as error:
        print(f"key: {error}", file=sys.stderr)
        return 1


def _place(path: Path) -> _Place:
    """Read what the configuration says of the key alone: a key is made before the rest is complete."""
    file = str(path)
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
        text = raw.decode()
        tree = tomllib.loads(text)
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingsError(f"{file}: not TOML: {error}") from None
    if len(raw) > MAX_BYTES:
        raise SettingsError(f"{file}: larger than {MAX_BYTES} bytes")
    if "key" not in tree:
        raise SettingsError(f"{file}: there is no [key] table; it names a driver, file or pkcs11")
    chosen = convert(tree["key"], DriverSettings, file, text, "key")
    reader = convert(tree.get("reader", {}), ReaderSettings, file, text, "reader")
    driver = wiring.load_driver("key", chosen, product=reader.product, file=file)
    given = reader.reader_certificates
    chain = None if given is None else Path(str(wiring.expand(given, wiring.places())))
    return _Place(file, driver, chain)


def fingerprint(key: SignerPublicKey) -> str:
    """Return the SHA-256 of a public key's SubjectPublicKeyInfo, in hexadecimal."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def _create(arguments: argparse.Namespace) -> int:
    place = _place(arguments.config)
    signer: ReaderSigner = place.driver.module.make_key(place.driver.options, arguments.curve)
    print(f"made {signer.words} on {arguments.curve}")
    print(f"public key SHA-256 {fingerprint(signer.public_key)}")
    signer.close()
    return 0


def _csr(arguments: argparse.Namespace) -> int:
    with _place(arguments.config).opened() as signer:
        pem = make_csr(signer, arguments.subject)
    if arguments.out is None:
        sys.stdout.write(pem.decode())
    else:
        _replace(arguments.out, pem)
        print(f"wrote {arguments.out}")
    return 0


def _install(arguments: argparse.Namespace) -> int:
    place = _place(arguments.config)
    target = place.chain_file
    encoded: list[bytes] = []
    for name in arguments.certificates:
        encoded += certificates_of(read_input(name))
    chain = read_chain(encoded)
    with place.opened() as signer:
        if not chain.belongs_to(signer.public_key):
            raise IdentityError("the reader's certificate is not that of the configured key; nothing was installed")
    at = datetime.now(UTC)
    found = judged(chain, at)
    for finding in found:
        print(f"{finding.severity.value:<7}  {finding.code}  {finding.message}", file=sys.stderr)
    if any(finding.severity is Severity.ERROR for finding in found):
        print("key: these certificates would be refused; nothing was installed", file=sys.stderr)
        return 1
    pem = b"".join(x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM) for der in chain.der)
    _replace(target, pem)
    print(f"installed {len(chain.der)} certificate(s) in {target}; {renewal(chain, at).what}")
    print("the reader reads them at its next start")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    place = _place(arguments.config)
    with place.opened() as signer:
        public, words = signer.public_key, signer.words
    chain = None
    if place.chain is not None and place.chain.exists():
        chain = load_chain(place.chain)
    rows = [] if chain is None else _rows(chain)
    mine = chain is not None and chain.belongs_to(public)
    shown = {
        "key": words,
        "curve": curve_of(public).name,
        "public_key_sha256": fingerprint(public),
        "certificates": rows,
        "certificate_is_of_this_key": mine if chain is not None else None,
    }
    if arguments.json:
        print(json.dumps(shown, indent=2))
        return 0
    print(f"{words}, {curve_of(public).name}")
    print(f"public key SHA-256 {fingerprint(public)}")
    for row in rows:
        print(f"  {row['subject']}\n    issued by {row['issuer']}\n    valid {row['from']} to {row['until']}")
    if chain is None:
        print("no certificates are installed")
    elif not mine:
        print("the certificates are not those of this key")
    return 0


def _rows(chain: Chain) -> list[dict[str, str]]:
    rows = []
    for der, read in zip(chain.der, chain.facts, strict=True):
        certificate = x509.load_der_x509_certificate(der)
        rows.append(
            {
                "subject": certificate.subject.rfc4514_string(),
                "issuer": certificate.issuer.rfc4514_string(),
                "from": f"{read.not_before:%Y-%m-%d}",
                "until": f"{read.not_after:%Y-%m-%d}",
                "sha256": hashlib.sha256(der).hexdigest(),
            }
        )
    return rows


def _check(arguments: argparse.Namespace) -> int:
    place = _place(arguments.config)
    checks = _key_checks(place)
    public = None
    if all(check.health is not Health.FAULT for check in checks):
        with place.opened() as signer:
            public = signer.public_key
    if place.chain is not None:
        checks += chain_checks(place.chain, public, datetime.now(UTC))
    else:
        what, advice = "the configuration names no certificates", "set reader.reader_certificates"
        checks.append(Check("key certificate", Health.FAULT, what, advice))
    if arguments.json:
        rows = [{"part": c.part, "health": c.health, "what": c.what, "advice": c.advice} for c in checks]
        print(json.dumps(rows, indent=2))
    else:
        print(told(checks))
    worst = {check.health for check in checks}
    return 2 if Health.FAULT in worst else 1 if Health.WARNING in worst else 0


def _key_checks(place: _Place) -> list[Check]:
    if place.driver.disabled:
        return [Check("key", Health.FAULT, "disabled by the configuration", "name the driver file or pkcs11")]

    async def examined() -> list[Check]:
        async with asyncio.timeout(_EXAMINE_S):
            return list(await place.driver.module.examine(place.driver.options))

    try:
        return asyncio.run(examined())
    except TimeoutError:
        return [Check("key", Health.FAULT, f"did not answer within {_EXAMINE_S:.0f} s", "restart the device")]


def _replace(path: Path, data: bytes) -> None:
    """Write a public file, whole or not at all. Raises InputError."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with draft.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        draft.chmod(0o644)
        draft.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise InputError(f"{path}: {error.strerror}") from None
