"""The directories of a dfdaemon."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dragonfly.config import DaemonConfig
from dragonfly.daemon.place import PORTS_FILE, Place
from dragonfly.errors import HomeBusy, HomeUnusable


def place(tmp_path: Path, repo: str | None = None) -> Place:
    """With a home, and perhaps another place for layers."""
    return Place(DaemonConfig(work_home=str(tmp_path / "home"), local_repo=repo))


def test_layers_are_in_the_home(tmp_path: Path) -> None:
    """Unless something else is said."""
    assert place(tmp_path).store is None
    assert place(tmp_path, str(tmp_path / "home")).store is None


def test_the_users_home_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The default begins with a tilde."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Place(DaemonConfig()).home == tmp_path / ".small-dragonfly"


def test_nobody_knows_where_a_tilde_leads() -> None:
    """A user that is not there."""
    for config in (DaemonConfig(work_home="~nobody-here/x"), DaemonConfig(local_repo="~no-one/y")):
        with pytest.raises(HomeUnusable, match="~no"):
            Place(config)


def test_one_process_keeps_layers_in_a_directory(tmp_path: Path) -> None:
    """Two homes could name the same one."""
    repo = str(tmp_path / "repo")
    first, second = place(tmp_path / "a", repo), place(tmp_path / "b", repo)
    first.lock()
    with pytest.raises(HomeBusy, match="localrepo"):
        second.lock()
    first.unlock()
    second.lock()
    assert second.store == tmp_path / "repo" / "store"
    second.unlock()


def test_ports_are_written_for_scripts(tmp_path: Path) -> None:
    """Readable by everybody."""
    (tmp_path / "home").mkdir()
    place(tmp_path).write_ports({"front": 1})
    file = tmp_path / "home" / PORTS_FILE
    assert json.loads(file.read_text()) == {"front": 1}
    assert file.stat().st_mode & 0o777 == 0o644
