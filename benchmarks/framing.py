"""How fast bytes become slices: the frame reader alone, and two sessions face to face.

``python benchmarks/framing.py`` prints MiB/s for reads of 64 and 256 KiB. No socket, no
disk, no hashing: what is left is the cost of the protocol itself.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable

from dragonfly.wire.codec import encode
from dragonfly.wire.constants import SLICE_BYTES
from dragonfly.wire.events import SliceReceived
from dragonfly.wire.fake import SessionPair
from dragonfly.wire.framing import FrameReader
from dragonfly.wire.messages import Data

READS = (64 * 1024, 256 * 1024)
TOTAL_BYTES = 2 * 1024**3
PIECE_BYTES = 4 * 1024**2
MIB = 1024**2


def reads_of(stream: bytes, size: int) -> list[bytes]:
    """Cut ``stream`` as a socket would."""
    return [stream[at : at + size] for at in range(0, len(stream), size)]


def frame_reader(size: int) -> float:
    """Feed DATA frames of 256 KiB to a reader; give MiB/s."""
    frames = 64
    stream = (encode(Data(0, 0, SLICE_BYTES)) + bytes(SLICE_BYTES)) * frames
    reads = reads_of(stream, size)
    reader, seen = FrameReader(), 0
    begin = time.perf_counter()
    for _ in range(TOTAL_BYTES // (frames * SLICE_BYTES)):
        for read in reads:
            for item in reader.feed(read):
                if isinstance(item, memoryview):
                    seen += len(item)
    return seen / MIB / (time.perf_counter() - begin)


def session_pair(size: int) -> float:
    """Ask for pieces of 4 MiB, send them as slices, read them; give MiB/s.

    Cutting the stream into reads is not timed: a socket does that by itself.
    """
    pair = SessionPair.opened(piece_size=PIECE_BYTES)
    one, two = pair.dialler, pair.listener
    payload = bytes(SLICE_BYTES)
    seen, spent = 0, 0.0
    for piece in range(TOTAL_BYTES // PIECE_BYTES):
        begin = time.perf_counter()
        one.request(piece, 0, PIECE_BYTES)
        two.receive(b"".join(one.take_output()), 0.0)
        for at in range(0, PIECE_BYTES, SLICE_BYTES):
            two.send_data(piece, at, payload)
        chunks = two.take_output()
        spent += time.perf_counter() - begin
        reads = reads_of(b"".join(chunks), size)
        begin = time.perf_counter()
        for read in reads:
            for event in one.receive(read, 0.0):
                if isinstance(event, SliceReceived):
                    seen += len(event.data)
        spent += time.perf_counter() - begin
    return seen / MIB / spent


def best(run: Callable[[int], float], size: int, times: int = 3) -> float:
    """Give the best of several runs: the rest is noise of the machine."""
    return max(run(size) for _ in range(times))


def main() -> None:
    """Print the table."""
    print(f"Python {platform.python_version()}, {platform.machine()}, best of 3")
    print(f"{'':14}{'64 KiB reads':>14}{'256 KiB reads':>15}   MiB/s")
    for name, run in (("frame reader", frame_reader), ("session pair", session_pair)):
        figures = [best(run, size) for size in READS]
        print(f"{name:14}{figures[0]:14,.0f}{figures[1]:15,.0f}")


if __name__ == "__main__":
    main()
