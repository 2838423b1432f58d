"""What a file gives without waiting: from memory, from the kernel's, or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from dragonfly.store.files import pread_cached
from dragonfly.store.hot import HOT_PIECE_BYTES, HotPieces
from dragonfly.store.piecestore import PieceStore
from dragonfly.store.taskfile import TaskFile

SIZE = HOT_PIECE_BYTES
PIECES = [os.urandom(SIZE), os.urandom(1000)]


def stored(root: Path, hot: HotPieces | None = None) -> TaskFile:
    """Two pieces, the second one short, just written."""
    store = PieceStore(root, hot)
    store.open()
    file = store.create(b"T" * 32, 7, SIZE, SIZE + len(PIECES[1]))
    file.write(0, PIECES)
    return file


@pytest.fixture
def file(tmp_path: Path) -> Iterator[TaskFile]:
    """One whose store may look into the kernel's memory."""
    file = stored(tmp_path)
    yield file
    file.close()


class Kernel:
    """Answers ``preadv`` as a test likes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answer: bytes | int) -> None:
        self.answer = answer
        self.asked = 0
        monkeypatch.setattr(os, "preadv", self.preadv)

    def preadv(
        self, descriptor: int, buffers: Sequence[bytearray], offset: int, flags: int = 0
    ) -> int:
        """The bytes, or the error."""
        assert flags == os.RWF_NOWAIT
        self.asked += 1
        if isinstance(self.answer, int):
            raise OSError(self.answer, "what a kernel says")
        buffers[0][: len(self.answer)] = self.answer
        return len(self.answer)


def can_tell(file: TaskFile) -> bool:
    """Whether this kernel and this file system can tell what is in memory."""
    with open(file.path, "rb") as opened:
        try:
            os.preadv(opened.fileno(), [bytearray(1)], 0, os.RWF_NOWAIT)
        except OSError as error:
            return error.errno == errno.EAGAIN
        return True


# -- memory ------------------------------------------------------------------


def test_from_memory_whole_and_in_part(file: TaskFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the disk holds there: nobody looks."""
    kernel = Kernel(monkeypatch, errno.EIO)
    data = b"0123456789" * 100
    file.hot.put(file, 1, data)
    assert file.peek(1, 0, 1000) is data
    assert file.peek(1, 0, 3) == b"012"
    assert file.peek(1, 995, 5) == b"56789"
    assert file.peek(1, 1, 999) == data[1:]
    assert kernel.asked == 0


def test_what_is_in_memory_is_of_this_very_file(tmp_path: Path) -> None:
    """The task was removed, and is fetched anew: its pieces are not those of before."""
    hot = HotPieces(10_000)
    old, new = stored(tmp_path / "old", hot), stored(tmp_path / "new", hot)
    old.hot.put(old, 1, b"old")
    assert new.peek(1, 0, 1000) in {None, PIECES[1]}
    assert old.peek(1, 0, 3) == b"old"
    old.close()
    new.close()


# -- the kernel's memory -----------------------------------------------------


def test_what_was_just_written_is_there(file: TaskFile) -> None:
    """Whole pieces and parts of them, at the right place of the file."""
    if not can_tell(file):
        pytest.skip("this file system cannot tell")
    assert file.peek(0, 0, SIZE) == PIECES[0]
    assert file.peek(0, 1000, 50) == PIECES[0][1000:1050]
    assert file.peek(1, 0, 1000) == PIECES[1]
    assert file.peek(1, 990, 10) == PIECES[1][990:]


def test_beyond_the_end_there_is_nothing(file: TaskFile) -> None:
    """Reading it in a thread says what is wrong."""
    assert file.peek(1, 500, 501) is None
    assert file.peek(2, 0, 1) is None


def test_more_than_a_small_piece_is_left_to_threads(
    file: TaskFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copying it would keep the reactor."""
    kernel = Kernel(monkeypatch, bytes(SIZE + 1))
    assert file.peek(0, 0, SIZE + 1) is None
    assert kernel.asked == 0


def test_what_is_there_only_in_part_is_left_to_threads(
    file: TaskFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next question may fare better."""
    kernel = Kernel(monkeypatch, b"half")
    assert file.peek(0, 0, 8) is None
    kernel.answer = b"all of it"
    assert file.peek(0, 0, 9) == b"all of it"


def test_what_is_not_there_now_may_be_there_later(
    file: TaskFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``EAGAIN`` is no refusal."""
    kernel = Kernel(monkeypatch, errno.EAGAIN)
    assert file.peek(0, 0, 8) is None
    kernel.answer = b"12345678"
    assert file.peek(0, 0, 8) == b"12345678"


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EINVAL, errno.EIO])
def test_a_kernel_that_cannot_tell_is_asked_once(
    file: TaskFile, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Memory of our own is used all the same."""
    kernel = Kernel(monkeypatch, number)
    assert file.peek(0, 0, 8) is None
    kernel.answer = b"12345678"
    assert file.peek(0, 0, 8) is None
    assert kernel.asked == 1
    file.hot.put(file, 0, b"87654321")
    assert file.peek(0, 0, 8) == b"87654321"


def test_a_system_that_has_no_such_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is only asked where it is known."""
    kernel: Any = Kernel(monkeypatch, b"12345678")
    monkeypatch.delattr(os, "RWF_NOWAIT")
    file = stored(tmp_path)
    assert file.peek(0, 0, 8) is None
    assert kernel.asked == 0
    file.close()


def test_a_store_without_memory_does_not_use_the_kernels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But what is being written has to come from somewhere."""
    kernel = Kernel(monkeypatch, b"12345678")
    file = stored(tmp_path, HotPieces(0))
    assert file.peek(0, 0, 8) is None
    assert kernel.asked == 0
    file.hot.put(file, 0, b"87654321")
    assert file.peek(0, 0, 8) == b"87654321"
    file.close()


def test_a_file_that_was_removed(file: TaskFile) -> None:
    """Nothing is read from whatever has its name now."""
    file.forget()
    Path(file.path).unlink()
    Path(file.path).write_bytes(bytes(2 * SIZE))
    assert file.peek(0, 0, 8) is None


# -- files -------------------------------------------------------------------


def test_reading_what_the_kernel_has(tmp_path: Path) -> None:
    """All of it or nothing; it is no error that the file is too short."""
    path = tmp_path / "f"
    path.write_bytes(b"0123456789")
    with path.open("rb") as opened:
        try:
            assert pread_cached(opened.fileno(), 4, 3) == b"3456"
        except OSError as error:
            pytest.skip(f"this file system cannot tell: {error}")
        assert pread_cached(opened.fileno(), 10, 0) == b"0123456789"
        assert pread_cached(opened.fileno(), 4, 7) is None
        assert pread_cached(opened.fileno(), 1, 10) is None


def test_an_error_of_the_kernel_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is: the caller knows which of them mean what."""
    Kernel(monkeypatch, errno.EAGAIN)
    with pytest.raises(BlockingIOError):
        pread_cached(0, 1, 0)
