"""Between an origin's connection and the disk: bounded, in order, and no error lost."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from dragonfly.errors import DiskFull, OriginChanged, OriginTruncated
from dragonfly.net.disk import DiskPool
from dragonfly.net.throttle import AHEAD_BYTES, Throttle
from dragonfly.supernode.pump import GATHER_BYTES, Pump
from tests.doubles.reader import ScriptedReader
from tests.doubles.threads import HandThreads

BODY = bytes(range(256)) * 4096


class Lab:
    """A pump with a disk that works when it is told to."""

    def __init__(
        self,
        *,
        body: bytes = BODY,
        rate: int | None = None,
        expected: int | None = None,
        announce: bool = True,
        cut_after: int | None = None,
    ) -> None:
        self.clock = Clock()
        self.throttle = Throttle(self.clock, rate)
        self.threads = HandThreads()
        self.disk = DiskPool(self.threads, threads=self.threads)
        self.reader = ScriptedReader(
            body=body, clock=self.clock, silent=True, announce=announce, cut_after=cut_after
        )
        self.jobs: list[int] = []
        self.digests: list[bytes] = []
        self.counted = 0
        self.written = bytearray()
        self.broken: Exception | None = None
        self.result: list[Failure | None] = []
        self.pump = Pump(
            self.absorb,
            self.digests.extend,
            key=b"k",
            disk=self.disk,
            clock=self.clock,
            stall_s=30.0,
            on_bytes=self.count,
            expected=expected,
            flows=(self.throttle.flow(self),),
        )
        self.running = Deferred.fromCoroutine(self._run())
        self.running.addBoth(self.result.append)

    async def _run(self) -> None:
        await self.pump.run(await self.reader.get("http://origin.example/f", ()))

    def absorb(self, chunks: Sequence[bytes]) -> list[bytes]:
        """Write, or refuse."""
        if self.broken is not None:
            raise self.broken
        data = b"".join(chunks)
        self.jobs.append(len(data))
        self.written += data
        return [data[:1]]

    def count(self, number: int) -> None:
        """Count what came."""
        self.counted += number

    def error(self) -> Exception:
        """What it ended with."""
        (failure,) = self.result
        assert isinstance(failure, Failure)
        assert isinstance(failure.value, Exception)
        return failure.value


def test_what_comes_meanwhile_is_gathered() -> None:
    """A fast origin gets large jobs; everything is there before the end is told."""
    lab = Lab()
    lab.reader.give(1000)
    lab.reader.give(len(BODY))
    assert lab.result == []
    lab.threads.run()
    assert lab.result == [None]
    assert lab.jobs == [1000, len(BODY) - 1000]
    assert (lab.written, lab.counted) == (BODY, len(BODY))


def test_a_slow_origin_is_written_at_once() -> None:
    """With an idle disk no chunk waits for another."""
    lab = Lab()
    for _ in range(3):
        lab.reader.give(100)
        lab.threads.run()
    assert lab.jobs == [100, 100, 100]
    lab.running.cancel()
    assert isinstance(lab.error(), CancelledError)


def test_a_slow_disk_pauses_the_origin() -> None:
    """The gathered bytes are bounded, and the origin goes on when they are written."""
    lab = Lab(body=bytes(3 * GATHER_BYTES))
    lab.reader.give(GATHER_BYTES)
    assert not lab.reader.bodies[0].paused
    lab.reader.give(64 * 1024)
    assert lab.reader.bodies[0].paused
    lab.threads.run()
    assert not lab.reader.bodies[0].paused
    lab.running.cancel()


def test_rate() -> None:
    """A rate pauses the origin until the bytes were earned."""
    lab = Lab(rate=20 * AHEAD_BYTES)
    lab.reader.give(AHEAD_BYTES // 2)  # it is paid already
    lab.threads.run()
    assert not lab.reader.bodies[0].paused
    lab.reader.give(AHEAD_BYTES)
    assert lab.reader.bodies[0].paused
    lab.clock.advance(0.07)
    assert lab.reader.bodies[0].paused
    lab.clock.advance(0.01)
    assert not lab.reader.bodies[0].paused
    lab.running.cancel()
    assert lab.clock.getDelayedCalls() == []


def test_what_came_before_a_cut_is_written() -> None:
    """The cut is told when the disk has everything that came."""
    lab = Lab(cut_after=5000)
    lab.reader.give(5000)
    assert lab.result == []
    lab.threads.run()
    assert isinstance(lab.error(), OriginTruncated)
    assert lab.written == BODY[:5000]


def test_the_disks_error_wins() -> None:
    """Bytes that came and could not be written must not pass for a mere cut."""
    lab = Lab(cut_after=5000)
    lab.broken = DiskFull("/x is full")
    lab.reader.give(5000)
    lab.threads.run()
    assert lab.error() is lab.broken


def test_the_disks_error_stops_the_origin() -> None:
    """The connection is closed at once, and what waited is not written."""
    lab = Lab()
    lab.broken = DiskFull("/x is full")
    lab.reader.give(5000)
    lab.reader.give(5000)
    lab.threads.run()
    assert lab.error() is lab.broken
    assert lab.reader.bodies[0].stopped
    assert lab.clock.getDelayedCalls() == []


def test_a_wrong_digest_stops_the_origin() -> None:
    """Whoever takes the digests can end the transfer."""
    lab = Lab()

    def refuse(_digests: Sequence[bytes]) -> None:
        raise OriginChanged("piece 0 is not what it was")

    lab.pump._on_digests = refuse
    lab.reader.give(5000)
    lab.threads.run()
    assert isinstance(lab.error(), OriginChanged)
    assert lab.reader.bodies[0].stopped


@pytest.mark.parametrize("expected", [len(BODY) - 1, len(BODY) + 1])
def test_expected_by_somebody_else(expected: int) -> None:
    """Where the transfer tells no length, the one that is known all the same counts."""
    lab = Lab(announce=False, expected=expected)
    lab.reader.give(len(BODY))
    lab.threads.run()
    assert isinstance(lab.error(), OriginTruncated)
    assert str(expected) in str(lab.error())


def test_cancelled_while_the_disk_works() -> None:
    """The connection is closed at once; the job that has begun is waited for."""
    lab = Lab()
    lab.reader.give(5000)
    lab.running.cancel()
    assert lab.reader.bodies[0].stopped
    assert lab.result == []
    lab.threads.run()
    assert isinstance(lab.error(), CancelledError)
    assert lab.clock.getDelayedCalls() == []
