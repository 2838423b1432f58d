"""Disk and certificates."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import attrs
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from dragonfly.config import DaemonConfig
from dragonfly.setup.surroundings import (
    BUNDLES,
    check_authority,
    check_disk,
    check_mirror_certificate,
    check_supernodes,
)
from dragonfly.setup.tree import MemoryTree

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
DAY = datetime.timedelta(days=1)


@attrs.frozen
class Pair:
    """A certificate and its key, in files."""

    cert: str
    key: str
    hosts: tuple[str, ...] = ()


def made(directory: Path, days: int = 365, *, ca: bool = True) -> Pair:
    """Make one that is valid so long from NOW."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a CA")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - 700 * DAY)
        .not_valid_after(NOW + days * DAY)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    directory.mkdir(exist_ok=True)
    pair = Pair(str(directory / "ca.crt"), str(directory / "ca.key"))
    Path(pair.cert).write_bytes(certificate.public_bytes(Encoding.PEM))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    Path(pair.key).write_bytes(pem)
    return pair


@attrs.frozen
class Config:
    """As much of a configuration as is looked at."""

    hijack: Any


def said(pair: Pair, files: dict[str, str] | None = None) -> list[str]:
    """What is found of a CA."""
    return [
        str(finding)
        for finding in check_authority(Config(pair), MemoryTree(files or {}), NOW)  # type: ignore[arg-type]
    ]


def test_a_ca_that_is_trusted(tmp_path: Path) -> None:
    """It is in the system's bundle, among others."""
    pair = made(tmp_path / "a")
    bundle = Path(made(tmp_path / "b").cert).read_text() + Path(pair.cert).read_text()
    found = said(pair, {BUNDLES[2]: bundle})
    assert [line[:5] for line in found] == ["ok   ", "ok   "]
    assert "2027-01-01" in found[0]


def test_a_ca_that_nobody_trusts(tmp_path: Path) -> None:
    """With the commands that change that."""
    found = said(made(tmp_path / "a"), {BUNDLES[0]: Path(made(tmp_path / "b").cert).read_text()})
    assert found[1].startswith("WARN")
    assert "update-ca-certificates" in found[1]


@pytest.mark.parametrize(
    ("days", "level", "word"), [(-1, "FAIL", "is not now"), (10, "WARN", "expires on 2026-01-11")]
)
def test_a_ca_at_its_end(tmp_path: Path, days: int, level: str, word: str) -> None:
    """Engines would refuse what it signed."""
    found = said(made(tmp_path / "a", days))
    assert found[0].startswith(level)
    assert word in found[0]


def test_what_is_no_ca(tmp_path: Path) -> None:
    """A server's certificate cannot sign; a key of another does not, either."""
    assert "no certificate of an authority" in said(made(tmp_path / "a", ca=False))[1]
    one, other = made(tmp_path / "b"), made(tmp_path / "c")
    assert "does not belong to the certificate" in said(attrs.evolve(one, key=other.key))[0]
    missing = said(attrs.evolve(one, cert="/no/such"))
    assert len(missing) == 1
    assert "/no/such: No such file" in missing[0]
    Path(one.cert).write_text("nonsense")
    assert f"certificate {one.cert}: no certificate in PEM form" in said(one)[0]


def test_no_ca(tmp_path: Path) -> None:
    """Nothing is intercepted, nothing is said; the mirror's own certificate is another matter."""
    assert list(check_authority(Config(None), MemoryTree({}), NOW)) == []  # type: ignore[arg-type]
    assert list(check_mirror_certificate(DaemonConfig(), NOW)) == []
    pair = made(tmp_path / "a", ca=False)
    config = DaemonConfig(certpem=pair.cert, keypem=pair.key)
    assert [str(each)[:4] for each in check_mirror_certificate(config, NOW)] == ["ok  "]


def test_disk(tmp_path: Path) -> None:
    """The home need not be there yet; a file in its place is found."""
    fine = check_disk(DaemonConfig(work_home=str(tmp_path / "new" / "home")))
    assert "GiB are free" in fine.text
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    wrong = check_disk(DaemonConfig(local_repo=str(tmp_path / "file")))
    assert str(wrong).startswith("FAIL")


def test_no_supernode(tmp_path: Path) -> None:
    """It works without, but not as it might."""
    assert [str(each)[:4] for each in check_supernodes([], tmp_path)] == ["WARN"]
