"""Client certificates: which files do, what is said of the others, and where one is shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from twisted.internet.testing import MemoryReactorClock

from dragonfly.errors import ConfigError
from dragonfly.net.origin import OriginClient
from dragonfly.net.origintrusts import OriginTrusts
from dragonfly.net.tls import load_or_make_certificate
from dragonfly.net.trust import Trust


class Files:
    """PEM files of two clients."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ours, self.others = ((self._made(name)) for name in ("ours", "others"))
        pem = self.ours.read_text()
        begin = pem.index("-----BEGIN CERTIFICATE")
        self.key = self.put("key.pem", pem[:begin])
        self.cert = self.put("cert.pem", pem[begin:])
        self.chain = self.put("chain.pem", pem + self.others.read_text())

    def _made(self, name: str) -> Path:
        (self.root / name).mkdir()
        return load_or_make_certificate(self.root / name).path

    def put(self, name: str, text: str) -> str:
        """Write one, and give its path."""
        (self.root / name).write_text(text)
        return str(self.root / name)

    def encrypted(self) -> str:
        """The key under a password."""
        key = load_pem_private_key(self.ours.read_bytes(), None)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
        return self.put("encrypted.pem", pem.decode())


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Made once."""
    return Files(tmp_path_factory.mktemp("pem"))


def test_files_that_do(files: Files) -> None:
    """Together, apart, and with a chain; checked and unchecked."""
    pairs = [(str(files.ours), None), (files.cert, files.key), (files.chain, files.key)]
    for cert, key in pairs:
        for insecure in (False, True):
            trust = Trust(client_cert=cert, client_key=key, insecure=insecure)
            trust.policy().creatorForNetloc(b"host", 443)


@pytest.mark.parametrize(
    ("cert", "key", "said"),
    [
        ("absent.pem", None, r"^client_cert .*absent\.pem: No such file"),
        ("key.pem", None, r"^client_cert .*key\.pem: no certificate in PEM form"),
        ("cert.pem", None, r"^client_key .*cert\.pem: no private key in PEM form"),
        ("cert.pem", "absent.pem", r"^client_key .*absent\.pem: No such file"),
        ("cert.pem", "encrypted.pem", r"^client_key .*encrypted\.pem: the key is encrypted"),
        (
            "cert.pem",
            "others/tls.pem",
            r"^client_key .*others/tls\.pem: it does not belong to the certificate in .*cert\.pem",
        ),
    ],
)
def test_files_that_do_not(files: Files, cert: str, key: str | None, said: str) -> None:
    """The file is named, and nobody is asked for a password."""
    files.encrypted()
    key = str(files.root / key) if key is not None else None
    trust = Trust(client_cert=str(files.root / cert), client_key=key)
    with pytest.raises(ConfigError, match=said):
        trust.policy()
    with pytest.raises(ConfigError, match=said):
        OriginClient(MemoryReactorClock(), trust=OriginTrusts({("host", 443): trust}))


def test_a_key_alone(files: Files) -> None:
    """Is a mistake."""
    with pytest.raises(ConfigError, match=r"key\.pem is given, and no client_cert"):
        Trust(client_key=files.key).policy()


def test_several_authorities(files: Files) -> None:
    """Each file is read; the one that is wrong is named."""
    Trust(cacerts=(files.cert, str(files.others))).policy().creatorForNetloc(b"host", 443)
    with pytest.raises(ConfigError, match=r"cacerts .*key\.pem: no certificate"):
        Trust(cacerts=(files.cert, files.key)).policy()


def test_elsewhere(files: Files) -> None:
    """What is believed stays; who we are is not told."""
    trust = Trust(cacerts=files.cert, client_cert=files.cert, client_key=files.key)
    assert trust.elsewhere == Trust(cacerts=files.cert)
    assert Trust(insecure=True).elsewhere == Trust(insecure=True)
