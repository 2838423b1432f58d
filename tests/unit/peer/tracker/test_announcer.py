"""The announce loop: when it speaks, what it makes of silence, and that no news is lost."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from dragonfly.config import Node
from dragonfly.control.messages import AnnounceAnswer, AnnounceRequest
from dragonfly.errors import (
    DragonflyError,
    OriginRefused,
    TrackerError,
    TrackerUnreachable,
    TrustError,
)
from dragonfly.peer.tracker.announcer import CALM_S, KICK_GAP_S, KICK_SHARE, RETRY_S, Announcer


def answer(after: float = 10.0, *, known: bool = True) -> AnnounceAnswer:
    """What a supernode says."""
    return AnnounceAnswer(now=0.0, announce_after=after, state="ready", known=known)


class Scene:
    """A supernode that answers with what was put in ``answers`` (a Deferred: later), and the
    subject of the announces."""

    node = Node(host="node")

    def __init__(self, first_s: float = 3.0) -> None:
        self.clock = Clock()
        self.answers: list[Any] = []
        self.at: list[float] = []
        self.fresh = True
        self.heard: list[AnnounceAnswer] = []
        self.registrations: list[Any] = []
        self.announcer = Announcer(
            self,  # type: ignore[arg-type]
            self,
            self.clock,
            random.Random(1),
            first_s=first_s,
        )
        self.ended: list[Any] = []
        self.running = Deferred.fromCoroutine(self.announcer.run())
        self.running.addBoth(self.ended.append)

    # -- Supernode -------------------------------------------------------------------------

    async def announce(self, request: AnnounceRequest) -> AnnounceAnswer:
        """The next answer."""
        assert request == "report"
        self.at.append(self.clock.seconds())
        found = self.answers.pop(0) if self.answers else answer()
        if isinstance(found, Deferred):
            found = await found
        if isinstance(found, Exception):
            raise found
        assert isinstance(found, AnnounceAnswer)
        return found

    # -- Subject -----------------------------------------------------------------------------

    def news(self) -> bool:
        """As it was set."""
        return self.fresh

    def report(self) -> Any:
        """Its content is of no matter."""
        return "report"

    def answered(self, answer: AnnounceAnswer) -> None:
        """Keep."""
        self.heard.append(answer)

    async def register_again(self) -> float:
        """The next number of seconds, or error."""
        found = self.registrations.pop(0)
        if isinstance(found, Exception):
            raise found
        return float(found)

    def wait(self, seconds: float) -> None:
        """Let time pass in steps of 1/16 s, which floats add up without an error."""
        for _ in range(round(seconds * 16)):
            self.clock.advance(1 / 16)

    def end(self) -> None:
        """It ends by being cancelled, and leaves no timer."""
        self.running.cancel()
        assert isinstance(self.ended[0], Failure)
        assert self.ended[0].check(CancelledError)
        assert self.clock.getDelayedCalls() == []


@pytest.fixture
def scene() -> Iterator[Scene]:
    """An announcer that first speaks after 3 s."""
    scene = Scene()
    yield scene
    scene.end()


def test_it_announces_when_the_supernode_said(scene: Scene) -> None:
    """First after the register answer's time, then after each announce answer's."""
    scene.answers = [answer(5.0), answer(7.0)]
    scene.wait(16.0)
    assert scene.at == pytest.approx([3.0, 8.0, 15.0])
    assert len(scene.heard) == 3


def test_without_news_it_announces_thrice_as_late(scene: Scene) -> None:
    """But news are looked for as often as it was told to."""
    scene.fresh = False
    scene.answers = [answer(4.0), answer(4.0), answer(4.0)]
    scene.wait(22.0)
    assert scene.at == pytest.approx([9.0, 21.0])
    scene.fresh = True
    scene.wait(4.0)
    assert scene.at == pytest.approx([9.0, 21.0, 25.0])


def test_a_grant_does_not_end_in_silence(scene: Scene) -> None:
    """However rarely news are wanted, it announces every two minutes, or as it was told."""
    scene.fresh = False
    scene.answers = [answer(60.0), answer(150.0), answer(150.0)]
    scene.wait(9.0 + 120.0 + 150.0)
    assert scene.at == pytest.approx([9.0, 129.0, 279.0])


def test_what_is_urgent_comes_without_news(scene: Scene) -> None:
    """And what failed is tried again."""
    scene.fresh = False
    scene.answers = [TrackerUnreachable("no"), answer(4.0)]
    scene.announcer.kick()
    scene.wait(4.0)
    assert len(scene.at) == 2


def test_answers_without_a_pause_do_not_make_a_busy_loop(scene: Scene) -> None:
    """Whatever the supernode says, announces are some way apart."""
    scene.answers = [answer(0.0), answer(-1.0)]
    scene.wait(5.0)
    assert scene.at == pytest.approx([3.0, 3.0 + KICK_GAP_S, 3.0 + 2 * KICK_GAP_S])


def test_a_kick_announces_at_once(scene: Scene) -> None:
    """If the last announce was long ago; a second kick changes nothing."""
    scene.wait(1.0)
    scene.announcer.kick()
    scene.announcer.kick()
    scene.clock.advance(0)
    assert scene.at == pytest.approx([1.0])


def test_kicks_keep_their_distance(scene: Scene) -> None:
    """However urgent it is."""
    scene.answers = [answer(CALM_S)] * 9
    scene.wait(3.0)
    for _ in range(32):
        scene.announcer.kick()
        scene.wait(1 / 16)
    assert len(scene.at) == 1 + int(2.0 / KICK_GAP_S)


def test_a_kick_while_an_announce_is_out_is_not_lost(scene: Scene) -> None:
    """The content was finished after the report was made: the supernode must hear of it."""
    waiting: Deferred[Any] = Deferred()
    scene.answers = [waiting]
    scene.wait(3.0)
    scene.announcer.kick()
    scene.wait(1.0)
    waiting.callback(answer(CALM_S))
    scene.wait(1.0)
    assert scene.at == pytest.approx([3.0, 4.0 + KICK_GAP_S])
    scene.wait(9.0)
    assert len(scene.at) == 2


def test_silence_is_noted_until_there_is_an_answer(scene: Scene) -> None:
    """``lost_since`` is what the fallback looks at."""
    scene.answers = [TrackerUnreachable("no"), TrackerUnreachable("no"), answer()]
    scene.wait(3.0)
    assert scene.announcer.lost_since == pytest.approx(3.0)
    scene.wait(2.5)
    assert scene.announcer.lost_since == pytest.approx(3.0)
    scene.wait(8.0)
    assert scene.announcer.lost_since is None


@pytest.mark.parametrize("error", [TrackerError("500", 500), OriginRefused("no", 403)])
def test_a_bad_answer_is_an_answer(scene: Scene, error: DragonflyError) -> None:
    """Somebody governs."""
    scene.answers = [TrackerUnreachable("no"), error, error]
    scene.wait(3.0)
    assert scene.announcer.lost_since is not None
    scene.wait(2.5)
    assert scene.announcer.lost_since is None


def test_an_impostor_is_no_supernode(scene: Scene) -> None:
    """Nobody whom we trust answers."""
    scene.answers = [TrustError("another certificate")]
    scene.wait(3.0)
    assert scene.announcer.lost_since is not None


def test_attempts_become_rarer_but_do_not_end(scene: Scene) -> None:
    """With a random share, so that a crowd does not come back as one."""
    scene.answers = [TrackerUnreachable("no") for _ in range(12)]
    scene.wait(150.0)
    gaps = [after - before for before, after in zip(scene.at, scene.at[1:], strict=False)]
    assert gaps[0] <= 2.05
    assert max(gaps) <= RETRY_S + 0.1
    assert min(gaps[5:11]) >= RETRY_S / 2 - 0.1


def test_who_is_forgotten_registers_again(scene: Scene) -> None:
    """And goes on as that answer says."""
    scene.answers = [answer(known=False)]
    scene.registrations = [4.0]
    scene.wait(7.0)
    assert scene.at == pytest.approx([3.0, 7.0])
    assert len(scene.heard) == 1


def test_a_registration_that_fails_is_tried_again(scene: Scene) -> None:
    """The supernode may be busy."""
    scene.answers = [answer(known=False), answer(known=False)]
    scene.registrations = [TrackerUnreachable("no"), 1000.0]
    scene.wait(6.0)
    assert scene.registrations == []


def test_where_there_are_many_a_kick_waits() -> None:
    """All may end at the same moment, and each would come at once."""
    at = []
    for seed in range(20):
        scene = Scene(first_s=100.0)
        scene.announcer._rng.seed(seed)
        scene.clock.advance(60.0)
        scene.announcer.kick()
        scene.announcer.kick()
        scene.clock.pump([0.5] * 80)
        at.append(scene.at[0])
        scene.end()
    assert min(at) >= (100.0 - CALM_S) * KICK_SHARE
    assert len(set(at)) > 10


def test_kicks_of_many_are_far_apart() -> None:
    """They come sooner than they were told, but not by much."""
    scene = Scene(first_s=40.0)
    scene.clock.advance(1.0)
    scene.announcer.kick()
    scene.clock.advance((40.0 - CALM_S) * KICK_SHARE - 1.1)
    assert not scene.at
    scene.clock.advance(0.2)
    assert len(scene.at) == 1
    scene.end()
