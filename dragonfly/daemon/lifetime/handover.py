"""A dfdaemon that another one replaces: it hands over its sockets, then its home, then its work."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from dragonfly.errors import ConfigError

__all__ = ["HandOver"]


class HandOver:
    """A :class:`~dragonfly.peer.succession.Succession` of dfdaemon.

    :param sockets: gives the descriptors that are listened on, by name.
    :param part: leaves the swarm and gives up the home; requests are answered on.
    :param back: takes the home again, and joins the swarm.
    :param end: ends the process in order.
    """

    _log = Logger()

    def __init__(
        self,
        sockets: Callable[[], Mapping[str, int]],
        part: Callable[[], Deferred[None]],
        back: Callable[[], Deferred[None]],
        end: Callable[[], object],
    ) -> None:
        self._sockets = sockets
        self._part = part
        self._back = back
        self._end = end
        self._under_way = False
        self._homeless = False

    def begin(self) -> Mapping[str, int]:
        """Give the listening sockets by name.

        :raises ConfigError: another process was quicker, or this one ends.
        """
        if self._under_way or self._homeless:
            raise ConfigError("this dfdaemon is being replaced already")
        sockets = self._sockets()
        if not sockets:
            raise ConfigError("this dfdaemon is ending")
        self._under_way = True
        return sockets

    def free(self) -> None:
        """Give up the home; until the other one serves, everything comes from registries."""
        self._log.info("another dfdaemon takes over: giving up the home")
        self._homeless = True
        self._part().addErrback(self._broke)

    def serving(self) -> None:
        """The other one serves: listen no more."""
        self._under_way = False
        self._log.info("another dfdaemon serves here now: this one ends")
        self._end()

    def failed(self) -> None:
        """The other one is gone: go on, as before if that can be."""
        self._under_way = False
        self._log.warn("the dfdaemon that was to take over is gone: this one serves on")
        if self._homeless:
            self._back().addCallbacks(self._is_back, self._stays_out)

    def _is_back(self, _: None) -> None:
        self._homeless = False

    def _stays_out(self, failure: Failure) -> None:
        self._log.failure("serving from registries only, until a restart", failure)

    def _broke(self, failure: Failure) -> None:
        self._log.failure("leaving the swarm", failure)
