"""The journal of finished pieces: a claim that survives being cut anywhere.

A header says what it is the journal of; records of eight bytes follow, each a piece and a
checksum salted with the task. Reading stops at the first record that is short or wrong, so
a torn tail costs what was in it and nothing before it. Pieces named here are hashed again
before anybody believes it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable

import attrs

from dragonfly.errors import JournalCorrupt
from dragonfly.task.bitfield import Bitfield
from dragonfly.task.layout import MAX_PIECES

__all__ = [
    "HEADER_BYTES",
    "RECORD_BYTES",
    "Recovered",
    "encode_header",
    "encode_records",
    "recover",
]

_MAGIC = b"DFJRNL\x01"
_HEADER = struct.Struct(">7s32sQI")
_CRC = struct.Struct(">I")
_RECORD = struct.Struct(">II")

HEADER_BYTES = _HEADER.size + _CRC.size
RECORD_BYTES = _RECORD.size


def encode_header(task: bytes, fetch: int, piece_size: int) -> bytes:
    """Give the header of a task's journal."""
    body = _HEADER.pack(_MAGIC, task, fetch, piece_size)
    return body + _CRC.pack(zlib.crc32(body))


def encode_records(task: bytes, pieces: Iterable[int]) -> bytes:
    """Give the records of some pieces."""
    salt = zlib.crc32(task)
    return b"".join(
        _RECORD.pack(piece, zlib.crc32(piece.to_bytes(4, "big"), salt)) for piece in pieces
    )


@attrs.frozen
class Recovered:
    """What a journal says; ``end`` is where its last good record ends."""

    fetch: int
    piece_size: int
    pieces: Bitfield
    end: int


def recover(data: bytes, task: bytes) -> Recovered:
    """Read a journal. Whatever a torn tail loses is not there.

    :raises JournalCorrupt: the header is not that of this task's journal.
    """
    if len(data) < HEADER_BYTES:
        raise JournalCorrupt(f"a journal of {len(data)} bytes, its header has {HEADER_BYTES}")
    magic, owner, fetch, piece_size = _HEADER.unpack_from(data)
    (checksum,) = _CRC.unpack_from(data, _HEADER.size)
    if magic != _MAGIC or checksum != zlib.crc32(data[: _HEADER.size]):
        raise JournalCorrupt("not a journal of this version")
    if owner != task:
        raise JournalCorrupt(f"the journal of task {owner.hex()}, not of {task.hex()}")
    salt = zlib.crc32(task)
    pieces = []
    whole = (len(data) - HEADER_BYTES) // RECORD_BYTES * RECORD_BYTES
    for piece, check in _RECORD.iter_unpack(data[HEADER_BYTES : HEADER_BYTES + whole]):
        if piece >= MAX_PIECES or check != zlib.crc32(piece.to_bytes(4, "big"), salt):
            break
        pieces.append(piece)
    found = Bitfield()
    found.update(pieces)
    return Recovered(fetch, piece_size, found, HEADER_BYTES + RECORD_BYTES * len(pieces))
