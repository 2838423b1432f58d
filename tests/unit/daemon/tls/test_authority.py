"""Certificates for hosts: what is in them, who believes them, and authorities that are none."""

from __future__ import annotations

import datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.verification import PolicyBuilder, Store

from dragonfly.daemon.tls.authority import Authority, load_authority
from dragonfly.daemon.tls.newauthority import make_authority, write_authority
from dragonfly.errors import ConfigError, StoreError
from dragonfly.net.certificates import common_name

NOW = datetime.datetime(2026, 5, 1, 12, 0, tzinfo=datetime.timezone.utc)
DAY = datetime.timedelta(days=1)


def authority(tmp_path: Path, *, days: int = 1000) -> Authority:
    """One that was just made."""
    cert, key = tmp_path / "ca.crt", tmp_path / "ca.key"
    write_authority(make_authority("test", days=days, now=NOW), cert, key, force=True)
    return load_authority(str(cert), str(key), now=NOW.timestamp())


def verified(made: Authority, leaf: x509.Certificate, name: x509.GeneralName) -> list[Any]:
    """The chain as a client of today finds it."""
    builder = PolicyBuilder().store(Store([made.certificate])).time(NOW)
    return builder.build_server_verifier(name).verify(leaf, [])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("registry.example.com", x509.DNSName("registry.example.com")),
        ("192.0.2.7", x509.IPAddress(ip_address("192.0.2.7"))),
        ("2001:db8::7", x509.IPAddress(ip_address("2001:db8::7"))),
    ],
)
def test_clients_believe_a_leaf(tmp_path: Path, host: str, name: x509.GeneralName) -> None:
    """By all rules of the web's PKI that cryptography knows, for a name and for an address."""
    made = authority(tmp_path)
    leaf = made.mint(host, NOW.timestamp())
    assert len(leaf.chain) == 1  # clients have the authority's own
    assert verified(made, leaf.chain[0], name)[-1] == made.certificate
    with pytest.raises(x509.verification.VerificationError):
        verified(made, leaf.chain[0], x509.DNSName("other.example"))


def test_how_long_a_leaf_lasts(tmp_path: Path) -> None:
    """From an hour ago for ninety days, but not longer than the authority."""
    made = authority(tmp_path)
    leaf = made.mint("a", NOW.timestamp())
    certificate = leaf.chain[0]
    assert certificate.not_valid_before_utc == NOW - datetime.timedelta(hours=1)
    assert certificate.not_valid_after_utc == NOW + 90 * DAY
    assert leaf.until == (NOW + 90 * DAY).timestamp()
    short = authority(tmp_path, days=10)
    assert short.mint("a", NOW.timestamp()).until == (NOW + 10 * DAY).timestamp() == short.until


def test_long_names_have_short_common_names(tmp_path: Path) -> None:
    """Only the alternative name counts, and it is whole."""
    host = ".".join(["x" * 50] * 3)
    certificate = authority(tmp_path).mint(host, NOW.timestamp()).chain[0]
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [host]


# -- foreign authorities -----------------------------------------------------------------


def written(tmp_path: Path, key: Any, *, sign: Any = None, **how: Any) -> tuple[str, str]:
    """Files of an authority as somebody else might have made it."""
    issuer = common_name(how.get("issuer", "foreign"))
    builder = (
        x509.CertificateBuilder()
        .subject_name(common_name("foreign"))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(how.get("begin", NOW - DAY))
        .not_valid_after(how.get("end", NOW + DAY))
    )
    if how.get("ca") is not None:
        basic = x509.BasicConstraints(ca=how["ca"], path_length=None)
        builder = builder.add_extension(basic, critical=True)
    if how.get("usage") is not None:
        builder = builder.add_extension(how["usage"], critical=True)
    hashed = None if isinstance(sign or key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    pem = builder.sign(sign or key, hashed).public_bytes(Encoding.PEM)
    (tmp_path / "f.crt").write_bytes(pem)
    (tmp_path / "f.key").write_bytes(pem_of(key))
    return str(tmp_path / "f.crt"), str(tmp_path / "f.key")


def pem_of(key: Any, encryption: Any = None) -> bytes:
    """A private key in PEM form."""
    encryption = encryption or NoEncryption()
    return bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_other_kinds_of_keys(tmp_path: Path, kind: str) -> None:
    """Operators have authorities already; those without identifiers, too."""
    key: Any = ed25519.Ed25519PrivateKey.generate()
    if kind == "rsa":
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    made = load_authority(*written(tmp_path, key, ca=True), now=NOW.timestamp())
    leaf = made.mint("a", NOW.timestamp()).chain[0]
    leaf.verify_directly_issued_by(made.certificate)
    leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)


def test_an_authority_below_another_is_sent_along(tmp_path: Path) -> None:
    """Clients have the root only."""
    key, root = (ec.generate_private_key(ec.SECP256R1()) for _ in "ab")
    paths = written(tmp_path, key, ca=True, issuer="root", sign=root)
    made = load_authority(*paths, now=NOW.timestamp())
    assert made.mint("a", NOW.timestamp()).chain[1:] == (made.certificate,)


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ({"ca": False}, "no authority's"),
        ({"ca": None}, "no authority's"),
        (
            {"begin": NOW - 3 * DAY, "end": NOW - DAY, "ca": True},
            "has ended: it is valid from 2026-04-28 12:00 to 2026-04-30 12:00 UTC",
        ),
        (
            {"begin": NOW + DAY, "end": NOW + 2 * DAY, "ca": True},
            "has not begun: it is valid from 2026-05-02 12:00 to 2026-05-03 12:00 UTC",
        ),
    ],
)
def test_what_cannot_sign(tmp_path: Path, how: dict[str, Any], text: str) -> None:
    """It is said at the start, with file and dates."""
    paths = written(tmp_path, ec.generate_private_key(ec.SECP256R1()), **how)
    with pytest.raises(ConfigError, match=text) as caught:
        load_authority(*paths, now=NOW.timestamp())
    assert paths[0] in str(caught.value)


def test_a_certificate_for_other_uses(tmp_path: Path) -> None:
    """It says of itself that it does not sign certificates."""
    others = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    more = ("key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    usage = x509.KeyUsage(digital_signature=True, **dict.fromkeys((*others, *more), False))
    key = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(ConfigError, match="no authority's"):
        load_authority(*written(tmp_path, key, ca=True, usage=usage), now=NOW.timestamp())


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    """Each with its name: absent, of another form, locked, of another certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    cert, good = written(tmp_path, key, ca=True)
    other = tmp_path / "other.key"
    locked = pem_of(key, BestAvailableEncryption(b"x"))
    stranger = pem_of(ec.generate_private_key(ec.SECP256R1()))
    for data, text in (
        (b"nonsense", "no private key"),
        (locked, "passphrase"),
        (stranger, "does not belong to the certificate"),
    ):
        other.write_bytes(data)
        with pytest.raises(ConfigError, match=text) as caught:
            load_authority(cert, str(other), now=NOW.timestamp())
        assert str(other) in str(caught.value)
    with pytest.raises(ConfigError, match=r"f\.key: no certificate"):
        load_authority(good, good, now=NOW.timestamp())
    with pytest.raises(ConfigError, match=r"absent: No such file"):
        load_authority(str(tmp_path / "absent"), good, now=NOW.timestamp())


# -- new ones ------------------------------------------------------------------------------


def test_a_new_authority_signs_servers_only(tmp_path: Path) -> None:
    """No authorities below it, and only we read the key."""
    made = authority(tmp_path, days=5)
    extensions = made.certificate.extensions
    basic = extensions.get_extension_for_class(x509.BasicConstraints)
    assert (basic.critical, basic.value.ca, basic.value.path_length) == (True, True, 0)
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.key_cert_sign
    assert not usage.digital_signature
    assert made.until == (NOW + 5 * DAY).timestamp()
    assert (tmp_path / "ca.key").stat().st_mode & 0o777 == 0o600


def test_files_are_not_replaced(tmp_path: Path) -> None:
    """Clients trust the old one; and a mistake in the names is noticed."""
    made = make_authority("test", days=5, now=NOW)
    cert, key = tmp_path / "new" / "ca.crt", tmp_path / "new" / "ca.key"
    write_authority(made, cert, key, force=False)
    before = cert.read_bytes(), key.read_bytes()
    again = make_authority("test", days=5, now=NOW)
    for path in (cert, key):
        with pytest.raises(ConfigError, match=f"{path} is there already"):
            write_authority(again, cert, key, force=False)
        path.unlink()
    cert.write_bytes(before[0])
    write_authority(again, cert, key, force=True)
    assert cert.read_bytes() == again.cert != before[0]
    with pytest.raises(ConfigError, match="both"):
        write_authority(again, cert, cert, force=True)
    with pytest.raises(StoreError):
        write_authority(again, cert / "x", tmp_path / "key", force=True)


def test_names_have_a_length() -> None:
    """As certificates want it."""
    for name in ("", "x" * 65):
        with pytest.raises(ConfigError, match="64"):
            make_authority(name, days=5, now=NOW)
