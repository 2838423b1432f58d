"""The file of signed runs: what is kept, and what a crash leaves of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dragonfly.store.descriptors import Descriptors
from dragonfly.store.runfile import RunFile, split_runs
from dragonfly.task.manifest import MAX_RUN_BYTES


@pytest.fixture
def descriptors() -> Iterator[Descriptors]:
    """Closed afterwards."""
    made = Descriptors()
    yield made
    made.close_all()


def test_runs_survive(tmp_path: Path, descriptors: Descriptors) -> None:
    """In the order in which they came; new ones go on behind the last whole one."""
    path = tmp_path / "manifest"
    path.touch()
    file = RunFile(str(path), descriptors)
    file.append(b"one")
    file.append(b"")
    file.append(b"three")
    assert file.all() == [b"one", b"", b"three"]
    path.write_bytes(path.read_bytes()[:-1])
    again = RunFile(str(path), descriptors, path.read_bytes())
    again.append(b"four")
    assert again.all() == [b"one", b"", b"four"]
    assert split_runs(path.read_bytes())[0] == again.all()


def test_what_is_handed_out_is_a_copy(tmp_path: Path, descriptors: Descriptors) -> None:
    """Nobody changes what is kept."""
    file = RunFile(str(tmp_path / "manifest"), descriptors, b"\0\0\0\1a")
    file.all().clear()
    assert file.all() == [b"a"]


def test_splitting_runs() -> None:
    """Whole runs only; a length that no run has ends the reading."""
    one = b"\0\0\0\3abc"
    assert split_runs(b"") == ([], 0)
    assert split_runs(one + one) == ([b"abc", b"abc"], 14)
    for cut in range(7, 14):
        assert split_runs((one + one)[:cut]) == ([b"abc"], 7)
    huge = (MAX_RUN_BYTES + 1).to_bytes(4, "big") + bytes(MAX_RUN_BYTES + 1)
    assert split_runs(one + huge + one) == ([b"abc"], 7)
