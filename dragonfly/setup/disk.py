"""The tree on disk: read, and changed so that a file is the old one or the new one."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import attrs

from dragonfly.errors import ConfigError
from dragonfly.setup.plan import Change

__all__ = ["DiskTree"]

LARGEST = 4 << 20
"""Bytes of a file that is read; a configuration has some thousand."""


@attrs.frozen
class _Staged:
    """A file that is written beside its place, and only has to be renamed."""

    temporary: Path
    place: Path


class DiskTree:
    """What is below ``root``; paths are given as the engine sees them."""

    def __init__(self, root: Path) -> None:
        self._root = Path(os.path.realpath(root))

    def read(self, path: str) -> str | None:
        """Give the text of a file, ``None`` where there is none.

        :raises ConfigError: it cannot be read, is larger than :data:`LARGEST`, or is not UTF-8.
        """
        place = self._place(path)
        try:
            with open(place, "rb") as file:
                data = file.read(LARGEST + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigError(f"cannot read {path}: {error.strerror}") from None
        if len(data) > LARGEST:
            raise ConfigError(f"{path}: more than {LARGEST} bytes are no configuration")
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise ConfigError(f"{path}:{line}: not UTF-8") from None

    def names(self, path: str) -> list[str]:
        """Give the sorted names in a directory; none where there is no directory.

        :raises ConfigError: it cannot be read.
        """
        try:
            return sorted(os.listdir(self._place(path)))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise ConfigError(f"cannot read {path}: {error.strerror}") from None

    def missing(self, path: str) -> tuple[str, ...]:
        """Give the directories above a file that are not there, the outermost first."""
        above = [str(parent) for parent in Path(path).parents]
        return tuple(reversed([each for each in above if not self._place(each).exists()]))

    def carry_out(self, changes: list[Change], like: Mapping[str, str]) -> None:
        """Do all changes in order, or none.

        All new files are written beside their places before the first is renamed, so what
        fails is found before anything changed.

        :param like: for a path, the one whose mode and owner it gets.
        :raises ConfigError: a file cannot be written; the text names it.
        """
        made: list[str] = []
        staged: list[_Staged] = []
        try:
            for change in changes:
                with _naming(change.path):
                    if change.after is None:
                        self._removable(change.path)
                        continue
                    made += self._make(change.path)
                    staged.append(self._stage(change, like.get(change.path, change.path)))
        except BaseException:
            for each in staged:
                each.temporary.unlink(missing_ok=True)
            self.prune(made)
            raise
        self._put(changes, staged)

    def prune(self, directories: Sequence[str]) -> None:
        """Remove these directories, the last first, as long as they are empty."""
        for path in reversed(directories):
            with contextlib.suppress(OSError):
                self._place(path).rmdir()

    def _put(self, changes: list[Change], staged: list[_Staged]) -> None:
        waiting = iter(staged)
        for change in changes:
            with _naming(change.path):
                if change.after is None:
                    self._place(change.path).unlink(missing_ok=True)
                else:
                    each = next(waiting)
                    os.replace(each.temporary, each.place)

    def _make(self, path: str) -> tuple[str, ...]:
        missing = self.missing(path)
        for each in missing:
            self._place(each).mkdir(mode=0o755)
        return missing

    def _stage(self, change: Change, like: str) -> _Staged:
        place = self._place(change.path)
        temporary = place.with_name(f".{place.name}.{os.urandom(6).hex()}")
        data = (change.after or "").encode()
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(descriptor, "wb") as file:
                file.write(data)
                self._as(like, file.fileno())
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return _Staged(temporary, place)

    def _as(self, path: str, descriptor: int) -> None:
        """Mode and owner of the file that is there; a new one anybody may read, as all those."""
        try:
            found = self._place(path).stat()
        except FileNotFoundError:
            os.fchmod(descriptor, 0o644)
            return
        if (found.st_uid, found.st_gid) != (os.geteuid(), os.getegid()):
            os.fchown(descriptor, found.st_uid, found.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(found.st_mode))

    def _removable(self, path: str) -> None:
        directory = self._place(path).parent
        if not os.access(directory, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied", str(directory))

    def _place(self, path: str) -> Path:
        """Where it really is; a link is followed, but not out of the root.

        :raises ConfigError: it leads out.
        """
        found = Path(os.path.realpath(self._root / path.lstrip("/")))
        if self._root != Path("/") and self._root != found and self._root not in found.parents:
            raise ConfigError(f"{path} is a link that leads out of {self._root}")
        return found


@contextlib.contextmanager
def _naming(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        hint = "; run it as root" if isinstance(error, PermissionError) else ""
        raise ConfigError(f"cannot write {path}: {error.strerror}{hint}") from None
