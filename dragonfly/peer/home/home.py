"""The directory that a peer calls home: one process per home, its key, whom it trusts.

A lock elects the one process that may serve a home; the kernel drops it when that process
dies, however it dies. The peer.key is made at first use. The certificates of the
supernodes that this home has met are pinned in a small text file.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path

from dragonfly.errors import HomeBusy, HomeUnusable
from dragonfly.peer.home.sockpath import socket_path
from dragonfly.signatures import SigningKey
from dragonfly.store.files import atomic_write
from dragonfly.store.keyfile import key_in

__all__ = ["Home", "Pins"]


class Pins:
    """Which key each supernode showed at first, one ``host:port sha256-hex`` a line.

    Unreadable lines are kept as they are and count for nothing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, node: str) -> bytes | None:
        """The pinned SPKI hash of ``node``, ``None`` if this home has not met it."""
        for line in self._lines():
            words = line.split()
            if len(words) == 2 and words[0] == node:
                try:
                    return bytes.fromhex(words[1])
                except ValueError:
                    continue
        return None

    def learn(self, node: str, pin: bytes) -> None:
        """Remember ``pin`` for ``node``; what is there already stays.

        :raises StoreError: the file cannot be written.
        """
        if self.get(node) is None:
            lines = [*self._lines(), f"{node} {pin.hex()}"]
            atomic_write(self._path, ("\n".join(lines) + "\n").encode(), 0o600)

    @property
    def path(self) -> Path:
        """The file, for texts that tell a user what to remove."""
        return self._path

    def _lines(self) -> list[str]:
        try:
            return self._path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise HomeUnusable(f"cannot read {self._path}: {error.strerror}") from error


class Home:
    """The home directory ``root``, made if it is not there.

    Nothing is written before :meth:`lock`.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.realpath(root))
        self._lock_fd: int | None = None

    def lock(self) -> None:
        """Become the one process of this home, until :meth:`unlock` or death.

        :raises HomeBusy: another process is.
        :raises HomeUnusable: the directory cannot be made or written; the text says why.
        """
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise HomeUnusable(f"home {self.root} cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(fd)
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise HomeBusy(f"another process serves the home {self.root}") from error
            raise HomeUnusable(f"cannot lock {self.root}: {error.strerror}") from error
        os.truncate(fd, 0)
        with suppress(OSError):  # for people only; a full disk must not keep us out of the home
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._lock_fd = fd

    def unlock(self) -> None:
        """Let another process have the home. Harmless when not locked."""
        fd, self._lock_fd = self._lock_fd, None
        if fd is not None:
            os.close(fd)

    @property
    def locked(self) -> bool:
        """Whether this object holds the lock."""
        return self._lock_fd is not None

    def identity(self) -> SigningKey:
        """This home's key, made at first use, readable by its owner only.

        :raises HomeUnusable: it cannot be read or written, or is damaged.
        """
        return key_in(self.root / "peer.key")

    def pins(self) -> Pins:
        """The supernodes that this home has met."""
        return Pins(self.root / "known_supernodes")

    @property
    def store(self) -> Path:
        """Where the pieces are."""
        return self.root / "store"

    @property
    def socket(self) -> Path:
        """Where dfget meets this home's peer."""
        return socket_path(self.root)

    def prepare_socket(self) -> Path:
        """Make room for the socket: its directory is ours alone, an old socket is gone.

        Only the holder of the lock calls this, so an existing socket is a dead one's.

        :raises HomeUnusable: the directory belongs to somebody else or cannot be made.
        """
        path = self.socket
        try:
            if path.parent != self.root:
                _own_directory(path.parent)
            path.unlink(missing_ok=True)
        except OSError as error:
            raise HomeUnusable(f"cannot make the socket {path}: {error.strerror}") from error
        return path


def _own_directory(path: Path) -> None:
    """Make ``path`` with mode 0700; in a world-writable place it must be a directory of ours."""
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise HomeUnusable(f"{path} is not a directory of this user")
    if stat.S_IMODE(found.st_mode) & 0o077:
        path.chmod(0o700)
