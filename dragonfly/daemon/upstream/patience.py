"""What an exchange with a registry waits for, and how long each of that may take."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from twisted.internet.interfaces import IReactorTime

from dragonfly.daemon.upstream.limits import UpstreamLimits
from dragonfly.net.watch import Watch

__all__ = ["Awaited", "Patience"]


class Awaited(Enum):
    """Who has to do something: the registry, or in ``TAKER`` our own side.

    :ivar limit: the name of the limit that is for it.
    :ivar words: what is said when it did not come; ``{:g}`` are the seconds.
    """

    GO_AHEAD = ("continue_s", "no 100 Continue in {:g} s")
    ROOM = ("silence_s", "it took none of the request's body for {:g} s")
    ANSWER = ("answer_s", "no answer in {:g} s")
    BODY = ("silence_s", "the body fell silent for {:g} s")
    TAKER = ("pause_s", "the body was left paused for {:g} s")
    REST = ("linger_s", "the rest of the body did not come in {:g} s")

    def __init__(self, limit: str, words: str) -> None:
        self.limit = limit
        self.words = words


class Patience:
    """Calls *spent*, with what was awaited and the words for it, if that did not come in time."""

    def __init__(
        self,
        clock: IReactorTime,
        limits: UpstreamLimits,
        spent: Callable[[Awaited, str], None],
    ) -> None:
        self._limits = limits
        self._spent = spent
        self._watch = Watch(clock, self._late)
        self._awaited = Awaited.ANSWER
        self._seconds: float | None = None

    def wait_for(self, awaited: Awaited | None) -> None:
        """Wait for that from now on, whatever was waited for before; ``None``: for nothing."""
        if awaited is None:
            self._seconds = None
            self._watch.off()
        else:
            seconds: float = getattr(self._limits, awaited.limit)
            self._awaited, self._seconds = awaited, seconds
            self._watch.within(seconds)

    def renew(self) -> None:
        """Some of it came: its time begins anew, if anything is waited for."""
        if self._seconds is not None:
            self._watch.within(self._seconds)

    def close(self) -> None:
        """Wait for nothing any more; no timer is left."""
        self._watch.close()

    def _late(self) -> None:
        self._spent(self._awaited, self._awaited.words.format(self._seconds))
