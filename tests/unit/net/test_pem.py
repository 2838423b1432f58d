"""PEM files that somebody named, and what OpenSSL makes of what is in them."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from dragonfly.errors import ConfigError
from dragonfly.net.contexts import serving
from dragonfly.net.pem import KeyPair, PemFile, read_pair

NOW = datetime.datetime(2026, 5, 1, tzinfo=datetime.timezone.utc)
SIGNER = ec.generate_private_key(ec.SECP256R1())


def certificate(key: Any) -> x509.Certificate:
    """One for a key of any kind."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "somebody")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(1)
    lasting = builder.not_valid_before(NOW).not_valid_after(NOW + datetime.timedelta(days=1))
    return lasting.public_key(key.public_key()).sign(SIGNER, hashes.SHA256())


def pem_of(key: Any, encryption: KeySerializationEncryption | None = None) -> bytes:
    """A key as it stands in files."""
    how = encryption or NoEncryption()
    return bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how))


class Files:
    """A key, its certificate, and both behind each other."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.certificate = certificate(SIGNER)
        pem = self.certificate.public_bytes(Encoding.PEM)
        self.cert = self.put("cert.pem", pem)
        self.key = self.put("key.pem", pem_of(SIGNER))
        self.both = self.put("both.pem", pem_of(SIGNER) + pem)

    def put(self, name: str, data: bytes) -> PemFile:
        """Write one."""
        (self.root / name).write_bytes(data)
        return PemFile("given", str(self.root / name))


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """In a directory of its own."""
    return Files(tmp_path)


def test_a_pair(files: Files) -> None:
    """In two files or one, with what signed it behind; no key in what is printed."""
    above = certificate(ec.generate_private_key(ec.SECP256R1()))
    chain = files.put(
        "chain.pem", files.certificate.public_bytes(Encoding.PEM) + above.public_bytes(Encoding.PEM)
    )
    assert read_pair(files.cert, files.key).chain == (files.certificate,)
    assert read_pair(files.both, files.both).key.public_key() == SIGNER.public_key()
    pair = read_pair(chain, files.key)
    assert pair.chain == (files.certificate, above)
    assert pair.name == str(chain)
    assert "key=" not in repr(pair)


def test_a_home_directory(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path may begin with it; one of nobody is named."""
    monkeypatch.setenv("HOME", str(files.root))
    assert PemFile("cert", "~/cert.pem").certificates() == (files.certificate,)
    with pytest.raises(ConfigError, match=r"^cert ~nobody-here/x: "):
        PemFile("cert", "~nobody-here/x").certificates()


def test_files_of_no_use(files: Files) -> None:
    """Each is named, with what was wanted of it."""
    locked = files.put("locked.pem", pem_of(SIGNER, BestAvailableEncryption(b"x")))
    stranger = files.put("stranger.pem", pem_of(ec.generate_private_key(ec.SECP256R1())))
    absent = PemFile("", str(files.root / "absent"))
    for cert, key, wrong, text in (
        (absent, files.key, absent, "No such file"),
        (files.key, files.key, files.key, "no certificate in PEM form"),
        (files.cert, absent, absent, "No such file"),
        (files.cert, files.cert, files.cert, "no private key in PEM form"),
        (files.cert, locked, locked, "the key is encrypted"),
        (files.cert, stranger, stranger, "it does not belong to the certificate in .*cert.pem"),
    ):
        with pytest.raises(ConfigError, match=f"^{wrong}: {text}"):
            read_pair(cert, key)


def test_keys_that_tls_does_not_take() -> None:
    """The reason is that of OpenSSL where it has one."""
    other = ec.generate_private_key(ec.SECP256R1())
    exchanging = x25519.X25519PrivateKey.generate()
    for key, shown, text in (
        (other, SIGNER, "key values mismatch"),
        (exchanging, SIGNER, "TLS knows no keys of its kind"),
    ):
        pair = KeyPair(key=key, chain=(certificate(shown),), name="cert x.pem")
        with pytest.raises(ConfigError, match=f"^cert x.pem: .*{text}"):
            serving(pair)
