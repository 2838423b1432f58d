"""Files: every failure has a name, and nothing half-written is left."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from dragonfly.errors import DiskFull, StoreError
from dragonfly.store.files import (
    atomic_write,
    copy_range,
    free_bytes,
    fsync_dir,
    naming,
    pread_exact,
    preallocate,
    pwrite_all,
    read_or_create_secret,
    reflink,
    reserve,
)


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    """An empty file, open."""
    opened = os.open(tmp_path / "f", os.O_RDWR | os.O_CREAT)
    yield opened
    os.close(opened)


# -- names of failures --------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk(tmp_path: Path, number: int) -> None:
    """The directory, the bytes wanted and the bytes free; a quota is a full disk too."""
    with pytest.raises(DiskFull) as caught, naming(tmp_path / "f", 12345):
        raise OSError(number, "full")
    text = str(caught.value)
    assert text.startswith(f"{tmp_path} is full: 12345 bytes wanted, ")
    assert text.endswith(" free")


def test_other_failures(tmp_path: Path) -> None:
    """The path and the system's own words."""
    with pytest.raises(StoreError, match=f"{tmp_path}/f: No such file"), naming(tmp_path / "f"):
        (tmp_path / "f").read_bytes()
    with pytest.raises(StoreError, match="x: odd"), naming("x"):
        raise OSError("odd")


def test_a_relative_path_has_a_directory_too() -> None:
    """The disk of a bare file name is that of the current directory."""
    with pytest.raises(DiskFull, match=r"^\. is full"), naming("f", 1):
        raise OSError(errno.ENOSPC, "full")


def test_errors_that_have_names_pass() -> None:
    """What is named already is not wrapped again."""
    with pytest.raises(StoreError, match=r"^as it is$"), naming("f"):
        raise StoreError("as it is")


def test_free_bytes(tmp_path: Path) -> None:
    """A number for a directory that is there, 0 where nobody can tell."""
    assert free_bytes(tmp_path) > 0
    assert free_bytes(tmp_path / "absent") == 0


# -- reading and writing ------------------------------------------------------------------


def test_preallocating(descriptor: int, tmp_path: Path) -> None:
    """The file gets exactly that long, longer or shorter, and keeps what it has."""
    os.pwrite(descriptor, b"abc", 0)
    preallocate(descriptor, 100_000, tmp_path / "f")
    assert os.fstat(descriptor).st_size == 100_000
    assert os.fstat(descriptor).st_blocks * 512 >= 100_000
    preallocate(descriptor, 2, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == b"ab"
    preallocate(descriptor, 0, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == b""


def test_reserving(descriptor: int, tmp_path: Path) -> None:
    """A file that is long already gets its space, and keeps what it has."""
    os.ftruncate(descriptor, 100_000)
    os.pwrite(descriptor, b"abc", 50_000)
    assert os.fstat(descriptor).st_blocks * 512 < 100_000
    reserve(descriptor, 100_000, tmp_path / "f")
    assert os.fstat(descriptor).st_size == 100_000
    assert os.fstat(descriptor).st_blocks * 512 >= 100_000
    assert os.pread(descriptor, 3, 50_000) == b"abc"
    with pytest.raises(StoreError, match=str(tmp_path)):
        reserve(descriptor, 1 << 62, tmp_path / "f")


def test_preallocating_too_much(descriptor: int, tmp_path: Path) -> None:
    """No file system has that much; the error is ours."""
    with pytest.raises(StoreError, match=str(tmp_path)):
        preallocate(descriptor, 1 << 62, tmp_path / "f")


def test_writing_many_chunks(descriptor: int, tmp_path: Path) -> None:
    """More chunks than one system call takes, with empty ones and views among them."""
    chunks: list[bytes | memoryview] = [bytes([n % 256]) * (n % 5) for n in range(3000)]
    chunks.append(memoryview(b"end"))
    whole = b"".join(chunks)
    assert pwrite_all(descriptor, chunks, 7) == len(whole)
    assert (tmp_path / "f").read_bytes() == bytes(7) + whole
    assert pwrite_all(descriptor, [b"", b""], 0) == 0


def test_reading_exactly(descriptor: int, tmp_path: Path) -> None:
    """All of it or an error with both numbers."""
    os.pwrite(descriptor, b"0123456789", 0)
    assert pread_exact(descriptor, 4, 3, tmp_path / "f") == b"3456"
    assert pread_exact(descriptor, 0, 3, tmp_path / "f") == b""
    with pytest.raises(StoreError, match="f: 3 of 4 bytes at 7"):
        pread_exact(descriptor, 4, 7, tmp_path / "f")
    with pytest.raises(StoreError, match="0 of 1 bytes at 99"):
        pread_exact(descriptor, 1, 99, tmp_path / "f")


# -- whole files --------------------------------------------------------------------------


def test_atomic_write(tmp_path: Path) -> None:
    """The new content replaces the old, with the mode asked for, and nothing is left over."""
    target = tmp_path / "f"
    atomic_write(target, b"old")
    atomic_write(target, b"new", 0o600)
    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["f"]


def test_atomic_write_that_fails(tmp_path: Path) -> None:
    """The old content stays and no temporary file does."""
    (tmp_path / "f").mkdir()  # a file cannot replace a directory
    (tmp_path / "f" / "kept").touch()
    with pytest.raises(StoreError, match=f"{tmp_path}/f"):
        atomic_write(tmp_path / "f", b"new")
    assert os.listdir(tmp_path) == ["f"]
    with pytest.raises(StoreError, match="absent/f"):
        atomic_write(tmp_path / "absent" / "f", b"new")


def test_a_secret_is_made_once(tmp_path: Path) -> None:
    """The first call makes it, readable by its owner alone; later ones read it."""
    path = tmp_path / "key"
    assert read_or_create_secret(path, lambda: b"first") == b"first"
    assert read_or_create_secret(path, lambda: b"second") == b"first"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["key"]


def test_of_two_who_start_at_once_one_makes_it(tmp_path: Path) -> None:
    """Whoever comes second gets the first one's, though it had begun to make its own."""
    path = tmp_path / "key"

    def slow() -> bytes:
        read_or_create_secret(path, lambda: b"other")
        return b"mine"

    assert read_or_create_secret(path, slow) == b"other"
    assert os.listdir(tmp_path) == ["key"]


def test_a_secret_that_cannot_be_made(tmp_path: Path) -> None:
    """The error names the file; nothing half-made is left to be believed later."""

    def broken() -> bytes:
        raise OSError(errno.ENOSPC, "full")

    with pytest.raises(DiskFull, match=str(tmp_path)):
        read_or_create_secret(tmp_path / "key", broken)
    with pytest.raises(StoreError, match="absent/key"):
        read_or_create_secret(tmp_path / "absent" / "key", lambda: b"x")
    assert os.listdir(tmp_path) == []


def test_syncing_a_directory(tmp_path: Path) -> None:
    """It works on directories and names what is none."""
    fsync_dir(tmp_path)
    (tmp_path / "f").touch()
    with pytest.raises(StoreError, match="f: Not a directory"):
        fsync_dir(tmp_path / "f")


# -- copying ------------------------------------------------------------------------------


def test_copying_a_range(descriptor: int, tmp_path: Path) -> None:
    """Those bytes, at their place, and nothing else."""
    os.pwrite(descriptor, b"0123456789", 0)
    target = os.open(tmp_path / "t", os.O_RDWR | os.O_CREAT)
    copy_range(descriptor, target, 3, 7)
    copy_range(descriptor, target, 5, 5)
    os.close(target)
    assert (tmp_path / "t").read_bytes() == b"\0\0\x003456"


def test_copying_where_the_kernel_cannot(tmp_path: Path, descriptor: int) -> None:
    """Between file systems that share nothing the bytes go through memory."""
    source = os.memfd_create("source")
    os.pwrite(source, bytes(range(256)) * 8192, 0)  # 2 MiB: more than one block
    copy_range(source, descriptor, 0, 256 * 8192)
    os.close(source)
    assert (tmp_path / "f").read_bytes() == bytes(range(256)) * 8192


def test_copying_beyond_the_end(tmp_path: Path, descriptor: int) -> None:
    """A source that is too short is an error, never a hole."""
    os.pwrite(descriptor, b"0123", 0)
    target = os.open(tmp_path / "t", os.O_RDWR | os.O_CREAT)
    with pytest.raises(StoreError, match="ends at 4 of 9 bytes"):
        copy_range(descriptor, target, 0, 9)
    os.close(target)


def test_reflink_says_whether_it_did(tmp_path: Path, descriptor: int) -> None:
    """Either the target has all of it, or it was told that it has not."""
    os.pwrite(descriptor, b"x" * 4096, 0)
    target = os.open(tmp_path / "t", os.O_RDWR | os.O_CREAT)
    shared = reflink(descriptor, target)
    os.close(target)
    assert (tmp_path / "t").read_bytes() == (b"x" * 4096 if shared else b"")
    pipe, other = os.pipe()
    assert reflink(descriptor, other) is False
    os.close(pipe)
    os.close(other)
