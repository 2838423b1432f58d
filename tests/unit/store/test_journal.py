"""The journal: whose it is, what it claims, and where reading stops."""

from __future__ import annotations

import zlib

import pytest

from dragonfly.errors import JournalCorrupt
from dragonfly.store.journal import (
    HEADER_BYTES,
    RECORD_BYTES,
    encode_header,
    encode_records,
    recover,
)
from dragonfly.task.layout import MAX_PIECES

TASK = b"t" * 32
HEADER = encode_header(TASK, 7, 32768)


def test_empty() -> None:
    """A new journal claims nothing."""
    found = recover(HEADER, TASK)
    assert (found.fetch, found.piece_size) == (7, 32768)
    assert list(found.pieces) == []
    assert found.end == HEADER_BYTES == len(HEADER)


def test_records() -> None:
    """All pieces, in whatever order and however often they were recorded."""
    data = HEADER + encode_records(TASK, [5, 0]) + encode_records(TASK, [5, MAX_PIECES - 1])
    found = recover(data, TASK)
    assert list(found.pieces) == [0, 5, MAX_PIECES - 1]
    assert found.end == len(data) == HEADER_BYTES + 4 * RECORD_BYTES


def test_reading_stops_at_the_first_bad_record() -> None:
    """What stands behind a torn record was never told to anybody as recorded."""
    good = encode_records(TASK, [1])
    bad = bytearray(encode_records(TASK, [2]))
    bad[-1] ^= 1
    found = recover(HEADER + good + bytes(bad) + good, TASK)
    assert list(found.pieces) == [1]
    assert found.end == HEADER_BYTES + RECORD_BYTES


@pytest.mark.parametrize("tail", [bytes(4096), b"\xff" * 64, b"\0"], ids=["zeros", "ones", "short"])
def test_tail_of_a_power_loss(tail: bytes) -> None:
    """File systems fill what they lost with zeros; piece 0 must not come of it."""
    assert list(recover(HEADER + tail, TASK).pieces) == []


def test_records_of_another_task() -> None:
    """A block of another journal that a broken disk puts here claims nothing."""
    assert list(recover(HEADER + encode_records(b"u" * 32, [1, 2]), TASK).pieces) == []


def test_a_piece_that_cannot_be() -> None:
    """An index beyond all limits ends the reading, whatever its checksum."""
    record = encode_records(TASK, [MAX_PIECES])
    assert list(recover(HEADER + record + encode_records(TASK, [1]), TASK).pieces) == []


@pytest.mark.parametrize("size", [0, 1, HEADER_BYTES - 1])
def test_cut_header(size: int) -> None:
    """Without a header nobody knows what the records mean; both sizes are named."""
    with pytest.raises(JournalCorrupt, match=f"{size} bytes, its header has {HEADER_BYTES}"):
        recover(HEADER[:size], TASK)


@pytest.mark.parametrize("at", range(HEADER_BYTES))
def test_any_changed_byte_of_the_header(at: int) -> None:
    """A header is right in every byte or it is none."""
    data = bytearray(HEADER)
    data[at] ^= 0x20
    with pytest.raises(JournalCorrupt):
        recover(bytes(data), TASK)


def test_journal_of_another_task() -> None:
    """A directory that was renamed by hand is told by both ids."""
    with pytest.raises(JournalCorrupt, match=f"{TASK.hex()}, not of {(b'u' * 32).hex()}"):
        recover(HEADER, b"u" * 32)


def test_another_version() -> None:
    """A later program's journal is not read, though its checksum is right."""
    body = HEADER[:6] + b"\x02" + HEADER[7:-4]
    with pytest.raises(JournalCorrupt, match="not a journal of this version"):
        recover(body + zlib.crc32(body).to_bytes(4, "big"), TASK)
