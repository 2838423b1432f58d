"""The directory that a peer calls home."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from dragonfly.errors import HomeBusy
from dragonfly.peer.home.home import Home


def test_a_full_disk_does_not_keep_anybody_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The lock is the kernel's; the number in it is for people."""

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    home = Home(tmp_path)
    home.lock()
    with pytest.raises(HomeBusy):
        Home(tmp_path).lock()
    home.unlock()
