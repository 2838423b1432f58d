"""The end of a connection on which the client may still be sending.

Closing a socket with unread bytes resets it, and a reset may take the last answer from the
client: so the writing half is closed first, and what still comes is read and dropped.
"""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from dragonfly.daemon.front.limits import FrontLimits
from dragonfly.daemon.front.outflow import Outflow
from dragonfly.net.watch import Watch

__all__ = ["LingeringClose"]


class LingeringClose:
    """Closes a connection after the client had its chance to read the last answer.

    It lasts until the client closes too, for :attr:`~FrontLimits.linger_s` seconds, or for
    :attr:`~FrontLimits.linger_bytes`, whichever comes first.
    """

    def __init__(self, out: Outflow, *, clock: IReactorTime, limits: FrontLimits) -> None:
        self._out = out
        self._limits = limits
        self._dropped = 0
        self._watch = Watch(clock, out.close)

    def begin(self) -> None:
        """Send what waits, and the end."""
        self._watch.within(self._limits.linger_s)
        self._out.half_close()

    def drop(self, count: int) -> None:
        """So many bytes came that nobody wants."""
        self._dropped += count
        if self._dropped > self._limits.linger_bytes and self._watch.running:
            self._watch.close()
            self._out.close()

    def over(self) -> None:
        """The connection is cut, or gone."""
        self._watch.close()
