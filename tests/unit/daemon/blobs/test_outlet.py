"""The way out: in order, with back-pressure, the end held back."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from dragonfly.daemon.blobs.outlet import HOLD_BYTES, Outlet
from tests.doubles.front import Writer
from tests.doubles.responding import HeardResponder, request

SLICE = 64 * 1024


class Scene:
    """An outlet that is open."""

    def __init__(self, *, begin: int = 0, end: int | None = None, whole: bool = True) -> None:
        self.clock = Clock()
        self.responder = HeardResponder(request())
        self.responder.start(200, ())
        self.outlet = Outlet(self.responder, self.clock, begin=begin, end=end, whole=whole)
        self.outlet.open()

    def write(self, count: int) -> None:
        """So many bytes in slices."""
        for at in range(0, count, SLICE):
            self.outlet.write(b"x" * min(SLICE, count - at))


def test_the_end_of_a_whole_is_held_back() -> None:
    """Exactly so much, however slices fall; then it is released."""
    size = 3 * HOLD_BYTES + 1000
    scene = Scene(end=size)
    scene.write(size)
    assert scene.responder.sent == size - HOLD_BYTES
    assert (scene.outlet.taken, scene.outlet.position) == (size, size - HOLD_BYTES)
    scene.outlet.release()
    assert scene.responder.sent == scene.outlet.sent == size


def test_a_small_whole_waits_altogether() -> None:
    """Not one byte is out before it is known to be right."""
    scene = Scene(end=1000)
    scene.write(1000)
    assert scene.responder.sent == 0
    scene.outlet.release()
    assert scene.responder.sent == 1000


def test_a_whole_of_unknown_length() -> None:
    """The last bytes that came are kept, wherever the end will be."""
    scene = Scene()
    scene.write(HOLD_BYTES)
    assert scene.responder.sent == 0
    scene.write(1000)
    assert scene.responder.sent == 1000
    scene.outlet.release()
    assert scene.responder.sent == HOLD_BYTES + 1000


def test_a_part_goes_out_at_once() -> None:
    """It cannot be checked here, so nothing is gained by waiting."""
    scene = Scene(begin=500, end=1500, whole=False)
    scene.write(1000)
    assert scene.responder.sent == 1000
    assert scene.outlet.position == 1500


def test_what_is_dropped_is_brought_again() -> None:
    """The position goes back to what the client has."""
    size = HOLD_BYTES + 10
    scene = Scene(end=size)
    scene.write(size)
    scene.outlet.drop()
    assert scene.outlet.taken == scene.outlet.position == 10
    scene.write(HOLD_BYTES)
    scene.outlet.release()
    assert scene.responder.sent == size


def test_the_order_is_kept() -> None:
    """Splitting a slice at the edge of what is held mixes nothing."""
    body = bytes(range(256)) * 2048
    scene = Scene(end=len(body))
    for at in range(0, len(body), 100_003):
        scene.outlet.write(body[at : at + 100_003])
    scene.outlet.release()
    assert scene.responder.received == body


def test_back_pressure_reaches_each_source() -> None:
    """The one that is there, and the one that comes while the client does not read."""
    scene, one, two = Scene(), Writer(), Writer()
    scene.outlet.registerProducer(one, True)
    scene.responder.producer.pauseProducing()
    scene.outlet.unregisterProducer()
    scene.outlet.registerProducer(two, True)
    scene.responder.producer.resumeProducing()
    assert one.told == ["pause"]
    assert two.told == ["pause", "resume"]
    with pytest.raises(ValueError, match="push"):
        scene.outlet.registerProducer(two, False)


def test_waiting_is_counted_while_the_client_reads() -> None:
    """From the head, the last byte, or the moment it reads again."""
    scene = Scene(end=10)
    scene.clock.advance(3)
    assert scene.outlet.waited_s() == 3
    scene.write(1)
    assert scene.outlet.waited_s() == 0
    scene.responder.producer.pauseProducing()
    scene.clock.advance(100)
    assert scene.outlet.waited_s() == 0
    scene.responder.producer.resumeProducing()
    scene.clock.advance(2)
    assert scene.outlet.waited_s() == 2
