"""Small parts that nobody in the swarm has: the registry gives them, soon and in turns."""

from __future__ import annotations

import math
import random

import pytest

from dragonfly.daemon.blobs.detours import (
    AT_ONCE,
    SEARCH_S,
    SEARCHES_MAX,
    SMALL_BYTES,
    SMALL_S,
    TURN_S,
)
from dragonfly.daemon.blobs.hearing import PART_S
from dragonfly.daemon.log.accesslog import reason_of
from dragonfly.errors import NoSources
from dragonfly.peer.download.ways import Reason
from tests.doubles.blob import Asked, BlobScene

BODY = random.Random(7).randbytes(SMALL_BYTES + 1_000_000)
LENGTH = 50_000
FAR = 1_000_000


@pytest.fixture
def scene() -> BlobScene:
    """A blob that the swarm has not yet."""
    return BlobScene(BODY)


def ask(scene: BlobScene, begin: int = FAR, length: int = LENGTH) -> Asked:
    """A part of it."""
    return scene.ask((b"Range", b"bytes=%d-%d" % (begin, begin + length - 1)))


def cold(scene: BlobScene, begin: int = FAR, length: int = LENGTH) -> Asked:
    """A part that is nowhere, and will not be."""
    asked = ask(scene, begin, length)
    scene.download.due = math.inf
    scene.download.know()
    return asked


def is_part(asked: Asked, begin: int = FAR, length: int = LENGTH) -> bool:
    """Whether the client has it, and knows so."""
    return asked.received == BODY[begin : begin + length] and asked.responder.ending == "finished"


# -- waiting ---------------------------------------------------------------------------


def test_the_first_waits_a_moment(scene: BlobScene) -> None:
    """It could come."""
    asked = ask(scene)
    scene.download.due = None
    scene.download.know()
    scene.wait(SMALL_S - 0.25)
    assert asked.received == b""
    scene.wait(0.25)
    assert is_part(asked)
    assert asked.note.sources["registry"] == LENGTH
    assert reason_of(asked.note.why) == "cold"
    assert [(each.start, each.end) for each in scene.registry.asked] == [(FAR, FAR + LENGTH)]


def test_the_next_do_not_wait(scene: BlobScene) -> None:
    """What is asked for, and no more, comes from the registry."""
    for place in range(10):
        asked = cold(scene, FAR + place * LENGTH)
        assert is_part(asked, FAR + place * LENGTH)
        assert asked.note.route == "swarm"
    assert scene.clock.seconds() == 0
    assert scene.registry.sent == 10 * LENGTH
    assert all(download.cancelled for download in scene.downloads)
    assert scene.clock.getDelayedCalls() == []


def test_from_the_first_byte_on(scene: BlobScene) -> None:
    """Not another rule."""
    assert is_part(cold(scene, 0), 0)


@pytest.mark.parametrize("due_s", [0.0, SMALL_S])
def test_what_is_to_be_had_comes_from_the_swarm(scene: BlobScene, due_s: float) -> None:
    """Now, or soon."""
    asked = ask(scene)
    scene.download.due = due_s
    scene.download.know()
    scene.wait(SMALL_S - 0.25)
    scene.download.come(len(BODY))
    assert is_part(asked)
    assert scene.registry.asked == []


def test_what_somebody_has_may_take_a_while(scene: BlobScene) -> None:
    """It is on its way; but the client has limits."""
    asked = ask(scene)
    scene.download.know()
    scene.wait(PART_S - 0.25)
    assert scene.registry.asked == []
    scene.wait(1)
    assert is_part(asked)


def test_what_was_to_come_soon_and_did_not(scene: BlobScene) -> None:
    """The estimate was wrong."""
    asked = ask(scene)
    scene.download.due = 0.1
    scene.download.know()
    scene.wait(SMALL_S)
    assert is_part(asked)


def test_the_front_of_a_part(scene: BlobScene) -> None:
    """The swarm has it, and the rest not yet."""
    asked = ask(scene)
    scene.download.due = None
    scene.download.know()
    scene.wait(0.25)
    scene.download.come(FAR + 1000)
    assert asked.received == BODY[FAR : FAR + 1000]
    scene.wait(SMALL_S + 0.25)
    assert is_part(asked)
    assert asked.note.sources == {
        "cache": 0,
        "peers": 0,
        "cdn": 1000,
        "registry": LENGTH - 1000,
    }


@pytest.mark.parametrize("header", [b"bytes=0-", b"bytes=0-%d" % SMALL_BYTES])
def test_pulls_keep_waiting(scene: BlobScene, header: bytes) -> None:
    """A whole, and a long part: a swarm that is only starting must not send all to the origin."""
    scene.ask((b"Range", header))
    scene.download.due = math.inf
    scene.download.know()
    scene.wait(PART_S - 0.5)
    assert scene.registry.asked == []
    scene.download.come(len(BODY))
    scene.download.finish()
    assert scene.registry.asked == []


def test_a_long_part_from_the_first_byte_on(scene: BlobScene) -> None:
    """Waits no longer than other parts."""
    asked = cold(scene, 0, SMALL_BYTES + 1)
    scene.wait(PART_S + 0.5)
    assert is_part(asked, 0, SMALL_BYTES + 1)


def test_several_parts(scene: BlobScene) -> None:
    """Each from whoever has it."""
    asked = scene.ask((b"Range", b"bytes=1000000-1000009, 10-19"))
    scene.download.due = math.inf
    scene.download.come(1000)
    scene.download.know()
    assert asked.responder.ending == "finished"
    assert BODY[1_000_000:1_000_010] in asked.received
    assert BODY[10:20] in asked.received
    assert [each.start for each in scene.registry.asked] == [1_000_000]
    assert asked.note.sources["cdn"] == 10


# -- turns -----------------------------------------------------------------------------


def test_taking_turns(scene: BlobScene) -> None:
    """So many at once; the next when one is over, whichever way."""
    scene.registry.silent = True
    asked = [cold(scene, place * LENGTH) for place in range(AT_ONCE + 2)]
    assert len(scene.registry.asked) == AT_ONCE
    asked[0].responder.leave()
    assert len(scene.registry.asked) == AT_ONCE + 1
    scene.registry.bodies[1].give(LENGTH)
    assert is_part(asked[1], LENGTH)
    assert len(scene.registry.asked) == AT_ONCE + 2
    for body in scene.registry.bodies[2:]:
        body.give(LENGTH)
    assert all(is_part(each, place * LENGTH) for place, each in enumerate(asked) if place)
    assert scene.clock.getDelayedCalls() == []


def test_a_client_that_hangs_up_in_the_queue(scene: BlobScene) -> None:
    """Its turn does not come."""
    scene.registry.silent = True
    asked = [cold(scene, place * LENGTH) for place in range(AT_ONCE + 1)]
    asked[-1].responder.leave()
    assert asked[-1].note.ending == "gone"
    scene.registry.bodies[0].give(LENGTH)
    assert len(scene.registry.asked) == AT_ONCE


def test_a_turn_that_does_not_come(scene: BlobScene) -> None:
    """No client gives up for the sake of order."""
    scene.registry.silent = True
    asked = [cold(scene, place * LENGTH) for place in range(AT_ONCE + 1)]
    scene.wait(TURN_S - 0.5)
    assert len(scene.registry.asked) == AT_ONCE
    scene.wait(0.5)
    assert len(scene.registry.asked) == AT_ONCE + 1
    scene.registry.bodies[-1].give(LENGTH)
    assert is_part(asked[-1], AT_ONCE * LENGTH)
    for each in asked:
        each.responder.leave()


def test_a_registry_that_fails(scene: BlobScene) -> None:
    """It is asked straight on, the turn given on."""
    for _ in range(AT_ONCE + 1):
        scene.registry.errors = [NoSources("no")]
        asked = cold(scene)
        assert scene.straight[-1:] == [asked.responder]
    assert is_part(cold(scene))


# -- while nothing is known ----------------------------------------------------------------


def unheard(scene: BlobScene) -> Asked:
    """A part of a content of which the swarm said nothing in time."""
    asked = ask(scene)
    scene.wait(SMALL_S)
    assert is_part(asked)
    return asked


def test_looking_goes_on(scene: BlobScene) -> None:
    """The reader is gone, the registration is not; those who come meanwhile do not wait."""
    unheard(scene)
    first = scene.download
    assert not first.cancelled
    asked = ask(scene)
    assert is_part(asked)
    assert scene.download.cancelled
    first.know()
    scene.clock.advance(0)
    assert first.cancelled
    assert scene.clock.getDelayedCalls() == []
    asked = ask(scene)
    scene.download.finish()
    assert is_part(asked)
    assert len(scene.registry.asked) == 2


def test_looking_ends(scene: BlobScene) -> None:
    """Nobody answers: the swarm is not asked for a while."""
    unheard(scene)
    scene.wait(SEARCH_S)
    assert scene.download.cancelled
    assert scene.clock.getDelayedCalls() == []
    asked = ask(scene)
    assert len(scene.downloads) == 1
    assert "no supernode answered" in asked.note.why


def test_looking_fails(scene: BlobScene) -> None:
    """It is over; the next reader hears why by himself."""
    unheard(scene)
    scene.download.fail(NoSources("nobody has it"))
    assert scene.download.cancelled
    assert scene.clock.getDelayedCalls() == []
    ask(scene)
    assert len(scene.downloads) == 2


def test_looking_finds_no_supernode(scene: BlobScene) -> None:
    """As for any other reader: the swarm is not asked for a while."""
    unheard(scene)
    scene.download.reason = Reason.NO_SUPERNODE
    scene.download.fail(NoSources("no supernode answers"))
    assert is_part(ask(scene))
    assert len(scene.downloads) == 1


def test_looking_is_given_up_by_the_peer(scene: BlobScene) -> None:
    """It stops: no timer stays."""
    unheard(scene)
    scene.download.cancel()
    assert scene.clock.getDelayedCalls() == []


def test_looking_for_many(scene: BlobScene) -> None:
    """It is bounded."""
    for place in range(SEARCHES_MAX + 1):
        target = b"/v2/lib/image/blobs/sha256:%064x" % place
        scene.ask((b"Range", b"bytes=5-6"), target=target)
    scene.wait(SMALL_S)
    assert sum(not download.cancelled for download in scene.downloads) == SEARCHES_MAX
