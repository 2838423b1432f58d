"""The directories of one dfdaemon: the home that it shares with dfget, and where layers are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from dragonfly.config import DaemonConfig
from dragonfly.errors import HomeBusy, HomeUnusable
from dragonfly.peer.home.home import Home
from dragonfly.store.files import atomic_write

__all__ = ["PORTS_FILE", "Place"]

PORTS_FILE = "dfdaemon-ports.json"


class Place:
    """What ``workHome`` and ``localrepo`` say.

    :ivar home: the directory of the peer; its lock is the peer's business.
    :raises HomeUnusable: one begins with ``~`` and nobody knows where that is.
    """

    def __init__(self, config: DaemonConfig) -> None:
        self._peer = Home(_expanded(config.work_home))
        self.home = self._peer.root
        self._repo: Home | None = None
        if config.local_repo is not None:
            repo = Home(_expanded(config.local_repo))
            self._repo = repo if repo.root != self.home else None

    @property
    def store(self) -> Path | None:
        """Where contents are, if not in the home."""
        return self._repo.store if self._repo is not None else None

    def lock(self) -> None:
        """Become the only one who keeps layers there, until :meth:`unlock` or death.

        :raises HomeBusy: another process is.
        :raises HomeUnusable: the directory cannot be made or written.
        """
        if self._repo is not None:
            try:
                self._repo.lock()
            except HomeBusy:
                raise HomeBusy(
                    f"another process keeps its contents in localrepo {self._repo.root}"
                ) from None

    def unlock(self) -> None:
        """Let another process have it. Harmless when not locked."""
        if self._repo is not None:
            self._repo.unlock()

    def write_ports(self, ports: Mapping[str, object]) -> None:
        """Tell scripts where we listen: ``dfdaemon-ports.json``.

        :raises StoreError: it cannot be written.
        """
        text = json.dumps(ports, indent=2) + "\n"
        atomic_write(self.home / PORTS_FILE, text.encode(), 0o644)


def _expanded(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise HomeUnusable(f"home {text} cannot be used: the user has no home directory") from None
