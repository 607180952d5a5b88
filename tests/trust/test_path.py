"""Chains that are walked to a root: whole ones pass, and each way to break one has its code."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from mdoc_reader.lab import wrong_certificates as wrong
from mdoc_reader.lab.wrong_certificates import AT, Draft, good, having, named, purposes, sign, without
from mdoc_reader.model.verdict import Finding
from mdoc_reader.trust import der, facts, path
from mdoc_reader.trust.facts import CertificateFacts, read
from mdoc_reader.trust.profile_rules import Kind

VICAL = (Kind.VICAL_SIGNER, Kind.VICAL_CA, Kind.VICAL_ROOT)
BC = x509.BasicConstraints


def chain(
    root: Draft | None = None, between: Draft | None = None, leaf: Draft | None = None
) -> tuple[list[CertificateFacts], CertificateFacts]:
    root, between = root or good(Kind.VICAL_ROOT), between or good(Kind.VICAL_CA)
    made = [sign(leaf or good(Kind.VICAL_SIGNER), between), sign(between, root), sign(root, None)]
    return [read(each) for each in made], read(made[2])


def codes(findings: tuple[Finding, ...]) -> list[str]:
    return [str(finding.code) for finding in findings]


def test_a_chain_of_three_with_its_root_or_without() -> None:
    whole, root = chain()
    assert path.walk(whole, [root], VICAL, AT) == (root, ())
    assert path.walk(whole[:2], [root], VICAL, AT) == (root, ())
    strangers = [chain()[1] for _ in range(4)]
    assert path.walk(whole, [*strangers, root], VICAL, AT) == (root, ())


def test_the_leaf_itself_may_be_pinned() -> None:
    whole, _ = chain()
    assert path.walk(whole, [whole[0]], VICAL, AT) == (whole[0], ())
    later = AT + timedelta(days=1000)
    assert codes(path.walk(whole, [whole[0]], VICAL, later)[1]) == ["signer_expired"]


def test_the_one_between_may_be_pinned() -> None:
    whole, _ = chain()
    assert path.walk(whole, [whole[1]], (Kind.VICAL_SIGNER, Kind.VICAL_CA, Kind.VICAL_CA), AT) == (whole[1], ())


def test_chains_that_lead_nowhere() -> None:
    whole, _ = chain()
    _, stranger = chain(named(common_name="Elsewhere")(good(Kind.VICAL_ROOT)))
    assert path.walk(whole, [stranger], VICAL, AT)[0] is None
    assert codes(path.walk(whole, [stranger], VICAL, AT)[1]) == ["path_not_rooted"]
    assert codes(path.walk(whole[:1], [stranger], VICAL, AT)[1]) == ["path_not_rooted"]
    assert codes(path.walk(whole, [], VICAL, AT)[1]) == ["path_not_rooted"]
    namesake = chain()[1]
    assert codes(path.walk(whole, [namesake], VICAL, AT)[1]) == ["path_signature"]


def test_a_chain_is_only_as_long_as_allowed() -> None:
    whole, root = chain()
    assert codes(path.walk(whole, [root], VICAL, AT, longest=2)[1]) == ["path_too_long"]
    deep = good(Kind.VICAL_CA)
    deeper = replace(good(Kind.VICAL_CA), common_name="deeper")
    top = having(BC(True, None))(good(Kind.VICAL_ROOT))
    free = having(BC(True, None))(deep)
    made = [sign(good(Kind.VICAL_SIGNER), deeper), sign(deeper, free), sign(free, top), sign(top, None)]
    read_chain = [read(each) for each in made]
    assert path.walk(read_chain, [read_chain[3]], VICAL, AT, longest=4) == (read_chain[3], ())
    assert codes(path.walk(read_chain, [read_chain[3]], VICAL, AT)[1]) == ["path_too_long"]


def test_a_root_that_allows_nothing_between() -> None:
    whole, root = chain(having(BC(True, 0))(good(Kind.VICAL_ROOT)))
    assert codes(path.walk(whole, [root], VICAL, AT)[1]) == ["path_length"]


def test_what_is_between_must_be_an_authority() -> None:
    whole, root = chain(between=having(BC(False, None))(good(Kind.VICAL_CA)))
    assert codes(path.walk(whole, [root], VICAL, AT)[1]) == ["anchor_not_authority"]
    whole, root = chain(between=having(wrong.uses("crl_sign"))(good(Kind.VICAL_CA)))
    assert codes(path.walk(whole, [root], VICAL, AT)[1]) == ["authority_key_usage"]
    whole, root = chain(between=purposes("1.0.18013.5.1.6")(good(Kind.VICAL_CA)))
    assert "authority_eku_other" in codes(path.walk(whole, [root], VICAL, AT)[1])


def test_a_link_and_what_it_is_not() -> None:
    made = wrong.specimen(Kind.LINK)
    assert path.is_link(read(made.der))
    assert not path.is_link(read(made.above))
    plain = wrong.specimen(Kind.LINK, having(BC(False, None)))
    assert not path.is_link(read(plain.der))
    assert not path.is_link(read(wrong.specimen(Kind.LINK, without(x509.ExtendedKeyUsage)).der))


def test_a_link_may_carry_the_new_name_beside_the_old() -> None:
    old = good(Kind.IACA)
    new = named(common_name="New")(good(Kind.IACA))
    beside = having(x509.SubjectAlternativeName([x509.DirectoryName(new.name)]))
    drafted = wrong.holding(new.key)(beside(good(Kind.LINK)))
    link = read(sign(replace(drafted, common_name=old.common_name), old))
    root = read(sign(old, None))
    assert path.link(read(sign(new, None)), link, root, AT) == ()
    signer = read(sign(good(Kind.DOCUMENT_SIGNER), new))
    assert path.signed_by(signer, link) is None
    assert path.signed_by(signer, root) is not None


# RSA, which European lists are signed with


def rsa_root(bits: int, key: rsa.RSAPrivateKey) -> tuple[CertificateFacts, x509.CertificateBuilder]:
    assert key.key_size == bits
    name = good(Kind.LOTE_CA).name
    builder = (
        x509.CertificateBuilder()
        .issuer_name(name)
        .serial_number(5)
        .not_valid_before(AT - timedelta(days=1))
        .not_valid_after(AT + timedelta(days=1))
    )
    root = builder.subject_name(name).public_key(key.public_key())
    for extension in (BC(True, None), wrong.uses("key_cert_sign", "crl_sign")):
        root = root.add_extension(extension, True)
    return read(root.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)), builder


@pytest.mark.parametrize(("bits", "says"), [(2048, []), (1024, ["path_algorithm"])])
def test_an_rsa_root_above_the_signer_of_a_european_list(bits: int, says: list[str]) -> None:
    key = rsa.generate_private_key(65537, bits)
    root, builder = rsa_root(bits, key)
    draft = good(Kind.LOTE_SIGNER)
    builder = builder.subject_name(draft.name).public_key(draft.key.public_key())
    leaf = builder.add_extension(wrong.uses("digital_signature"), True).sign(key, hashes.SHA256())
    chained = [read(leaf.public_bytes(Encoding.DER))]
    kinds = (Kind.LOTE_SIGNER, Kind.LOTE_CA, Kind.LOTE_CA)
    found = path.walk(chained, [root], kinds, AT)[1]
    assert codes(found) == says
    assert codes(path.walk([root], [root], kinds, AT)[1])[0] == "signer_is_authority", "a root signs no list"


# Facts


def test_facts_of_what_is_cut_or_bent_are_refused_or_read_and_nothing_else() -> None:
    whole = wrong.specimen(Kind.DOCUMENT_SIGNER).der
    for size in range(0, len(whole), 7):
        with pytest.raises(ValueError):
            read(whole[:size])
    for place in range(len(whole)):
        bent = whole[:place] + bytes((whole[place] ^ 0x04,)) + whole[place + 1 :]
        for reader in (read, der.index):
            try:
                reader(bent)
            except ValueError:
                continue


def test_facts_of_what_is_too_large_or_twice_are_refused() -> None:
    large = having(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), bytes(facts.MAX_CERTIFICATE_BYTES)))
    twice = wrong.cut(wrong.wrong_der.repeat_extension)
    for change in (large, twice):
        with pytest.raises(ValueError):
            read(wrong.specimen(Kind.DOCUMENT_SIGNER, change).der)


def test_an_index_is_what_the_whole_certificate_says() -> None:
    for kind in Kind:
        data = wrong.specimen(kind).der
        found, parts, said = der.index(data), der.slices(data), read(data)
        assert (found.subject, found.key_identifier) == (parts.subject, said.key_identifier)
        assert found.key_algorithm == der.key_parts(parts.key)[0]
        certificate = x509.load_der_x509_certificate(data)
        assert parts.issuer == certificate.issuer.public_bytes()
        assert said.key_digest == x509.SubjectKeyIdentifier.from_public_key(certificate.public_key()).digest
