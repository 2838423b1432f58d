"""The journal survives being cut anywhere, and any garbage at its end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragonfly.errors import JournalCorrupt
from dragonfly.store.journal import (
    HEADER_BYTES,
    RECORD_BYTES,
    encode_header,
    encode_records,
    recover,
)
from dragonfly.store.runfile import split_runs

tasks = st.binary(min_size=32, max_size=32)
# Small, for a set with a piece of two million is a quarter of a megabyte.
pieces = st.integers(0, 5000)


def journal(task: bytes, recorded: list[int]) -> bytes:
    """A journal as it is written: a header, then records."""
    return encode_header(task, 9, 65536) + encode_records(task, recorded)


@given(tasks, st.lists(pieces, max_size=12))
def test_cut_at_every_byte(task: bytes, recorded: list[int]) -> None:
    """Every cut behind the header gives exactly the records that are whole."""
    data = journal(task, recorded)
    for cut in range(len(data) + 1):
        if cut < HEADER_BYTES:
            with pytest.raises(JournalCorrupt):
                recover(data[:cut], task)
            continue
        whole = (cut - HEADER_BYTES) // RECORD_BYTES
        found = recover(data[:cut], task)
        assert set(found.pieces) == set(recorded[:whole])
        assert found.end == HEADER_BYTES + whole * RECORD_BYTES


@given(tasks, st.lists(pieces, max_size=30), st.integers(0, 300), st.binary(max_size=100))
def test_garbage_behind_a_cut(task: bytes, recorded: list[int], cut: int, tail: bytes) -> None:
    """Whatever follows a cut, nothing whole before it is lost."""
    data = journal(task, recorded)
    kept = data[: max(HEADER_BYTES, len(data) - cut)]
    found = recover(kept + tail, task)
    whole = (len(kept) - HEADER_BYTES) // RECORD_BYTES
    assert set(found.pieces) >= set(recorded[:whole])
    assert found.end >= HEADER_BYTES + whole * RECORD_BYTES


@given(tasks, st.lists(pieces, max_size=30), st.integers(1, 5000))
def test_zeros_claim_nothing(task: bytes, recorded: list[int], zeros: int) -> None:
    """A tail of zeros, which is what file systems leave, adds no piece."""
    data = journal(task, recorded)
    assert set(recover(data + bytes(zeros), task).pieces) == set(recorded)


@given(tasks, st.lists(pieces, min_size=1, max_size=30), st.data())
def test_one_wrong_byte(task: bytes, recorded: list[int], data: st.DataObject) -> None:
    """A changed byte costs its record and what follows; it never adds a piece."""
    raw = bytearray(journal(task, recorded))
    at = data.draw(st.integers(HEADER_BYTES, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    good = recorded[: (at - HEADER_BYTES) // RECORD_BYTES]
    assert set(recover(bytes(raw), task).pieces) == set(good)


@given(tasks, st.lists(pieces, max_size=20), st.lists(pieces, max_size=20), st.binary(max_size=7))
def test_going_on_behind_the_end(
    task: bytes, before: list[int], after: list[int], torn: bytes
) -> None:
    """Records written at the recovered end read back with those before it."""
    data = journal(task, before) + torn
    found = recover(data, task)
    again = recover(data[: found.end] + encode_records(task, after), task)
    assert set(again.pieces) == set(before) | set(after)


@given(tasks, tasks, st.lists(pieces, max_size=20))
def test_whose_it_is(task: bytes, other: bytes, recorded: list[int]) -> None:
    """It is read for its own task only."""
    if other == task:
        return
    with pytest.raises(JournalCorrupt):
        recover(journal(task, recorded), other)


@given(tasks, st.binary(max_size=200))
def test_anything_at_all(task: bytes, data: bytes) -> None:
    """Random bytes are no journal, and no crash."""
    with pytest.raises(JournalCorrupt):
        recover(data, task)


@given(st.lists(st.binary(max_size=60), max_size=6), st.binary(max_size=20))
def test_runs_cut_at_every_byte(runs: list[bytes], tail: bytes) -> None:
    """The manifest file is read the same way: whole runs, then nothing."""
    framed = [len(run).to_bytes(4, "big") + run for run in runs]
    data = b"".join(framed)
    ends = [sum(map(len, framed[:count])) for count in range(len(framed) + 1)]
    for cut in range(len(data) + 1):
        whole = max(count for count, end in enumerate(ends) if end <= cut)
        assert split_runs(data[:cut]) == (runs[:whole], ends[whole])
    found, end = split_runs(data + tail)
    assert found[: len(runs)] == runs
    assert end >= len(data)
