"""One process hands the place of another over: what they say on the home's socket.

The new process says ``{"op": "takeover", "step": ...}`` three times on one connection:
``begin``, which is answered with the descriptors of the listening sockets; ``free``, on which
the old one gives up the home, whose lock tells when that is done; and ``serving``, with its
``pid``, on which the old one listens no more. While it is giving up the home, which takes long
where it has much to hash, it says ``{"event": "leaving"}`` every second, so that the new one
knows that it is not hung. Whoever hangs up before ``serving`` has failed, and the old one stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from dragonfly.errors import ConfigError

__all__ = ["Handing", "Succession"]


class Succession(Protocol):
    """What the old process does."""

    def begin(self) -> Mapping[str, int]:
        """Give the listening sockets by name, which stay open until :meth:`serving`.

        :raises ConfigError: this is no time for it; the text says why.
        """

    def free(self, at_work: Callable[[], object]) -> None:
        """Give up the home; nothing has to be waited for here.

        :param at_work: is called now and then until that is done.
        """

    def serving(self, pid: int | None) -> None:
        """Listen no more, and end when all answers have.

        :param pid: the number of the new process, if it told that.
        """

    def failed(self) -> None:
        """There will be no other process: go on."""


class Handing:
    """One conversation of this kind, from its ``begin`` on.

    :param send_descriptor: queues a descriptor, to go with what is sent next.
    :param send: sends an event.
    """

    def __init__(
        self,
        succession: Succession,
        send_descriptor: Callable[[int], object],
        send: Callable[[dict[str, Any]], object],
    ) -> None:
        self._succession = succession
        self._send_descriptor = send_descriptor
        self._send = send
        self._next = "begin"

    def obey(self, step: object, pid: object = None) -> dict[str, Any] | None:
        """Do a step; give its answer, if it has one.

        :param pid: the number of the new process, as it tells it.
        :raises ConfigError: it is not the next one, or cannot be done.
        """
        if step != self._next:
            raise ConfigError(f"takeover: {step!r} is not {self._next!r}, the next step")
        if step == "begin":
            return self._begin()
        if step == "free":
            self._next = "serving"
            self._succession.free(self._at_work)
        else:
            self._next = ""
            self._succession.serving(pid if isinstance(pid, int) and pid > 0 else None)
        return None

    def _begin(self) -> dict[str, Any]:
        sockets = self._succession.begin()
        self._next = "free"
        for number in sockets.values():
            self._send_descriptor(number)
        return {"event": "sockets", "names": list(sockets)}

    def _at_work(self) -> None:
        if self._next == "serving":
            self._send({"event": "leaving"})

    def hung_up(self) -> None:
        """The other process is gone."""
        before, self._next = self._next, ""
        if before in ("free", "serving"):
            self._succession.failed()
