"""What comes of one piece is gathered, and costs little more memory than its bytes."""

from __future__ import annotations

import random

from dragonfly.peer.content.assembly import JOINED_BYTES, SMALL_BYTES, Assembly

MIB = 1024 * 1024
DATA = random.Random(1).randbytes(MIB)


def _assembly() -> Assembly:
    return Assembly(piece=3, offset=3 * MIB, length=MIB)


def _kept(assembly: Assembly) -> int:
    """Bytes that it keeps alive."""
    wholes = [each.obj if isinstance(each, memoryview) else each for each in assembly.chunks]
    return sum(len(whole) for whole in {id(each): each for each in wholes}.values())


def test_small_parts_of_large_reads_do_not_keep_the_reads() -> None:
    """A neighbour that dribbles between other messages must not cost sixty times its bytes."""
    assembly, step = _assembly(), 10_000
    for at in range(0, MIB, step):
        part = DATA[at : at + step]
        read = bytes(1000) + part + bytes(64 * 1024 - 1000 - len(part))
        assembly.put(memoryview(read)[1000 : 1000 + len(part)])
        assert _kept(assembly) <= 2 * (at + len(part))
    assert b"".join(assembly.take()) == DATA


def test_slices_of_a_few_bytes_are_joined() -> None:
    """An object for each of them would weigh more than they."""
    assembly = _assembly()
    for at in range(0, 30_000, 100):
        assembly.put(DATA[at : at + 100])
    assert len(assembly.chunks) == 1
    assert b"".join(assembly.take()) == DATA[:30_000]


def test_joining_does_not_make_one_huge_buffer() -> None:
    """A buffer that grows is moved; so it stops growing."""
    assembly = _assembly()
    for at in range(0, MIB, SMALL_BYTES - 1):
        assembly.put(DATA[at : at + SMALL_BYTES - 1])
    assert max(map(len, assembly.chunks)) < JOINED_BYTES + SMALL_BYTES
    assert b"".join(assembly.take()) == DATA


def test_slices_that_fill_their_reads_are_not_copied() -> None:
    """That is the way of all bulk."""
    assembly = _assembly()
    view = memoryview(DATA[: MIB // 2])
    assembly.put(view)
    assert assembly.chunks[0] is view


def test_what_was_taken_is_no_longer_buffered() -> None:
    """But it was received."""
    assembly = _assembly()
    assembly.put(DATA[: MIB // 4])
    assert (assembly.received, assembly.buffered) == (MIB // 4, MIB // 4)
    assert assembly.take() == [DATA[: MIB // 4]]
    assert (assembly.received, assembly.buffered) == (MIB // 4, 0)
    assert assembly.take() == []
