"""A dfdaemon that another one replaces: it hands over its sockets, then its home, then its work."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from dragonfly.daemon.lifetime.comeback import Comeback
from dragonfly.errors import ConfigError

__all__ = ["AT_WORK_S", "HandOver"]

AT_WORK_S = 1.0
"""So often the other one is told that the home is being given up: it waits for some seconds
more each time, see :data:`~dragonfly.daemon.lifetime.takeover.TAKE_S`."""


class HandOver:
    """A :class:`~dragonfly.peer.home.succession.Succession` of dfdaemon.

    :param sockets: gives the descriptors that are listened on, by name.
    :param part: leaves the swarm and gives up the home; requests are answered on. It may be
        called again.
    :param comeback: what takes the home again, and joins the swarm.
    :param end: ends the process in order; is told the number of the new one.
    """

    _log = Logger()

    def __init__(
        self,
        sockets: Callable[[], Mapping[str, int]],
        part: Callable[[], Deferred[None]],
        comeback: Comeback,
        end: Callable[[int | None], object],
        *,
        clock: IReactorTime,
    ) -> None:
        self._sockets = sockets
        self._part = part
        self._comeback = comeback
        self._end = end
        self._clock = clock
        self._under_way = False
        self._at_work: LoopingCall | None = None

    def begin(self) -> Mapping[str, int]:
        """Give the listening sockets by name.

        :raises ConfigError: another process was quicker, or this one ends.
        """
        if self._under_way:
            raise ConfigError("this dfdaemon is being replaced already")
        sockets = self._sockets()
        if not sockets:
            raise ConfigError("this dfdaemon is ending")
        self._under_way = True
        return sockets

    def free(self, at_work: Callable[[], object]) -> None:
        """Give up the home; until the other one serves, everything comes from registries."""
        self._log.info("another dfdaemon takes over: giving up the home")
        self._comeback.stop()
        self._at_work = LoopingCall(at_work)
        self._at_work.clock = self._clock
        self._at_work.start(AT_WORK_S, now=False).addErrback(self._broke)
        self._part().addErrback(self._broke).addCallback(self._parted, self._at_work)

    def serving(self, pid: int | None) -> None:
        """The other one serves: listen no more."""
        self._under_way = False
        self._log.info("another dfdaemon serves here now: this one ends")
        self._end(pid)

    def failed(self) -> None:
        """The other one is gone: go on, as before if that can be."""
        self._under_way = False
        self._log.warn("the dfdaemon that was to take over is gone: this one serves on")
        working, self._at_work = self._at_work, None
        if working is not None:
            if working.running:
                working.stop()
            self._comeback.start()

    def _parted(self, _: object, at_work: LoopingCall) -> None:
        if at_work.running:
            at_work.stop()

    def _broke(self, failure: Failure) -> None:
        self._log.failure("leaving the swarm", failure)
