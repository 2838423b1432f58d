"""Which neighbours are read from now: rate limits let one after another, a full disk none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from dragonfly.net.disk import DiskPool
from dragonfly.net.pacer import Pacer
from dragonfly.net.throttle import Flow
from dragonfly.peer.connections.links import Link
from dragonfly.peer.connections.pauses import PAUSE_LIMIT_S

__all__ = ["FlowControl"]


class FlowControl:
    """The inbound flow control of one task's links.

    :param flows: the task's parts in rate limits.
    :param on_resume: told of each link that the limits let go on, before it is read again.
    """

    def __init__(
        self,
        task: bytes,
        disk: DiskPool,
        flows: Sequence[Flow],
        on_resume: Callable[[Link], None],
    ) -> None:
        self._task = task
        self._disk = disk
        self._flows = flows
        self._on_resume = on_resume
        self._pacers: dict[Link, Pacer] = {}
        self._draining = False

    @property
    def limited(self) -> bool:
        """Whether the rate limits keep some neighbour from being read now."""
        return any(pacer.waiting for pacer in self._pacers.values())

    def waiting(self) -> Iterator[Link]:
        """The links that the rate limits keep from being read now."""
        return (link for link, pacer in self._pacers.items() if pacer.waiting)

    def add(self, link: Link) -> None:
        """Look after a link that was opened."""
        self._pacers[link] = Pacer(
            self._flows,
            pause=partial(link.peer.pause_for, "rate", PAUSE_LIMIT_S),
            resume=partial(self._resume, link),
            read_at_most=link.peer.read_at_most,
        )
        if self._draining:
            link.peer.pause("disk")

    def remove(self, link: Link) -> None:
        """It is closed: what it paid ahead comes back."""
        self._pacers.pop(link).rest()

    def begin(self, link: Link) -> None:
        """Something was asked of ``link``: bytes are going to come."""
        self._pacers[link].begin()

    def took(self, link: Link, length: int) -> None:
        """Count bytes that came, wanted or not, and pause ``link`` if the limits say so."""
        pacer = self._pacers[link]
        pacer.took(length)
        if not link.peer.session.questions_asked:
            pacer.rest()  # the others have more use for what it paid

    def hold_back(self) -> None:
        """Pause all if the disk is behind, until it has caught up."""
        if not self._draining and self._disk.full(self._task):
            self._draining = True
            for link in self._pacers:
                link.peer.pause("disk")
            self._disk.drained(self._task).addBoth(self._drained)

    def stop(self) -> None:
        """Nothing is asked for any more; the links stay the owner's."""
        for pacer in self._pacers.values():
            pacer.rest()

    def _resume(self, link: Link) -> None:
        self._on_resume(link)
        link.peer.resume("rate")

    def _drained(self, _: object) -> None:
        self._draining = False
        for link in list(self._pacers):
            link.peer.resume("disk")
