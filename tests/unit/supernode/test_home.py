"""The supernode's directory: which one, one process, one key, what scripts read."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from dragonfly.errors import HomeBusy, HomeUnusable
from dragonfly.signatures import SigningKey
from dragonfly.supernode.home import SupernodeHome, audience_secret, choose_home


def test_which_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The configured one; else version 1's if it can be used; else one of the user."""
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    old = tmp_path / "old"
    assert choose_home("/srv/x", v1_home=old)[0] == Path("/srv/x")
    assert choose_home(None, v1_home=old)[0] == tmp_path / "user/.small-dragonfly/supernode"
    old.mkdir()
    path, why = choose_home(None, v1_home=old)
    assert (path, "version 1" in why) == (old, True)


def test_one_supernode_for_each_home(tmp_path: Path) -> None:
    """The lock excludes a second process, and is free again afterwards."""
    first, second = SupernodeHome(tmp_path / "h"), SupernodeHome(tmp_path / "h")
    first.lock()
    with pytest.raises(HomeBusy):
        second.lock()
    first.unlock()
    second.lock()
    second.unlock()


def test_key(tmp_path: Path) -> None:
    """Made once, readable by its owner only; damage is told, not papered over."""
    home = SupernodeHome(tmp_path)
    key = home.signing_key()
    path = tmp_path / "supernode.key"
    assert home.signing_key().public == key.public
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(b"short")
    with pytest.raises(HomeUnusable, match=r"supernode\.key"):
        home.signing_key()


def test_ports(tmp_path: Path) -> None:
    """Scripts find out where we listen, and may read it."""
    SupernodeHome(tmp_path).write_ports({"http": 1, "pieces": 2})
    path = tmp_path / "ports.json"
    assert json.loads(path.read_text()) == {"http": 1, "pieces": 2}
    assert path.stat().st_mode & 0o044 == 0o044 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_audience_secret() -> None:
    """The same after a restart, another for another key, and not the key."""
    one, two = (SigningKey.from_bytes(bytes([n]) * 32) for n in (1, 2))
    assert audience_secret(one) == audience_secret(SigningKey.from_bytes(one.to_bytes()))
    assert audience_secret(one) not in (audience_secret(two), one.to_bytes())
