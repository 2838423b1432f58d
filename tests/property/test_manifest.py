"""Manifests never contradict: whatever runs come, in whatever order and form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragonfly.errors import BadRun
from dragonfly.signatures import KeyRing, SigningKey
from dragonfly.task.digest import piece_digest
from dragonfly.task.layout import PIECE_MIN, Layout
from dragonfly.task.manifest import Manifest, Run, parse_run, sign_run

KEY = SigningKey.from_bytes(bytes(range(32)))
RING = KeyRing([KEY.public])
TASK = b"t" * 32
SIZE = PIECE_MIN


def digest(piece: int, variant: int = 0) -> bytes:
    """The digest of a piece, or one that contradicts it."""
    return piece_digest(b"%d %d" % (piece, variant))


def run(first: int, count: int, length: int | None, variant: int = 0) -> Run:
    """A run of one content."""
    found = tuple(digest(piece, variant) for piece in range(first, first + count))
    return Run(task=TASK, fetch=1, piece_size=SIZE, first=first, digests=found, length=length)


@st.composite
def honest_runs(draw: st.DrawFn) -> tuple[int, list[Run]]:
    """All that a supernode may sign of one content, and its length."""
    length = draw(st.integers(0, 12 * SIZE))
    count = Layout(SIZE, length).piece_count
    assert count is not None
    full = length // SIZE
    runs = [run(count, 0, length)]
    for _ in range(draw(st.integers(0, 8))):
        known = draw(st.booleans())
        most = count if known else full
        first = draw(st.integers(0, most))
        number = draw(st.integers(0, most - first))
        if number:
            runs.append(run(first, number, length if known else None))
    return length, draw(st.permutations(runs))


@given(honest_runs())
def test_honest_runs_agree(content: tuple[int, list[Run]]) -> None:
    """In any order: all are taken, each digest is new once, and what is known is right."""
    length, runs = content
    manifest = Manifest(TASK, 1, SIZE)
    new: list[int] = []
    for each in runs:
        new += manifest.add(sign_run(each, KEY), each)
    known = {piece for each in runs for piece in range(each.first, each.end)}
    assert sorted(new) == sorted(known) == list(manifest.known)
    assert all(manifest.digest(piece) == digest(piece) for piece in known)
    assert manifest.length == length
    assert manifest.complete == (len(known) == manifest.piece_count)


@given(honest_runs(), st.integers(0, 13))
def test_what_is_passed_on_is_enough(content: tuple[int, list[Run]], first: int) -> None:
    """Who gets our runs from a piece on knows all from there that we know, and the length."""
    _, runs = content
    ours, theirs = Manifest(TASK, 1, SIZE), Manifest(TASK, 1, SIZE)
    for each in runs:
        ours.add(sign_run(each, KEY), each)
    assert ours.piece_count is not None
    first = min(first, ours.piece_count)
    for raw in ours.runs_from(first):
        theirs.add(raw, parse_run(raw, RING))
    assert theirs.length == ours.length
    for piece in range(first, ours.piece_count):
        assert theirs.digest(piece) == ours.digest(piece)


@st.composite
def any_runs(draw: st.DrawFn) -> Run:
    """A run of some content or other."""
    length = draw(st.none() | st.integers(0, 6 * SIZE))
    first = draw(st.integers(0, 6))
    return run(first, draw(st.integers(0, 6)), length, draw(st.integers(0, 1)))


@given(st.lists(any_runs(), max_size=8))
def test_contradictions_are_refused(runs: list[Run]) -> None:
    """What is taken is one content: no two digests of a piece, no two lengths, no short
    piece before the last; what is refused changes nothing."""
    manifest = Manifest(TASK, 1, SIZE)
    taken: list[Run] = []
    for each in runs:
        try:
            raw = sign_run(each, KEY)
        except ValueError:
            continue
        before = (manifest.known.mask, manifest.length, manifest.runs)
        try:
            manifest.add(raw, each)
            taken.append(each)
        except BadRun:
            assert (manifest.known.mask, manifest.length, manifest.runs) == before
    seen: dict[int, bytes] = {}
    for each in taken:
        for piece, found in enumerate(each.digests, each.first):
            assert seen.setdefault(piece, found) == found == manifest.digest(piece)
    assert len({each.length for each in taken} - {None}) <= 1
    if manifest.length is not None:
        unsized = max((each.end for each in taken if each.length is None), default=0)
        assert unsized * SIZE <= manifest.length


@given(honest_runs(), st.data())
def test_forged_runs(content: tuple[int, list[Run]], data: st.DataObject) -> None:
    """One changed bit anywhere, and a run is refused."""
    _, runs = content
    raw = bytearray(sign_run(data.draw(st.sampled_from(runs)), KEY))
    bit = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BadRun):
        parse_run(bytes(raw), RING)


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    """Bytes from the network are no run, and no crash."""
    with pytest.raises(BadRun):
        parse_run(b"DFRUN\x01" + KEY.key_id + data, RING)


@given(honest_runs())
def test_another_manifest(content: tuple[int, list[Run]]) -> None:
    """Runs of another fetch of the task never mix in."""
    _, runs = content
    for manifest in (
        Manifest(b"u" * 32, 1, SIZE),
        Manifest(TASK, 2, SIZE),
        Manifest(TASK, 1, 2 * SIZE),
    ):
        with pytest.raises(BadRun, match="expected"):
            manifest.add(sign_run(runs[0], KEY), runs[0])
        assert manifest.runs == []
