"""PEM files that an operator names."""

from __future__ import annotations

from pathlib import Path

import pytest

from dragonfly.daemon.tls.pem import joined_authorities, server_options
from dragonfly.errors import ConfigError
from dragonfly.net.tls import load_or_make_certificate


def certificate(root: Path, name: str) -> str:
    """A file with a key and its certificate."""
    (root / name).mkdir()
    return str(load_or_make_certificate(root / name).path)


def test_key_and_certificate_are_loaded(tmp_path: Path) -> None:
    """They may be in one file."""
    path = certificate(tmp_path, "a")
    server_options(path, path).getContext()


def test_what_does_not_belong_together_is_named(tmp_path: Path) -> None:
    """Both files."""
    one, other = certificate(tmp_path, "a"), certificate(tmp_path, "b")
    with pytest.raises(ConfigError, match=f"keypem {other}.*{one}"):
        server_options(one, other)


@pytest.mark.parametrize("key", ["certpem", "keypem"])
@pytest.mark.parametrize("broken", ["absent", "nonsense"])
def test_a_file_that_is_of_no_use_is_named(tmp_path: Path, key: str, broken: str) -> None:
    """With its key."""
    good = certificate(tmp_path, "a")
    bad = tmp_path / "bad.pem"
    if broken == "nonsense":
        bad.write_text("nonsense")
    files = {"certpem": good, "keypem": good, key: str(bad)}
    with pytest.raises(ConfigError, match=f"{key} {bad}"):
        server_options(files["certpem"], files["keypem"])


def test_several_files_become_one(tmp_path: Path) -> None:
    """Those who trust take one file."""
    one, other = certificate(tmp_path, "a"), certificate(tmp_path, "b")
    into = tmp_path / "all.pem"
    assert joined_authorities((), into) is None
    assert joined_authorities((one,), into) == one
    assert not into.exists()
    assert joined_authorities((one, other), into) == str(into)
    assert into.read_bytes().count(b"BEGIN CERTIFICATE") == 2


def test_a_file_without_certificates_is_named(tmp_path: Path) -> None:
    """Before a pull fails for it."""
    bad = tmp_path / "bad.pem"
    bad.write_text("nonsense")
    with pytest.raises(ConfigError, match=f"certs {bad}"):
        joined_authorities((str(bad),), tmp_path / "all.pem")
    with pytest.raises(ConfigError, match=r"certs .*absent"):
        joined_authorities((str(tmp_path / "absent"),), tmp_path / "all.pem")
