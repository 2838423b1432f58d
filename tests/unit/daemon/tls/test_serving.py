"""Files that the mirror is served over TLS with."""

from __future__ import annotations

from pathlib import Path

import pytest

from dragonfly.daemon.tls.serving import options_of_files
from dragonfly.errors import ConfigError
from dragonfly.net.tls import load_or_make_certificate


def certificate(root: Path, name: str) -> str:
    """A file with a key and its certificate."""
    (root / name).mkdir()
    return str(load_or_make_certificate(root / name).path)


def test_key_and_certificate_are_loaded(tmp_path: Path) -> None:
    """They may be in one file."""
    path = certificate(tmp_path, "a")
    options_of_files(path, path).getContext()


def test_what_does_not_belong_together_is_named(tmp_path: Path) -> None:
    """Both files."""
    one, other = certificate(tmp_path, "a"), certificate(tmp_path, "b")
    with pytest.raises(ConfigError, match=f"keypem {other}.*{one}"):
        options_of_files(one, other)


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
        options_of_files(files["certpem"], files["keypem"])
