"""One download from the command's side: talk, follow, and talk again when the peer died."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from dragonfly.dfget.client import Conversation, Result, converse
from dragonfly.dfget.output import Output
from dragonfly.dfget.progress import Console, Progress
from dragonfly.errors import DownloadFailed, PeerGone

__all__ = ["MAX_BARREN", "Fetch", "Sources", "Talker"]

MAX_BARREN = 3
"""How often in a row the peer may die without having brought a single new byte."""

GRACE_S = 2.0
"""The peer keeps the time limit; we end this much later if it does not."""


class Talker(Protocol):
    """Gets a conversation with the peer of the home, however that is done."""

    again: bool
    """Whether it is worth another call after the peer died."""

    def talk(self) -> Conversation:
        """A conversation with a peer that answers.

        :raises PeerGone: there is none to be had.
        :raises HomeUnusable: nothing can be kept in this home.
        """


class Sources:
    """Bytes by source, over several peers that died on the way.

    A peer that is started again counts what the one before it brought as being there
    already; for the user these bytes came from where they came.
    """

    KINDS = ("cache", "cdn", "peers", "origin")

    def __init__(self) -> None:
        self.clear()

    def update(self, sources: dict[str, int]) -> None:
        """What the present peer says."""
        self._now = {kind: int(sources.get(kind, 0)) for kind in self.KINDS}

    def again(self) -> None:
        """The peer died; another one continues."""
        self._before = self.all()
        self._now = dict.fromkeys(self.KINDS, 0)

    def clear(self) -> None:
        """Nothing that came is of use."""
        self._before = dict.fromkeys(self.KINDS, 0)
        self._now = dict.fromkeys(self.KINDS, 0)

    def all(self) -> dict[str, int]:
        """Everything so far."""
        known = sum(self._before.values())
        total = {kind: self._before[kind] + self._now[kind] for kind in self.KINDS}
        total["cache"] -= min(self._now["cache"], known)
        return total

    @property
    def total(self) -> int:
        """How many bytes in all."""
        return sum(self.all().values())


class Fetch:
    """Follows one download into an output.

    :param timeout_s: for everything together, or ``None``.
    """

    def __init__(
        self,
        request: dict[str, Any],
        output: Output,
        progress: Progress,
        console: Console,
        *,
        timeout_s: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.sources = Sources()
        self.tick_s = progress.tick_s
        self._request = request
        self._output = output
        self._progress = progress
        self._console = console
        self._clock = clock
        self._timeout_s = timeout_s
        self._began = clock()
        self._said: set[str] = set()

    def run(self, talker: Talker) -> Result:
        """Download; start again where the peer died, as long as that brings something.

        :raises DownloadFailed: the peer gave up, or the time is over.
        :raises PeerGone: no peer can be had, or each one dies.
        :raises StoreError: the output cannot be written.
        """
        barren = 0
        self.sources.again()
        while True:
            before = self.sources.total
            talk = talker.talk()
            try:
                result = self._once(talk)
            except PeerGone as error:
                barren = 0 if self.sources.total > before else barren + 1
                if not talker.again or barren > MAX_BARREN:
                    raise
                self._console.notice(f"{error}; starting it again and continuing")
                self.sources.again()
            else:
                self.sources.update(result.sources)
                return Result(result.length, self.sources.all(), result.reason)

    def _once(self, talk: Conversation) -> Result:
        request, deadline = self._request, None
        if self._timeout_s is not None:
            left = self._timeout_s - (self._clock() - self._began)
            request = {**request, "timeout": max(left, 0.001)}
            deadline = self._began + self._timeout_s + GRACE_S
        try:
            result = converse(talk, request, self, deadline=deadline, clock=self._clock)
            self._output.finish(result.length)  # the peer keeps its file until we hang up
            return result
        except DownloadFailed as error:
            raise self._in_time(error) from None
        finally:
            talk.close()

    def _in_time(self, error: DownloadFailed) -> DownloadFailed:
        """The error; one that says that the time is over gets the user's figure: the peer
        knows only what was left when it was asked."""
        given = self._timeout_s
        if given is None or self._clock() - self._began < given:
            return error
        text = f"not finished within {given:g} s"
        return DownloadFailed(text, kind="TimedOut", reason=error.reason)

    # -- Follower -----------------------------------------------------------------------

    def notice(self, text: str) -> None:
        """Show it, once."""
        if text not in self._said:
            self._said.add(text)
            self._console.notice(text)

    def layout(self, path: str, length: int | None) -> None:
        """Prepare the output."""
        self._console.debug(f"the peer keeps it in {path}")
        self._output.begin(path, length)
        self._progress.length(length)

    def ranges(self, ranges: list[tuple[int, int]], sources: dict[str, int]) -> None:
        """Copy, count and show."""
        for begin, end in ranges:
            self._output.copy(begin, end)
        self.sources.update(sources)
        self._progress.update(self.sources.all())

    def restart(self) -> None:
        """Forget what was copied."""
        self._output.restart()
        self.sources.clear()

    def tick(self) -> None:
        """Show how it goes."""
        self._progress.tick()
