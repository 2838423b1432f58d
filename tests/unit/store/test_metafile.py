"""The notes of one task: written as a whole, believed only if sound."""

from __future__ import annotations

from pathlib import Path

import pytest

from dragonfly.errors import JournalCorrupt, StoreError
from dragonfly.store.metafile import MetaFile


@pytest.fixture
def file(tmp_path: Path) -> MetaFile:
    """One that is not there yet."""
    return MetaFile(tmp_path / "meta.json")


@pytest.mark.parametrize("length", [None, 0, 5])
def test_what_was_written_is_read(file: MetaFile, length: int | None) -> None:
    """The latest."""
    file.write(7, {"url": "u"})
    file.write(length, {"url": "v"})
    assert file.read() == (length, {"url": "v"})


def test_nothing_there(file: MetaFile) -> None:
    """That is no damage; nobody can have used it."""
    with pytest.raises(FileNotFoundError):
        file.read()
    assert file.last_used == 0.0
    with pytest.raises(StoreError):
        file.touch(1.0)


def test_when_it_was_used(file: MetaFile) -> None:
    """As was noted."""
    file.write(None, {})
    assert file.last_used > 0
    file.touch(12345.0)
    assert file.last_used == 12345.0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "5",
        "{}",
        '{"length": 5}',
        '{"meta": {}}',
        '{"length": "5", "meta": {}}',
        '{"length": -1, "meta": {}}',
        '{"length": 5, "meta": []}',
        "[" * 100_000,
        "\udcff",
    ],
)
def test_damage(tmp_path: Path, file: MetaFile, text: str) -> None:
    """Whatever a power loss or an editor made of it is told with its path."""
    (tmp_path / "meta.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(JournalCorrupt, match=r"/meta\.json"):
        file.read()
