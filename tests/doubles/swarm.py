"""A tracker with everything around it in memory: an origin, a library of contents, a clock.

::

    lab = TrackerLab()
    answer = lab.register(lab.peer(1))
    lab.clock.advance(answer.announce_after)
    lab.announce(lab.peer(1), answer)
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import Logger

from dragonfly.config import SupernodeConfig
from dragonfly.control.messages import (
    AnnounceAnswer,
    Announced,
    AnnounceRequest,
    RegisterAnswer,
    RegisterRequest,
    Validator,
    prefixed,
)
from dragonfly.errors import DragonflyError, OriginRefused
from dragonfly.metrics import BuildInfo, SupernodeMetrics
from dragonfly.net.reply import OriginReply
from dragonfly.net.tasks import TaskSet
from dragonfly.signatures import SigningKey
from dragonfly.supernode.admission import Admission
from dragonfly.supernode.cdn import Wanted
from dragonfly.supernode.content import Content, State
from dragonfly.supernode.tracker import Caller, Tracker
from dragonfly.task.layout import choose_piece_size
from dragonfly.task.manifest import Manifest
from tests.doubles.reader import make_reply

__all__ = ["NOW", "URL", "FakeDialler", "FakeLibrary", "FakeOrigin", "LabPeer", "TrackerLab"]

NOW = 1_700_000_000.0
URL = "http://origin.example/f"


@attrs.define(eq=False)
class FakeOrigin:
    """What the origin says to whom; ``decide`` gets the headers in lower case."""

    decide: Callable[[dict[str, str]], OriginReply | DragonflyError]
    asked: list[dict[str, str]] = attrs.field(factory=list)
    opened: list[bool] = attrs.field(factory=list)

    async def probe(
        self,
        url: str,
        headers: Sequence[tuple[str, str]],
        *,
        by_get: bool = False,
        opening: bool = False,
    ) -> OriginReply:
        """Answer at once."""
        told = {name.lower(): value for name, value in headers}
        self.asked.append(told)
        self.opened.append(opening)
        answer = self.decide(told)
        if isinstance(answer, DragonflyError):
            raise answer
        return answer


class FakeLibrary:
    """Contents in memory, in the states that a test puts them in."""

    def __init__(self, clock: Clock) -> None:
        self.kept: dict[bytes, Content] = {}
        self.newest: dict[bytes, tuple[bytes, bool]] = {}
        self.wanted: list[Wanted] = []
        self.small: dict[bytes, bytes] = {}
        self._clock = clock
        self._fetches = 0

    def get(self, task: bytes) -> Content | None:
        """As the CDN does."""
        return self.kept.get(task)

    def contents(self) -> tuple[Content, ...]:
        """As the CDN does."""
        return tuple(self.kept.values())

    def latest(self, name: bytes) -> tuple[bytes, bool] | None:
        """As the CDN does; :meth:`finish` makes contents complete."""
        return self.newest.get(name)

    async def obtain(self, wanted: Wanted) -> Content:
        """As the CDN does, but nothing is fetched."""
        self.wanted.append(wanted)
        content = self.kept.get(wanted.task)
        if content is None:
            content = self.kept[wanted.task] = self._new(wanted)
        content.used = self._clock.seconds()
        content.public = content.public or wanted.admitted.public
        return content

    async def whole(self, content: Content, limit: int) -> bytes | None:
        """As the CDN does, of what a test has put there."""
        data = self.small.get(content.id)
        return data if data is not None and len(data) <= limit else None

    async def recall(self, task: bytes) -> Content | None:
        """As the CDN does."""
        return self.kept.get(task)

    def forget(self, content: Content) -> bool:
        """As the CDN does: not what is watched."""
        return not content.watched and self.kept.pop(content.id, None) is not None

    def finish(self, content: Content) -> None:
        """It is complete."""
        content.settle()
        self.newest[content.name] = (content.id, content.public)

    def renew(self, content: Content) -> Content:
        """The version has ended, and is fetched anew."""
        self._fetches += 1
        manifest = Manifest(content.id, self._fetches, content.piece_size, content.length)
        fresh = attrs.evolve(content, fetch=self._fetches, manifest=manifest, state=State.FETCHING)
        self.kept[content.id] = fresh
        return fresh

    def _new(self, wanted: Wanted) -> Content:
        self._fetches += 1
        reply = wanted.admitted.reply
        piece_size = choose_piece_size(reply.length)
        return Content(
            id=wanted.task,
            name=wanted.name.id,
            url=wanted.name.url,
            fetch=self._fetches,
            manifest=Manifest(wanted.task, self._fetches, piece_size, reply.length),
            validator=Validator(
                etag=reply.etag, last_modified=reply.last_modified, length=reply.length
            ),
            digest=wanted.digest,
        )


class FakeDialler:
    """Says who can be reached: all but ``unreachable``; with ``hold``, when it is told to."""

    def __init__(self) -> None:
        self.unreachable: set[tuple[str, int]] = set()
        self.hold = False
        self.asked: list[tuple[str, int, bool]] = []
        self._waiting: list[tuple[tuple[str, int], Callable[[bool], object]]] = []

    def ask(
        self, address: str, port: int, tell: Callable[[bool], object], *, fresh: bool = False
    ) -> None:
        """As DialBack does."""
        self.asked.append((address, port, fresh))
        if self.hold:
            self._waiting.append(((address, port), tell))
        else:
            tell((address, port) not in self.unreachable)

    def answer(self) -> None:
        """Tell what was asked by now."""
        waiting, self._waiting = self._waiting, []
        for where, tell in waiting:
            tell(where not in self.unreachable)


@attrs.frozen(kw_only=True)
class LabPeer:
    """One peer of a lab: its key and where it is."""

    key: bytes
    address: str
    port: int = 65002
    labels: tuple[str, str] = ("", "")

    @property
    def caller(self) -> Caller:
        """How its calls arrive: over TLS."""
        return Caller(address=self.address, reached="10.255.0.1", secure=True)


class TrackerLab:
    """One tracker; calls are answered at once unless something is held."""

    def __init__(self, **config: Any) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.key = SigningKey.from_bytes(b"\1" * 32)
        self.origin = FakeOrigin(lambda _: make_reply(length=1 << 20, etag='"v1"'))
        self.library = FakeLibrary(self.clock)
        self.dialler = FakeDialler()
        self.metrics = SupernodeMetrics(BuildInfo(version="0"))
        self.tracker = Tracker(
            admission=Admission(
                lambda _: self.origin, self.clock, TaskSet(Logger()), secret=b"s" * 32
            ),
            cdn=self.library,
            key=self.key,
            clock=self.clock,
            rng=random.Random(1),
            metrics=self.metrics,
            dial_back=self.dialler,
            seed_address=lambda reached: (reached, 8001),
            config=SupernodeConfig(**config),
        )

    def peer(self, number: int, **facts: Any) -> LabPeer:
        """Peer ``number``, each at an address of its own."""
        address = f"10.0.{number >> 8}.{number & 255}"
        key = number.to_bytes(6, "big") + bytes(26)
        return LabPeer(**{"key": key, "address": address, **facts})

    # -- calls ----------------------------------------------------------------------

    def registering(
        self, peer: LabPeer, url: str = URL, *, caller: Caller | None = None, **fields: Any
    ) -> Deferred[Any]:
        """Register; the Deferred has the answer."""
        idc, location = peer.labels
        said = Announced(port=peer.port, hostname="h", version="1", idc=idc, location=location)
        message = RegisterRequest(**{"url": url, "key": peer.key, "peer": said, **fields})
        return Deferred.fromCoroutine(self.tracker.register(message, caller or peer.caller))

    def register(self, peer: LabPeer, url: str = URL, **fields: Any) -> RegisterAnswer:
        """Register and give the answer that came at once; raises what was refused."""
        answer: RegisterAnswer = result_of(self.registering(peer, url, **fields))
        return answer

    def announce(self, peer: LabPeer, joined: RegisterAnswer, **fields: Any) -> AnnounceAnswer:
        """Announce for the task of a register answer; ``neighbours`` may be a list of keys."""
        if isinstance(fields.get("neighbours"), list):
            fields["neighbours"] = prefixed(fields["neighbours"])
        told = {"task": joined.task, "key": peer.key, "fetch": joined.fetch, "have_count": 0}
        return self.tracker.announce(AnnounceRequest(**(told | fields)), peer.caller)

    def swarm(self, count: int) -> dict[int, RegisterAnswer]:
        """Register peers 1 to ``count``; give their answers."""
        return {number: self.register(self.peer(number)) for number in range(1, count + 1)}

    def time_passes(self, joined: dict[int, RegisterAnswer]) -> None:
        """Everybody announces for a while."""
        for _ in range(4):
            self.clock.advance(5.0)
            for number, answer in joined.items():
                self.announce(self.peer(number), answer)

    def given(self, number: int, joined: RegisterAnswer) -> set[bytes]:
        """Whom a peer without links is told to dial."""
        return {each.key for each in self.announce(self.peer(number), joined).neighbours}

    def keep_private(self, right: str = "Bearer right") -> None:
        """The origin gives the content to the holders of one token only."""
        yes, no = make_reply(length=1 << 20, etag='"v1"'), OriginRefused("no", 401)
        self.origin.decide = lambda told: yes if told.get("authorization") == right else no

    def content(self, task: RegisterAnswer) -> Content:
        """What the library has of a task."""
        return self.library.kept[task.task]

    def value(self, name: str, **labels: str) -> float:
        """A metric."""
        found = self.metrics.registry.get_sample_value(f"dragonfly_supernode_{name}", labels)
        return found or 0.0


def result_of(deferred: Deferred[Any]) -> Any:
    """The result that a Deferred has by now; raises its error."""
    results: list[Any] = []
    errors: list[Any] = []
    deferred.addCallbacks(results.append, errors.append)
    if errors:
        errors[0].raiseException()
    assert results, "nothing came of it yet"
    return results[0]
