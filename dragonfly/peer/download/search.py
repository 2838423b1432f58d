"""Which way a download goes: through the swarm if there is one, else to the origin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragonfly.errors import (
    DragonflyError,
    NoSources,
    OriginRefused,
    OriginUnreachable,
    TrackerError,
    TrackerUnreachable,
    TrustError,
)
from dragonfly.peer.download.ways import Joinable, Reason, Ways
from dragonfly.task.identity import Name

if TYPE_CHECKING:
    from dragonfly.peer.download.download import Download

__all__ = ["Search"]


class Search:
    """Finds contents for ``download``, and tells it why the origin is read if that is so."""

    def __init__(self, download: Download, ways: Ways) -> None:
        self._download = download
        self._ways = ways
        self._swarm_gave_up = False

    def no_swarm(self) -> None:
        """The swarm has given this content up: no use in asking for it again."""
        self._swarm_gave_up = True

    async def find(self, name: Name) -> Joinable:
        """Find the content as it is now, and join it.

        :raises DragonflyError: nobody gives it, or nobody who may be asked.
        """
        download = self._download
        if download.request.pattern == "source":
            download.reason = Reason.USER_ASKED
            return await self._ways.alone(download, name, private=False)
        if self._swarm_gave_up:
            if not download.request.whole:
                raise NoSources("the swarm has given it up")
            return await self._ways.alone(download, name, private=False)
        at_hand = await self._at_hand(name)
        if at_hand is not None:
            return at_hand
        try:
            found = await self._ways.through_swarm(download, name)
        except OriginRefused:
            raise
        except (TrackerError, OriginUnreachable) as error:
            return await self._without_swarm(name, error)
        return await self._directly(name, found) if isinstance(found, str) else found

    async def _at_hand(self, name: Name) -> Joinable | None:
        """What cannot be another version, for a caller whose rights need no asking."""
        if not self._download.request.admitted or name.digest is None:
            return None
        return await self._ways.at_hand(self._download, name)

    async def _directly(self, name: Name, why: str) -> Joinable:
        """The content is not to be shared: fetch it for this user only."""
        download = self._download
        download.notice(f"not shared: {why}")
        if download.request.notbs:
            raise NoSources(f"only the origin gives it ({why}), which --notbs forbids")
        if not download.request.whole:
            raise NoSources(f"not shared: {why}")
        return await self._ways.alone(download, name, private=True)

    async def _without_swarm(self, name: Name, error: DragonflyError) -> Joinable:
        """Nobody helps: read the origin, and say so; loudly if somebody poses as our node."""
        download = self._download
        if download.request.notbs:
            raise error
        download.reason = _reason(error)
        if isinstance(error, TrustError):
            download.notice(f"WARNING: {error}")
        if not download.request.whole:  # its caller reads the part, and not all before it
            raise error
        download.notice(f"downloading from the origin: {error}")
        return await self._ways.alone(download, name, private=False)


def _reason(error: DragonflyError) -> int:
    """The number for what kept the swarm from helping."""
    if isinstance(error, TrackerUnreachable | TrustError):
        return Reason.NO_SUPERNODE
    return Reason.SOURCE_ERROR if isinstance(error, OriginUnreachable) else Reason.REGISTER_FAILED
