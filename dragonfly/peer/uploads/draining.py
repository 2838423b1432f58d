"""Answers that are sent and have not arrived: when their slots are free."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dragonfly.net.calloff import call_off
from dragonfly.peer.connections.protocol import PeerProtocol
from dragonfly.peer.uploads.upload import Upload
from dragonfly.sched.slots import UploadSlots

__all__ = ["POLL_MOST_S", "POLL_S", "Draining"]

POLLS = 4
"""How often un-ACKed bytes are asked for in the time that an answer takes, while requests wait and
slots are only draining. A slot is idle for half of the time between two looks."""

_SMOOTHED = 8
"""Answers over which their time is averaged, about."""

POLL_S = 0.010
"""The shortest time between two looks by the timer."""

POLL_MOST_S = 0.100
"""The longest."""


class Draining:
    """The answers whose slots only wait for the neighbour's host to ACK their last bytes.

    Nothing tells when that happens, so somebody has to look: whoever needs a slot by
    :meth:`collect`, and a timer while others wait for one.

    :param on_arrived: told of each answer that has, when its slot is free already.
    :param on_free: called after each look; it may start others.
    """

    def __init__(
        self,
        slots: UploadSlots,
        clock: IReactorTime,
        *,
        on_arrived: Callable[[Upload], object],
        on_free: Callable[[], object],
    ) -> None:
        self._slots = slots
        self._clock = clock
        self._on_arrived = on_arrived
        self._on_free = on_free
        self._uploads: list[Upload] = []
        self._expected = False
        self._poll: IDelayedCall | None = None
        self._answer_s = 0.0

    def __len__(self) -> int:
        return len(self._uploads)

    def __contains__(self, upload: Upload) -> bool:
        return upload in self._uploads

    def add(self, upload: Upload) -> None:
        """All of it was written."""
        self._uploads.append(upload)
        self.watch()

    def discard(self, upload: Upload) -> bool:
        """Look at it no more; whether it was one of these."""
        if upload not in self._uploads:
            return False
        self._uploads.remove(upload)
        return True

    def expect(self, more: bool) -> None:
        """Tell whether somebody waits for a free slot whom the slots do not know."""
        self._expected = more
        self.watch()

    def collect(self) -> None:
        """Free the slots of answers that have arrived since somebody last looked."""
        if not self._uploads:
            return
        self._look()
        self._on_free()
        if self._poll is not None:
            self._poll.reset(self._poll_s)

    def watch(self) -> None:
        """Have the timer while somebody waits for a slot that only drains."""
        wanted = self._slots.waiting or self._expected
        if self._poll is None and self._uploads and wanted:
            self._poll = self._clock.callLater(self._poll_s, self._polled)

    def stop(self) -> None:
        """Look no more."""
        poll, self._poll = self._poll, None
        call_off(poll)

    def _look(self) -> None:
        now = self._clock.seconds()
        still = []
        arrived: dict[PeerProtocol, int] = {}
        for upload in self._uploads:
            peer = upload.peer
            if peer not in arrived:
                arrived[peer] = peer.said_bytes - peer.unacked()
            unacked = max(0, upload.said - arrived[peer])
            if self._slots.draining(peer, upload.key, unacked):
                taken_s = now - upload.since
                self._answer_s += (taken_s - self._answer_s) / _SMOOTHED
                self._on_arrived(upload)
            else:
                still.append(upload)
        self._uploads = still

    @property
    def _poll_s(self) -> float:
        return min(POLL_MOST_S, max(POLL_S, self._answer_s / POLLS))

    def _polled(self) -> None:
        self._poll = None
        self.collect()
