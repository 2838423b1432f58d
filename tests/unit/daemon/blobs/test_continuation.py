"""The rest of a body from the registry."""

from __future__ import annotations

import hashlib
import random
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from dragonfly.daemon.blobs.continuation import ANSWER_S, STALL_S, Continuation
from dragonfly.daemon.blobs.outlet import HOLD_BYTES, Outlet
from dragonfly.daemon.blobs.source import Source
from dragonfly.daemon.blobs.vigil import HungUp, Vigil
from dragonfly.errors import (
    DigestMismatch,
    NoSources,
    OriginChanged,
    OriginRefused,
    OriginTruncated,
    OriginUnreachable,
)
from dragonfly.net.throttle import AHEAD_BYTES, Throttle
from dragonfly.task.digest import new_hasher
from dragonfly.task.identity import name_of
from tests.doubles.blob import FakeRegistry
from tests.doubles.responding import HeardResponder, request
from tests.doubles.swarm import result_of

BODY = random.Random(3).randbytes(HOLD_BYTES + 200_000)
SENT = 150_000
DIGEST = f"sha256:{hashlib.sha256(BODY).hexdigest()}"


class Scene:
    """An answer of which ``sent`` bytes went out already."""

    def __init__(
        self, *, sent: int = SENT, whole: bool = True, known: bool = True, named: bool = True
    ) -> None:
        self.clock = Clock()
        self.registry = FakeRegistry(body=BODY, clock=self.clock)
        self.responder = HeardResponder(request())
        self.responder.start(200, ())
        end = len(BODY) if known else None
        if whole:
            self.outlet = Outlet(self.responder, self.clock, end=end, whole=named)
        else:
            self.outlet = Outlet(self.responder, self.clock, begin=10, end=300_010, whole=False)
        self.outlet.open()
        self.outlet.write(BODY[self.outlet.begin : self.outlet.begin + sent])
        if whole:
            self.outlet.release()
        self.hasher = new_hasher("sha256")
        self.hasher.update(BODY[:sent])
        client: Any = self.registry
        self.source = Source(
            client=client,
            url="https://registry.example/v2/x",
            headers=(("Authorization", "Bearer t"),),
            name=name_of(f"https://registry.example/v2/x/blobs/{DIGEST if named else ''}"),
            length=end,
        )
        self.limit = Throttle(self.clock)
        self.rest = Continuation(
            self.source,
            self.outlet,
            Vigil(self.responder, self.clock),
            self.clock,
            hasher=self.hasher if whole and named else None,
            flows=(self.limit.flow(self),),
        )
        self.sent = sent

    def run(self) -> Deferred[None]:
        """Read on."""
        return Deferred.fromCoroutine(self.rest.run())

    def late(self, seconds: float) -> None:
        """Time passes."""
        for _ in range(round(seconds)):
            self.clock.advance(1)

    @property
    def received(self) -> bytes:
        """What the client has."""
        return bytes(self.responder.received)


def test_from_where_it_stopped() -> None:
    """With the caller's headers, without a validator, and everything goes out."""
    scene = Scene()
    result_of(scene.run())
    (asked,) = scene.registry.asked
    assert (asked.start, asked.validator) == (SENT, None)
    assert asked.headers == scene.source.headers
    assert scene.received == BODY
    assert scene.rest.read == len(BODY) - SENT


def test_a_registry_that_ignores_ranges() -> None:
    """What the client has is skipped, and not counted."""
    scene = Scene()
    scene.registry.ranges = False
    result_of(scene.run())
    assert scene.received == BODY
    assert scene.rest.read == len(BODY) - SENT


def test_wrong_bytes_never_look_complete() -> None:
    """The end is not given out."""
    scene = Scene()
    scene.registry.body = BODY[:-1] + b"?"
    with pytest.raises(DigestMismatch):
        result_of(scene.run())
    assert len(scene.received) == len(BODY) - HOLD_BYTES


def test_a_cut_is_continued_once() -> None:
    """From where that one stopped."""
    scene = Scene()
    scene.registry.cut_after = 100_000
    result_of(scene.run())
    assert [asked.start for asked in scene.registry.asked] == [SENT, SENT + 100_000]
    assert scene.received == BODY


def test_a_second_cut_is_the_end() -> None:
    """The client is to know."""
    scene = Scene()
    scene.registry.cut_after, scene.registry.cuts = 50_000, 2
    with pytest.raises(OriginTruncated):
        result_of(scene.run())
    assert scene.received == BODY[: len(scene.received)]
    assert len(scene.received) < len(BODY)


def test_unreachable_once() -> None:
    """It is asked again."""
    scene = Scene()
    scene.registry.errors = [OriginUnreachable("refused")]
    result_of(scene.run())
    assert scene.received == BODY


@pytest.mark.parametrize("error", [OriginRefused("no", 403), OriginChanged("other")])
def test_a_no_is_a_no(error: Exception) -> None:
    """Asking again would not help."""
    scene = Scene()
    scene.registry.errors = [error]
    with pytest.raises(type(error)):
        result_of(scene.run())
    assert len(scene.registry.asked) == 1


def test_another_length_now() -> None:
    """It could not fill what was announced."""
    scene = Scene()
    scene.registry.claims = len(BODY) + 1
    with pytest.raises(OriginChanged, match=str(len(BODY))):
        result_of(scene.run())


def test_another_entity_tag_means_nothing() -> None:
    """The digest says what it must be."""
    scene = Scene()
    scene.registry.etag = '"v2"'
    result_of(scene.run())
    assert scene.received == BODY


def test_unknown_length() -> None:
    """The end of the registry's body is the end; the digest decides."""
    scene = Scene(known=False)
    scene.registry.announce = False
    result_of(scene.run())
    assert scene.received == BODY
    short = Scene(known=False)
    short.registry.announce = False
    short.registry.body = BODY[:-5]
    with pytest.raises(DigestMismatch):
        result_of(short.run())


def test_more_than_was_announced() -> None:
    """A body that goes on, perhaps for ever, does not keep the client from its end."""
    scene = Scene()
    scene.registry.announce, scene.registry.silent = False, True
    scene.registry.body = BODY + bytes(100_000)
    running = scene.run()
    scene.registry.give(len(BODY) - SENT + 50_000)
    result_of(running)
    assert scene.received == BODY
    assert scene.registry.bodies[-1].stopped


def test_more_than_a_check_alone_announced() -> None:
    """Without a digest nobody else would notice that the end is missing: not complete, then."""
    scene = Scene(named=False)
    scene.registry.announce = False
    scene.registry.body = BODY + bytes(1)
    with pytest.raises(OriginChanged, match=f"more than the {len(BODY)}"):
        result_of(scene.run())
    assert len(scene.received) < len(BODY)
    assert scene.registry.doubted == [scene.source.url]
    right = Scene(named=False)
    right.registry.announce = False
    result_of(right.run())
    assert right.received == BODY
    assert right.rest.read == len(BODY) - SENT
    short = Scene(named=False)
    short.registry.announce = False
    short.registry.body = BODY[:-1]
    with pytest.raises(OriginChanged):  # nothing is left for the second try
        result_of(short.run())
    assert short.registry.doubted[-1] == short.source.url


def test_a_part_ends_where_it_ends() -> None:
    """The rest of the blob is not read, and there is no digest to check."""
    scene = Scene(whole=False)
    result_of(scene.run())
    assert scene.received == BODY[10:300_010]
    assert scene.registry.bodies[-1].stopped
    assert scene.registry.sent < len(BODY) - SENT


def test_everything_but_the_end_was_there() -> None:
    """Nothing is asked for when nothing is missing."""
    scene = Scene(sent=len(BODY))
    result_of(scene.run())
    assert scene.registry.asked == []


def test_back_pressure() -> None:
    """The registry is read as fast as the client reads."""
    scene = Scene()
    scene.responder.room = SENT + 50_000
    running = scene.run()
    assert not running.called
    assert len(scene.received) < SENT + 100_000
    scene.responder.take(1 << 30)
    result_of(running)
    assert scene.received == BODY


def test_the_rate_limit() -> None:
    """What comes this way keeps to it, too; and it waits for the client besides."""
    scene = Scene()
    scene.limit.set(20 * AHEAD_BYTES)
    running = scene.run()
    assert SENT < scene.outlet.taken <= SENT + 2 * AHEAD_BYTES
    before = scene.outlet.taken
    scene.clock.advance(0.06)
    assert scene.outlet.taken == before + AHEAD_BYTES
    assert not running.called
    scene.responder.room = len(scene.received) + 1
    scene.clock.advance(5)
    scene.responder.take(1 << 30)
    scene.limit.set(None)
    result_of(running)
    assert scene.received == BODY


def test_the_client_goes() -> None:
    """The registry's connection is closed; no timer stays."""
    scene = Scene()
    scene.registry.silent = True
    running = scene.run()
    scene.registry.give(1000)
    scene.responder.leave()
    with pytest.raises(HungUp):
        result_of(running)
    assert scene.registry.bodies[-1].stopped
    assert not scene.clock.getDelayedCalls()


def test_silence_of_the_registry() -> None:
    """It is asked once more, and then it is over."""
    scene = Scene()
    scene.registry.silent = True
    running = scene.run()
    scene.late(STALL_S + 1)
    assert len(scene.registry.asked) == 2
    scene.late(STALL_S + 1)
    with pytest.raises(OriginTruncated, match="silent"):
        result_of(running)


def test_no_answer() -> None:
    """The client has waited enough by then."""
    scene = Scene()
    never: Deferred[Any] = Deferred()

    async def get(*_: object, **__: object) -> Any:
        return await never

    scene.source.client.get = get  # type: ignore[method-assign]
    running = scene.run()
    scene.late(ANSWER_S + 1)
    with pytest.raises(NoSources, match="did not answer"):
        result_of(running)
    assert never.called
