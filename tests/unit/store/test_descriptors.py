"""Open files: few at once, none closed under its user, none mistaken for another."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dragonfly.store.descriptors import Descriptors, StoredFile


def make(tmp_path: Path, *names: str) -> list[StoredFile]:
    """Files whose content is their name."""
    for name in names:
        (tmp_path / name).write_text(name)
    return [StoredFile(str(tmp_path / name)) for name in names]


def is_open(descriptor: int) -> bool:
    """Whether the number stands for an open file."""
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def content(descriptors: Descriptors, file: StoredFile) -> bytes:
    """What the file holds."""
    with descriptors.use(file) as descriptor:
        return os.pread(descriptor, 100, 0)


def test_a_file_stays_open(tmp_path: Path) -> None:
    """The next use costs no system call."""
    (file,) = make(tmp_path, "a")
    descriptors = Descriptors()
    with descriptors.use(file) as first:
        pass
    with descriptors.use(file) as again:
        assert again == first
    descriptors.close_all()
    assert not is_open(first)


def test_the_longest_unused_is_closed(tmp_path: Path) -> None:
    """Never more than the limit while nobody uses them."""
    a, b, c = make(tmp_path, "a", "b", "c")
    descriptors = Descriptors(limit=2)
    numbers = []
    for file in (a, b, a, c):
        with descriptors.use(file) as descriptor:
            numbers.append(descriptor)
        assert len(descriptors) <= 2
    with descriptors.use(a) as still_open:
        assert still_open == numbers[0]
    assert content(descriptors, b) == b"b"
    descriptors.close_all()


def test_what_is_in_use_is_not_closed(tmp_path: Path) -> None:
    """The limit gives way to users, and is kept again when they are done."""
    files = make(tmp_path, "a", "b", "c")
    descriptors = Descriptors(limit=1)
    with descriptors.use(files[0]) as a, descriptors.use(files[1]) as b:
        assert content(descriptors, files[2]) == b"c"
        assert is_open(a)
        assert is_open(b)
        assert len(descriptors) == 2
    assert len(descriptors) == 1
    descriptors.close_all()
    assert len(descriptors) == 0


def test_closing_waits_for_the_last_user(tmp_path: Path) -> None:
    """The number must not become another file's under a reader."""
    (file,) = make(tmp_path, "a")
    descriptors = Descriptors()
    with descriptors.use(file) as descriptor:
        with descriptors.use(file):
            descriptors.close(file)
        assert is_open(descriptor)
    assert not is_open(descriptor)
    assert content(descriptors, file) == b"a"
    descriptors.close_all()


def test_who_comes_while_it_closes_keeps_it_open(tmp_path: Path) -> None:
    """A new use takes the wish to close back."""
    (file,) = make(tmp_path, "a")
    descriptors = Descriptors()
    with descriptors.use(file) as descriptor:
        descriptors.close(file)
        with descriptors.use(file):
            pass
    assert is_open(descriptor)
    descriptors.close_all()


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    """Its users finish; afterwards its path may be another's and is not touched."""
    (file,) = make(tmp_path, "a")
    descriptors = Descriptors()
    with descriptors.use(file) as descriptor:
        os.rename(file.path, tmp_path / "gone")
        (tmp_path / "a").write_text("another")
        descriptors.forget(file)
        assert os.pread(descriptor, 100, 0) == b"a"
    assert not is_open(descriptor)
    with pytest.raises(FileNotFoundError, match="removed from the store"):
        content(descriptors, file)
    assert content(descriptors, StoredFile(file.path)) == b"another"
    descriptors.close_all()


def test_closing_what_is_not_open(tmp_path: Path) -> None:
    """Nothing happens, and it opens as usual later."""
    (file,) = make(tmp_path, "a")
    descriptors = Descriptors()
    descriptors.close(file)
    assert content(descriptors, file) == b"a"
    descriptors.close_all()


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """The system's own error, and nothing is kept of the attempt."""
    descriptors = Descriptors()
    with pytest.raises(FileNotFoundError):
        content(descriptors, StoredFile(str(tmp_path / "absent")))
    assert len(descriptors) == 0


def test_an_error_of_the_user(tmp_path: Path) -> None:
    """A file is given back however its user ends."""
    (file,) = make(tmp_path, "a")
    descriptors = Descriptors(limit=0)
    with pytest.raises(ZeroDivisionError), descriptors.use(file):
        raise ZeroDivisionError
    assert len(descriptors) == 0


def test_descriptors_are_not_inherited(tmp_path: Path) -> None:
    """A child process must not keep a deleted file's space."""
    (file,) = make(tmp_path, "a")
    descriptors = Descriptors()
    with descriptors.use(file) as descriptor:
        assert not os.get_inheritable(descriptor)
    descriptors.close_all()
