"""Where the bytes go: a file that appears whole, or a stream.

The peer says which ranges of its own file are verified; they are copied while the download
runs. Where the file system can share extents nothing is copied: the output becomes a clone
at the end. It never is a hard link, because editing the output must not change what the
peer serves to others.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import Protocol

from dragonfly.dfget.ranges import Ranges
from dragonfly.errors import OutputError
from dragonfly.store.files import copy_range, naming, preallocate, reflink

__all__ = ["FileOutput", "Output", "StreamOutput", "name_from_url", "open_output"]

_BLOCK = 256 * 1024
_NAME_BYTES = 255
_STANDARD_OUTPUT = ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


class Output(Protocol):
    """What takes the verified bytes. Errors are StoreErrors that name the path."""

    path: str

    def begin(self, source: str, length: int | None) -> None:
        """The peer's file is ``source``; called again when it or the length changes."""

    def copy(self, begin: int, end: int) -> None:
        """Bytes ``begin`` to ``end`` of the source are verified."""

    def restart(self) -> None:
        """All that was copied is worth nothing."""

    def finish(self, length: int) -> None:
        """Every byte is verified: make the output appear."""

    def discard(self) -> None:
        """Leave nothing behind. Harmless after :meth:`finish`."""


def open_output(wanted: str | None, url: str) -> Output:
    """Prepare the output before anything is downloaded.

    :param wanted: a file, a directory, ``-``, or ``None`` for a file named by the URL here.
    :raises StoreError: it cannot be written; the text names it.
    """
    if wanted in _STANDARD_OUTPUT:
        return StreamOutput("standard output", 1)
    path = wanted if wanted else name_from_url(url)
    if os.path.isdir(path):
        path = os.path.join(path, name_from_url(url))
    elif path.endswith("/"):
        raise OutputError(f"{path} is not a directory")
    path = os.path.realpath(path)  # a link stays a link, to the new content
    with naming(path):
        found = _stat(path)
        if found is None or stat.S_ISREG(found.st_mode):
            return FileOutput(path, found)
        return StreamOutput(path, os.open(path, os.O_WRONLY | os.O_CLOEXEC))


def name_from_url(url: str) -> str:
    """The file name that a URL suggests: the last part of its path, else ``index.html``.

    >>> name_from_url("http://host/a/b%20c.iso?x=1#y")
    'b c.iso'
    """
    address = url.partition("#")[0].partition("?")[0]
    path = address.partition("://")[2].partition("/")[2]
    name = path.rpartition("/")[2]
    if "%" in name:
        from urllib.parse import unquote  # noqa: PLC0415 - few names need it

        plain = unquote(name, errors="surrogateescape")
        name = name if "/" in plain or not plain.isprintable() else plain
    if name in ("", ".", "..") or "\0" in name:
        return "index.html"
    return os.fsdecode(os.fsencode(name)[:_NAME_BYTES])


class FileOutput:
    """A file that is replaced, or comes to be, when everything is there.

    :param path: its place, links resolved.
    :param found: what is there already.
    :raises OSError: the directory or the old file may not be written.
    """

    def __init__(self, path: str, found: os.stat_result | None) -> None:
        self.path = path
        if found is not None and not os.access(path, os.W_OK):
            raise PermissionError(13, "it is write-protected", path)
        self._mode = stat.S_IMODE(found.st_mode) if found is not None else None
        self._fd, self._temporary = _open_temporary(path)
        self._source: int | None = None
        self._shared = False
        self._allocated = 0
        self._copied = Ranges()

    def begin(self, source: str, length: int | None) -> None:
        """Take ``source``; what was copied from the same file before stays."""
        with naming(source):
            fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        earlier, self._source = self._source, fd
        if earlier is not None:
            same = os.path.sameopenfile(fd, earlier)
            os.close(earlier)
            if not same:
                self.restart()
        # A clone of what is there yet tells whether a clone will do at the end.
        self._shared = reflink(fd, self._fd) if not self._copied.total else self._shared
        if length is not None and not self._shared and length > self._allocated:
            preallocate(self._fd, length, self.path)
            self._allocated = length

    def copy(self, begin: int, end: int) -> None:
        """Copy what of this range is not there yet."""
        if self._shared:
            return
        self._copy(begin, end)

    def restart(self) -> None:
        """Forget what was copied."""
        self._copied.clear()

    def finish(self, length: int) -> None:
        """Complete the bytes, give the file its mode, and put it in place."""
        if self._source is None:
            raise OutputError(f"{self.path}: there is nothing to write")
        if not (self._shared and reflink(self._source, self._fd)):
            self._copy(0, length)
        with naming(self.path, length):
            os.ftruncate(self._fd, length)
            if self._mode is not None:
                os.fchmod(self._fd, self._mode)
            self._appear()
        self.discard()

    def discard(self) -> None:
        """Close everything; a temporary file that has a name goes."""
        temporary, self._temporary = self._temporary, None
        if temporary is not None:
            with suppress(OSError):
                os.unlink(temporary)
        for fd in (self._fd, self._source):
            if fd is not None and fd >= 0:
                os.close(fd)
        self._fd, self._source = -1, None

    def _copy(self, begin: int, end: int) -> None:
        if self._source is None:
            raise OutputError(f"{self.path}: ranges came before the file they are in")
        for left, right in self._copied.gaps(begin, end):
            with naming(self.path, right - left):
                copy_range(self._source, self._fd, left, right)
            self._copied.add(left, right)

    def _appear(self) -> None:
        if self._temporary is None:
            self._temporary = _temporary_name(self.path)
            # Only linkat() follows the link in /proc, and only a dir_fd makes Python use it.
            directory = os.open(os.path.dirname(self.path), os.O_PATH | os.O_DIRECTORY)
            try:
                os.link(
                    f"/proc/self/fd/{self._fd}",
                    os.path.basename(self._temporary),
                    dst_dir_fd=directory,
                    follow_symlinks=True,
                )
            finally:
                os.close(directory)
        os.replace(self._temporary, self.path)
        self._temporary = None


class StreamOutput:
    """Standard output, a pipe or a device: bytes go out in order as they are verified.

    What went out cannot be taken back, so a content that changes midway is an error here.
    """

    def __init__(self, path: str, fd: int) -> None:
        self.path = path
        self._fd = fd
        self._source: int | None = None
        self._ready = Ranges()
        self._sent = 0

    def begin(self, source: str, length: int | None) -> None:  # noqa: ARG002 - unused here
        """Take ``source``."""
        with naming(source):
            fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        earlier, self._source = self._source, fd
        if earlier is not None:
            same = os.path.sameopenfile(fd, earlier)
            os.close(earlier)
            if not same:
                self.restart()

    def copy(self, begin: int, end: int) -> None:
        """Send what is next in order now."""
        self._ready.add(begin, end)
        self._send(self._ready.reaches(self._sent))

    def restart(self) -> None:
        """Begin again, if nothing was sent yet.

        :raises OutputError: something was.
        """
        if self._sent:
            raise OutputError(
                f"{self.path}: the content changed after {self._sent} bytes were written"
            )
        self._ready.clear()

    def finish(self, length: int) -> None:
        """Send the rest."""
        self._send(length)
        self.discard()

    def discard(self) -> None:
        """Close what we opened."""
        source, self._source = self._source, None
        if source is not None:
            os.close(source)
        fd, self._fd = self._fd, -1
        if fd > 2:
            os.close(fd)

    def _send(self, end: int) -> None:
        while self._sent < end:
            if self._source is None:
                raise OutputError(f"{self.path}: ranges came before the file they are in")
            with naming(self.path, end - self._sent):
                data = os.pread(self._source, min(_BLOCK, end - self._sent), self._sent)
                if not data:
                    raise OutputError(f"{self.path}: the source ends at {self._sent} of {end}")
                self._sent += os.write(self._fd, data)


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _open_temporary(path: str) -> tuple[int, str | None]:
    """Open a file beside ``path``; nameless where that works: a kill leaves nothing then."""
    directory = os.path.dirname(path)
    if os.path.exists("/proc/self/fd"):
        with suppress(OSError):  # not every file system can; the next open tells what is wrong
            return os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o666), None
    temporary = _temporary_name(path)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    return os.open(temporary, flags, 0o666), temporary


def _temporary_name(path: str) -> str:
    directory, name = os.path.split(path)
    suffix = f".{os.urandom(4).hex()}.part"
    short = os.fsdecode(os.fsencode(name)[: _NAME_BYTES - len(suffix) - 1])
    return os.path.join(directory, f".{short}{suffix}")
