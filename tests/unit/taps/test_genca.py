"""``dfdaemon gen-ca``: files, and what is told of them."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
import yaml

from dragonfly.config import parse_daemon_config
from dragonfly.daemon.tls.authority import load_authority
from dragonfly.taps.dfdaemon import main


def made(tmp_path: Path, *flags: str) -> int:
    """Run it; give the exit code."""
    where = ["--cert", str(tmp_path / "ca.crt"), "--key", str(tmp_path / "ca.key")]
    return main(["gen-ca", *where, *flags])


def test_it_makes_an_authority(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One that dfdaemon takes; the text has what goes into its configuration, and where the
    certificate is to be trusted."""
    assert made(tmp_path, "--days", "30", "--name", "our proxy") == 0
    said = capsys.readouterr().out
    section = re.search(r"^  hijack_https:\n(    .*\n)+", said, re.MULTILINE)
    assert section is not None
    config = parse_daemon_config(yaml.safe_dump(yaml.safe_load(section[0])))
    assert config.hijack is not None
    authority = load_authority(config.hijack.cert, config.hijack.key, now=time.time())
    assert authority.certificate.subject.rfc4514_string() == "CN=our proxy"
    assert re.search(config.hijack.hosts[0].regx, "registry.example.com:443")
    assert authority.until - time.time() == pytest.approx(30 * 24 * 3600, abs=60)
    for word in (
        "update-ca-certificates",
        "update-ca-trust",
        "/etc/docker/certs.d/",
        "/etc/containers/certs.d/",
        "hosts.toml",
        "PIP_CERT",
        "GIT_SSL_CAINFO",
        "NODE_EXTRA_CA_CERTS",
        "--cacert",
    ):
        assert word in said


def test_it_replaces_nothing_unasked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --force it does."""
    assert made(tmp_path) == 0
    before = (tmp_path / "ca.crt").read_bytes()
    capsys.readouterr()
    assert made(tmp_path) == 1
    assert "ca.crt is there already: --force replaces it" in capsys.readouterr().err
    assert (tmp_path / "ca.crt").read_bytes() == before
    assert made(tmp_path, "--force") == 0
    assert (tmp_path / "ca.crt").read_bytes() != before


@pytest.mark.parametrize("flags", [["--days", "0"], ["--days", "x"], ["--nonsense"], ["more"]])
def test_wrong_usage(tmp_path: Path, flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is written."""
    assert made(tmp_path, *flags) == 2
    assert capsys.readouterr().err.startswith("dfdaemon gen-ca: ")
    assert list(tmp_path.iterdir()) == []
