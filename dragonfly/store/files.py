"""Files as the store needs them; every failure has a name."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from dragonfly.errors import DiskFull, StoreError

__all__ = [
    "atomic_write",
    "copy_range",
    "disk_bytes",
    "free_bytes",
    "fsync_dir",
    "naming",
    "pread_cached",
    "pread_exact",
    "preallocate",
    "pwrite_all",
    "read_or_create_secret",
    "reflink",
    "reserve",
]

_FICLONE = 0x40049409
"""``ioctl`` that shares the extents of another file (Linux, linux/fs.h)."""

_FULL = (errno.ENOSPC, errno.EDQUOT)
_NO_FALLOCATE = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
_NO_COPY_RANGE = (errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
_IOV_MAX = 1024
_COPY_BLOCK = 1024 * 1024


@contextlib.contextmanager
def naming(path: str | os.PathLike[str], wanted: int = 0) -> Iterator[None]:
    """Turn the operating system's errors into ours, with the path in them.

    :param wanted: bytes that were to be written, for the text of :exc:`DiskFull`.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            directory = os.path.dirname(os.fspath(path)) or "."
            free = free_bytes(directory)
            raise DiskFull(f"{directory} is full: {wanted} bytes wanted, {free} free") from error
        raise StoreError(f"{os.fspath(path)}: {error.strerror or error}") from error


def disk_bytes(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Give the bytes that an ordinary user may still write there, and those of the whole disk.

    :raises StoreError: nobody can tell.
    """
    with naming(path):
        status = os.statvfs(path)
    return status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize


def free_bytes(path: str | os.PathLike[str]) -> int:
    """Give the bytes that an ordinary user may still write there; 0 if nobody can tell."""
    try:
        status = os.statvfs(path)
    except OSError:
        return 0
    return status.f_bavail * status.f_frsize


def preallocate(descriptor: int, length: int, path: str | os.PathLike[str]) -> None:
    """Make a file ``length`` bytes long, with space reserved where the file system can.

    :raises DiskFull: there is not that much space.
    """
    with naming(path, length):
        if length > os.fstat(descriptor).st_size:
            reserve(descriptor, length, path)
        os.ftruncate(descriptor, length)


def reserve(descriptor: int, length: int, path: str | os.PathLike[str]) -> None:
    """Have space for ``length`` bytes where the file system can; a shorter file gets that long.

    :raises DiskFull: there is not that much space.
    """
    with naming(path, length):
        try:
            os.posix_fallocate(descriptor, 0, length)
        except OSError as error:
            if error.errno not in _NO_FALLOCATE:
                raise


def pwrite_all(descriptor: int, chunks: Sequence[bytes | memoryview], offset: int) -> int:
    """Write all chunks at ``offset``, one after another; give the bytes written.

    :raises OSError: as the operating system says; wrap it with :func:`naming`.
    """
    pending = [memoryview(chunk) for chunk in chunks if len(chunk)]
    total = 0
    while pending:
        done = os.pwritev(descriptor, pending[:_IOV_MAX], offset + total)
        total += done
        while pending and done >= len(pending[0]):
            done -= len(pending.pop(0))
        if done:
            pending[0] = pending[0][done:]
    return total


def pread_exact(descriptor: int, length: int, offset: int, path: str | os.PathLike[str]) -> bytes:
    """Read ``length`` bytes at ``offset``.

    :raises StoreError: the file is shorter, or cannot be read.
    """
    with naming(path):
        data = os.pread(descriptor, length, offset)
        if len(data) == length:
            return data
        parts = [data]
        got = len(data)
        while got < length and data:
            data = os.pread(descriptor, length - got, offset + got)
            parts.append(data)
            got += len(data)
    if got < length:
        raise StoreError(f"{os.fspath(path)}: {got} of {length} bytes at {offset}")
    return b"".join(parts)


def pread_cached(descriptor: int, length: int, offset: int) -> bytes | None:
    """Read ``length`` bytes at ``offset`` if the kernel has all of them in memory.

    :raises OSError: it has none of them (``EAGAIN``), or cannot tell.
    """
    buffer = bytearray(length)
    got = os.preadv(descriptor, [buffer], offset, os.RWF_NOWAIT)
    return bytes(buffer) if got == length else None


def atomic_write(path: str | os.PathLike[str], data: bytes, mode: int = 0o644) -> None:
    """Put ``data`` at ``path`` so that a reader sees the old content or the new.

    :raises StoreError: it cannot be written; the old content stays.
    """
    target = os.fspath(path)
    temporary = f"{target}.{os.urandom(6).hex()}.new"
    with naming(target, len(data)):
        try:
            _write_new(temporary, data, mode)
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise


def read_or_create_secret(
    path: str | os.PathLike[str], make: Callable[[], bytes], mode: int = 0o600
) -> bytes:
    """Read a small file, or make it; of several who start at once, all get the same.

    :raises StoreError: neither works.
    """
    target = os.fspath(path)
    with naming(target):
        with contextlib.suppress(FileNotFoundError):
            return Path(target).read_bytes()
        temporary = f"{target}.{os.urandom(6).hex()}.new"
        try:
            # An empty key after a loss of power would be believed for ever: hence sync.
            _write_new(temporary, make(), mode, sync=True)
            os.link(temporary, target)  # unlike rename, fails if somebody was first
        except FileExistsError:
            pass
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
        fsync_dir(os.path.dirname(target) or ".")
        return Path(target).read_bytes()


def fsync_dir(path: str | os.PathLike[str]) -> None:
    """Make renames in a directory survive a loss of power."""
    with naming(path):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def copy_range(source: int, target: int, begin: int, end: int) -> None:
    """Copy bytes ``begin`` to ``end`` (exclusive) to the same place in another file.

    The kernel copies where it can, and shares extents where the file system can.

    :raises OSError: as the operating system says.
    :raises StoreError: the source ends before ``end``.
    """
    at = begin
    in_kernel = True
    while at < end:
        count = end - at
        if in_kernel:
            try:
                done = os.copy_file_range(source, target, count, at, at)
            except OSError as error:
                if error.errno not in _NO_COPY_RANGE:
                    raise
                in_kernel = False
                continue
        else:
            data = os.pread(source, min(count, _COPY_BLOCK), at)
            done = pwrite_all(target, [data], at)
        if not done:
            raise StoreError(f"the source ends at {at} of {end} bytes")
        at += done


def reflink(source: int, target: int) -> bool:
    """Make the target share all of the source's extents; False where that is not possible."""
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        return False
    return True


def _write_new(path: str, data: bytes, mode: int, *, sync: bool = False) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        pwrite_all(descriptor, [data], 0)
        if sync:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
