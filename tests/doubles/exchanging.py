"""An exchange between real sessions: one task, its neighbours, everything moved by hand.

::

    scene = ExchangeLab(TaskLab(tmp_path))
    neighbour = Neighbour(scene)
    neighbour.show(0)                  # it has piece 0
    assert neighbour.asked == [0]      # and was asked for it
    neighbour.send(0)
    assert 0 in scene.content.have
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock

from dragonfly.errors import ErrorCode
from dragonfly.net.throttle import Throttle
from dragonfly.peer.connections.links import Link
from dragonfly.peer.connections.protocol import PeerProtocol
from dragonfly.peer.exchange.exchange import Exchange
from dragonfly.peer.uploads.uploader import Uploader
from dragonfly.sched.picker import Picker
from dragonfly.sched.slots import UploadSlots
from dragonfly.wire.events import Event, RequestReceived
from tests.doubles.peering import PeerPair
from tests.doubles.tasklab import PIECE, TaskLab

__all__ = ["ExchangeLab", "Neighbour"]


class Neighbour:
    """One link: ``link`` is our side, ``session`` theirs, ``heard`` what we said."""

    def __init__(self, scene: ExchangeLab, *, seed: bool = False) -> None:
        self.scene = scene
        self.pair = PeerPair.opened(
            scene.clock, piece_size=scene.lab.layout.piece_size, high=1 << 20
        )
        ours = self.pair.right
        self.link = Link(
            peer=ours.peer,
            key=random.Random(len(scene.neighbours)).randbytes(32),
            dialled=False,
            seed=seed,
            address="192.0.2.1",
            port=1,
        )
        ours.peer.listener = self
        scene.neighbours.append(self)
        scene.exchange.link_opened(self.link)

    # -- PeerListener of our side ---------------------------------------------------------

    def peer_opened(self, peer: PeerProtocol) -> None:
        """It is open already."""

    def peer_event(self, peer: PeerProtocol, event: Event) -> None:
        """To the exchange."""
        self.scene.exchange.link_event(self.link, event)

    def peer_closed(self, peer: PeerProtocol, reason: Exception | None) -> None:
        """To the exchange."""
        self.scene.exchange.link_closed(self.link, reason)

    # -- their side -------------------------------------------------------------------------

    @property
    def session(self) -> Any:
        """The session of their side."""
        return self.pair.left.peer.session

    def say(self, *, run: bool = True) -> None:
        """Send what their session has queued; unless told otherwise everybody works then."""
        self.pair.left.peer.flush()
        self.pair.pump()
        if run:
            self.scene.run()

    def show(self, *pieces: int) -> None:
        """They have these."""
        self.session.queue_have(pieces)
        self.session.flush_have()
        self.say()

    def send(self, piece: int, data: bytes | None = None, begin: int = 0) -> None:
        """They answer a request."""
        payload = self.scene.lab.piece(piece) if data is None else data
        assert self.session.send_data(piece, begin, payload)
        self.say()

    def heard(self, kind: type[Event]) -> list[Any]:
        """What we said to them, of one kind."""
        return [event for event in self.pair.left.events if isinstance(event, kind)]

    def answer_at_once(self) -> None:
        """From now on they send whatever they are asked for."""
        self.pair.left.on_event = self._answer

    def _answer(self, peer: PeerProtocol, event: Event) -> None:
        if isinstance(event, RequestReceived):
            peer.session.send_data(event.piece, 0, self.scene.lab.piece(event.piece))
            peer.flush()

    @property
    def asked(self) -> list[int]:
        """The pieces that they were asked for, in order."""
        return [event.piece for event in self.heard(RequestReceived)]

    @property
    def closed_with(self) -> Any:
        """The code of our goodbye."""
        return getattr(self.pair.left.reasons[0], "code", None) if self.pair.left.closed else None


class ExchangeLab:
    """An exchange of one content; the disk works when :meth:`run` is called."""

    def __init__(self, lab: TaskLab, *, runs: bool = True, length_known: bool = True) -> None:
        self.lab = lab
        self.neighbours: list[Neighbour] = []
        self.complaints: list[tuple[Link, int, str]] = []
        self.fed_bytes = 0
        self.changes = 0
        self.clock = Clock()
        self.limit = Throttle(self.clock)
        self.file = lab.file(length_known=length_known)
        self.file.retain()
        self.content = lab.content(self.file, runs=False, length_known=length_known)
        rng = random.Random(1)
        self.picker = Picker(rng=rng)
        self.uploader = Uploader(UploadSlots(), self.clock, self.lab.disk)
        self.exchange = Exchange(
            self.content,
            self.picker,
            self.uploader,
            self,
            clock=self.clock,
            disk=self.lab.disk,
            rng=rng,
            flows=(self.limit.flow(self),),
        )
        self.content.observer = self.exchange
        if runs:
            self.content.add_run(lab.run())

    @classmethod
    def ten(cls, home: Path, **options: Any) -> ExchangeLab:
        """One of ten pieces."""
        return cls(TaskLab(home, size=10 * PIECE), **options)

    # -- Supervisor -----------------------------------------------------------------------

    def fed(self, length: int, now: float) -> None:
        """Count."""
        self.fed_bytes += length

    def neighbours_changed(self) -> None:
        """Count."""
        self.changes += 1

    def shown(self, link: Link, pieces: int, now: float) -> None:
        """Nobody asks."""

    def complain(self, link: Link, piece: int, why: str) -> None:
        """Keep, and drop it as a transfer would."""
        self.complaints.append((link, piece, why))
        link.peer.close(ErrorCode.WRONG_BYTES, why)

    # -- moving -----------------------------------------------------------------------------

    def run(self) -> None:
        """Let disk, connections and due timers work until nothing moves."""
        while True:
            self.lab.threads.run()
            self.clock.advance(0)
            moved = sum(each.pair.pump() for each in self.neighbours if not each.pair.left.closed)
            if not moved and not self.lab.threads.waiting:
                return

    def wait(self, seconds: float) -> None:
        """Let time pass, and everything that is due happen."""
        for _ in range(round(seconds / 0.05)):
            self.clock.advance(0.05)
            self.run()

    def have(self, *pieces: int) -> None:
        """These are here from elsewhere."""
        for piece in pieces:
            self.content.intake.add("elsewhere", piece, 0, self.lab.piece(piece))
        self.run()

    def end(self) -> None:
        """Stop: no timer stays, nothing stays retained."""
        self.exchange.stop()
        for neighbour in self.neighbours:
            neighbour.pair.abort()
        self.uploader.stop()
        self.lab.threads.run()
        assert not self.exchange.links
        assert self.file.in_use, "released more often than retained"
        self.file.release()
        assert not self.file.in_use
        assert self.clock.getDelayedCalls() == []
