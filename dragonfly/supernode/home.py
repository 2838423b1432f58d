"""The directory of a supernode: its lock, its keys, its store."""

from __future__ import annotations

import json
import os
from pathlib import Path

from blake3 import blake3

from dragonfly.peer.home.home import Home
from dragonfly.signatures import SigningKey
from dragonfly.store.files import atomic_write
from dragonfly.store.keyfile import key_in

__all__ = ["V1_HOME", "SupernodeHome", "audience_secret", "choose_home"]

V1_HOME = Path("/home/admin/supernode")
"""Where v1 kept its files; used when it is there and we may write in it."""


def choose_home(configured: str | None, *, v1_home: Path = V1_HOME) -> tuple[Path, str]:
    """The home to use, and a sentence that says why it is this one."""
    if configured is not None:
        return Path(configured), "as configured"
    if v1_home.is_dir() and os.access(v1_home, os.W_OK | os.X_OK):
        return v1_home, "the default of version 1, which exists and is writable"
    fallback = Path.home() / ".small-dragonfly" / "supernode"
    return fallback, f"because {v1_home} is not there or not writable"


class SupernodeHome:
    """The home at ``root``; made by :meth:`lock`."""

    def __init__(self, root: Path) -> None:
        self._home = Home(root)

    @property
    def root(self) -> Path:
        """The directory, links resolved."""
        return self._home.root

    @property
    def store(self) -> Path:
        """Where the contents are."""
        return self.root / "store"

    def lock(self) -> None:
        """Become the one supernode of this home.

        :raises HomeBusy: another process is.
        :raises HomeUnusable: the directory cannot be made or written.
        """
        self._home.lock()

    def unlock(self) -> None:
        """Let another process have it."""
        self._home.unlock()

    def signing_key(self) -> SigningKey:
        """The key that signs manifests and grants; made at first use, mode 0600.

        :raises HomeUnusable: it cannot be read or made, or is damaged.
        """
        return key_in(self.root / "supernode.key")

    def write_ports(self, ports: dict[str, object]) -> None:
        """Tell scripts where we listen: ``ports.json``.

        :raises StoreError: it cannot be written.
        """
        text = json.dumps(ports, indent=2) + "\n"
        atomic_write(self.root / "ports.json", text.encode(), 0o644)


def audience_secret(key: SigningKey) -> bytes:
    """What keys the hashes that stand for credentials; the same after a restart."""
    return blake3(key.to_bytes(), derive_key_context="dragonfly supernode audience 1").digest()
