"""A file that only grows: what failed or was torn is not there."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dragonfly.errors import StoreError
from dragonfly.store.appendfile import AppendFile
from dragonfly.store.descriptors import Descriptors


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let the system refuse to write any file beyond ``size`` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


@pytest.fixture
def descriptors() -> Iterator[Descriptors]:
    """Closed afterwards."""
    made = Descriptors()
    yield made
    made.close_all()


def test_appending(tmp_path: Path, descriptors: Descriptors) -> None:
    """One after another, from the end that was given."""
    path = tmp_path / "f"
    path.write_bytes(b"head")
    file = AppendFile(str(path), 4, descriptors)
    file.append(b"one")
    file.append(b"two")
    assert path.read_bytes() == b"headonetwo"
    assert (file.end, file.path) == (10, str(path))


def test_a_torn_tail_is_cut_off(tmp_path: Path, descriptors: Descriptors) -> None:
    """What an earlier run left behind its last good record does not follow ours."""
    path = tmp_path / "f"
    path.write_bytes(b"good" + b"torn" * 100)
    AppendFile(str(path), 4, descriptors).append(b"new")
    assert path.read_bytes() == b"goodnew"


def test_a_failed_append_leaves_no_trace(tmp_path: Path, descriptors: Descriptors) -> None:
    """The system wrote a part before it refused; the next append takes its place."""
    path = tmp_path / "f"
    path.touch()
    file = AppendFile(str(path), 0, descriptors)
    file.append(b"a" * 6)
    with largest_file(10), pytest.raises(StoreError, match="File too large"):
        file.append(b"b" * 6)
    assert path.read_bytes() == b"aaaaaabbbb"
    assert file.end == 6
    file.append(b"c")
    assert path.read_bytes() == b"aaaaaac"


def test_a_file_that_is_not_there(tmp_path: Path, descriptors: Descriptors) -> None:
    """It is not made anew: who removed it meant it."""
    file = AppendFile(str(tmp_path / "f"), 0, descriptors)
    with pytest.raises(StoreError, match="f: No such file"):
        file.append(b"x")
    assert not (tmp_path / "f").exists()
