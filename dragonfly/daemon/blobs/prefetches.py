"""Contents that are fetched to their end although their clients wanted parts only."""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

from dragonfly.daemon.blobs.transferring import Transferring
from dragonfly.errors import DragonflyError
from dragonfly.peer.download.request import FetchRequest
from dragonfly.task.identity import Name

__all__ = ["PREFETCHES_MAX", "Prefetches"]

PREFETCHES_MAX = 32
"""At once. Each costs a place in a swarm and a part of the rate limit; an image that is started
lazily has about ten layers."""


class Prefetches:
    """Keeps downloads until they are done; one for each name.

    :param fetch: begins a download in the peer.
    """

    _log = Logger()

    def __init__(self, fetch: Callable[[FetchRequest], Transferring]) -> None:
        self._fetch = fetch
        self._running: dict[bytes, Transferring] = {}

    def __len__(self) -> int:
        """How many run."""
        return len(self._running)

    def begin(self, name: Name, request: FetchRequest) -> None:
        """Have all of it here, some time; without effect where too many run, or it does."""
        if name.id in self._running or len(self._running) >= PREFETCHES_MAX:
            return
        try:
            download = self._fetch(request)
        except DragonflyError as error:
            self._log.info("not prefetched: {error}", error=str(error))
            return
        self._running[name.id] = download
        download.done.wait().addBoth(self._ended, name)

    def _ended(self, _: object, name: Name) -> None:
        download = self._running.pop(name.id, None)
        if download is None:
            return
        if download.error is not None:
            self._log.info("prefetching ended: {error}", error=str(download.error))
        download.cancel()
