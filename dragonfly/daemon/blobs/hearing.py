"""What is heard of a download for which a client waits, and how long silence is borne."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from dragonfly.daemon.blobs.outlet import Outlet
from dragonfly.daemon.blobs.transferring import Transferring, layout_of
from dragonfly.daemon.log.note import Note
from dragonfly.task.layout import Layout

__all__ = ["BEGIN_S", "HUNGRY_S", "PART_S", "SILENCE_S", "Hearing"]

BEGIN_S = 10.0
"""So long the swarm may take to say anything of the blob. Clients of registries begin to give
up after 30 to 60 s of silence."""

PART_S = 3.0
"""A client has no byte of a part after so long. Who asks for parts reads them for a container
that waits: nydusd gives up when it does not have all of one after 5 s, and the registry gives
it at once. Small parts that nobody has wait less, see :mod:`dragonfly.daemon.blobs.detours`."""

SILENCE_S = 25.0
"""No piece came for so long. The peer's own fall-back to the registry, which shares what it
reads, begins after 20 s at the latest, and has time for a piece before that."""

HUNGRY_S = 45.0
"""Pieces come, but for so long none that the client waits for. On slow links that is normal
for a while: eight pieces of 1 MiB that come at once at 1 MB/s take 8 s."""


class Hearing:
    """Listens to one download on behalf of one answer.

    :param note: what the download gives as a reason goes there.
    :ivar known: whether it ever had a layout: somebody in the swarm knows the content.
    """

    def __init__(self, clock: IReactorTime, note: Note) -> None:
        self.known = False
        self._clock = clock
        self._note = note
        self._moved_at = clock.seconds()
        self._waiting: Deferred[None] | None = None

    def has_layout(self, download: Transferring) -> bool:
        """Whether there is something to read, as far as was heard."""
        return self.known and layout_of(download) is not None

    def layout(self, download: Transferring) -> Deferred[None]:
        """Fire when there is something to read; fail with the reason if there never will be.

        One at a time. Cancelling stops the waiting only.
        """
        waiting: Deferred[None] = Deferred()
        self._waiting = waiting  # a listener may be told at once
        download.add_listener(self)
        return waiting

    def limit_s(self, outlet: Outlet, *, part: bool) -> float:
        """How long the client behind ``outlet`` should wait for a byte, as things stand."""
        if part and not outlet.sent:
            return PART_S
        if not self.known:
            return BEGIN_S
        quiet_s = min(outlet.waited_s(), self._clock.seconds() - self._moved_at)
        return SILENCE_S if quiet_s >= SILENCE_S else HUNGRY_S

    def stop(self) -> None:
        """Nobody waits any more."""
        self._waiting = None

    # -- DownloadListener ---------------------------------------------------------------

    def on_layout(self, layout: Layout) -> None:  # noqa: ARG002
        """There is something to read."""
        self._begun(None)

    def on_ranges(self, ranges: list[tuple[int, int]]) -> None:  # noqa: ARG002
        """It is moving; the reader hears of that by itself."""
        self._moved_at = self._clock.seconds()

    def on_notice(self, text: str) -> None:
        """Why the swarm did not help, usually."""
        self._note.because(text)

    def on_restart(self) -> None:
        """The reader has failed."""

    def on_done(self) -> None:
        """Who needs to know waits for it."""
        self._begun(None)

    def on_failed(self, error: Exception) -> None:
        """It will never be there."""
        self._begun(error)

    def _begun(self, error: Exception | None) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is None or waiting.called:
            return
        if error is None:
            self.known = True
            waiting.callback(None)
        else:
            waiting.errback(error)
