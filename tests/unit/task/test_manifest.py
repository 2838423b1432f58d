"""Runs and manifests: what is believed, what contradicts, what is passed on."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from dragonfly.errors import BadRun
from dragonfly.signatures import KeyRing, SigningKey
from dragonfly.task.digest import piece_digest
from dragonfly.task.layout import MAX_PIECES, PIECE_MIN
from dragonfly.task.manifest import (
    MAX_RUN_BYTES,
    RUN_DIGESTS,
    Manifest,
    Run,
    parse_good,
    parse_run,
    sign_run,
)

KEY = SigningKey.from_bytes(bytes(range(32)))
STRANGER = SigningKey.from_bytes(bytes(range(1, 33)))
RING = KeyRing([KEY.public])
TASK = b"t" * 32
SIZE = PIECE_MIN


def digests(first: int, count: int) -> tuple[bytes, ...]:
    """The digests of some pieces, each its own."""
    return tuple(piece_digest(b"%d" % piece) for piece in range(first, first + count))


def run(first: int, count: int, length: int | None = None, **changes: Any) -> Run:
    """A run of the task that these tests are about."""
    made = Run(
        task=TASK,
        fetch=7,
        piece_size=SIZE,
        first=first,
        digests=digests(first, count),
        length=length,
    )
    return attrs.evolve(made, **changes)


def manifest(*runs: Run, length: int | None = None) -> Manifest:
    """A manifest that has taken these runs."""
    made = Manifest(TASK, 7, SIZE, length)
    for each in runs:
        made.add(sign_run(each, KEY), each)
    return made


# -- one run ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "made",
    [
        run(0, 3),
        run(5, RUN_DIGESTS),
        run(0, 3, 3 * SIZE),
        run(0, 3, 2 * SIZE + 1),
        run(3, 0, 3 * SIZE),
        run(0, 0, 0),
    ],
)
def test_round_trip(made: Run) -> None:
    """Every form of run is read back as it was signed."""
    raw = sign_run(made, KEY)
    assert len(raw) == 74 + 32 * len(made.digests) + 64 <= MAX_RUN_BYTES
    assert parse_run(raw, RING) == made


def test_layout_on_the_wire() -> None:
    """The bytes are those of the specification."""
    raw = sign_run(run(9, 1, 10 * SIZE), KEY)
    assert raw[:6] == b"DFRUN\x01"
    assert raw[6:14] == KEY.key_id
    assert raw[14:46] == TASK
    assert int.from_bytes(raw[46:54], "big") == 7
    assert int.from_bytes(raw[54:58], "big") == SIZE
    assert raw[58:60] == b"\x01\x01"
    assert int.from_bytes(raw[60:68], "big") == 10 * SIZE
    assert int.from_bytes(raw[68:72], "big") == 9
    assert int.from_bytes(raw[72:74], "big") == 1
    assert raw[74:106] == piece_digest(b"9")


@pytest.mark.parametrize("at", range(0, 170, 6))
def test_any_changed_byte(at: int) -> None:
    """Nobody who passes a run on can change it."""
    raw = bytearray(sign_run(run(0, 1), KEY))
    raw[at] ^= 0x10
    with pytest.raises(BadRun):
        parse_run(bytes(raw), RING)


@pytest.mark.parametrize("cut", [0, 1, 137, 138, 169])
def test_cut(cut: int) -> None:
    """A run that lost bytes is none."""
    raw = sign_run(run(0, 1), KEY)
    with pytest.raises(BadRun):
        parse_run(raw[:cut], RING)
    with pytest.raises(BadRun):
        parse_run(raw + b"\0", RING)
    with pytest.raises(BadRun, match="a run of 8331 bytes"):
        parse_run(bytes(MAX_RUN_BYTES + 1), RING)


def test_another_signer() -> None:
    """Only keys on the ring vouch for bytes."""
    with pytest.raises(BadRun, match="unknown key"):
        parse_run(sign_run(run(0, 1), STRANGER), RING)


def test_good_ones_of_many() -> None:
    """Up to the first bad one; all of them, or none, if that is how it is."""
    good = [run(0, 2), run(2, 1)]
    raws = [sign_run(each, KEY) for each in good]
    assert parse_good(raws, RING) == good
    assert parse_good([raws[0], sign_run(run(2, 1), STRANGER), raws[1]], RING) == good[:1]
    assert parse_good([b""], RING) == []


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (run(0, RUN_DIGESTS + 1), "257 digests, at most 256"),
        (run(0, 1, piece_size=SIZE // 2), "pieces of 16384 bytes"),
        (run(0, 1, piece_size=SIZE * 3), "pieces of 98304 bytes"),
        (run(0, 1, piece_size=1 << 25), "pieces of 33554432 bytes"),
        (run(MAX_PIECES, 1), f"up to piece {MAX_PIECES + 1}"),
        (run(0, 3, 2 * SIZE), "up to piece 3 of content with 2 pieces"),
        (run(3, 0), "without digests at piece 3"),
        (run(1, 0, 3 * SIZE), "without digests at piece 1"),
        (run(0, 1, (MAX_PIECES + 1) * SIZE), f"content with {MAX_PIECES + 1} pieces"),
    ],
)
def test_inconsistent_in_itself(made: Run, why: str) -> None:
    """Such a run is not signed, and if somebody's code did sign it, it is not read."""
    with pytest.raises(ValueError, match=why):
        sign_run(made, KEY)
    if len(made.digests) <= RUN_DIGESTS:
        with pytest.raises(BadRun, match=why):
            parse_run(signed_anyway(made), RING)


def signed_anyway(made: Run) -> bytes:
    """What a supernode with a bug would send: well formed, signed, and nonsense."""
    known = made.length is not None
    head = b"DFRUN\x01" + KEY.key_id + made.task + made.fetch.to_bytes(8, "big")
    head += made.piece_size.to_bytes(4, "big") + bytes([1, known])
    head += (made.length or 0).to_bytes(8, "big") + made.first.to_bytes(4, "big")
    body = head + len(made.digests).to_bytes(2, "big") + b"".join(made.digests)
    return body + KEY.sign(b"dragonfly run\0" + body)


# -- a manifest that grows ----------------------------------------------------------------


def test_growing() -> None:
    """Each run tells what is new in it; the end tells the length."""
    grown = manifest()
    first = run(0, 3)
    assert grown.add(sign_run(first, KEY), first) == [0, 1, 2]
    overlapping = run(2, 3)
    assert grown.add(sign_run(overlapping, KEY), overlapping) == [3, 4]
    assert grown.first_unknown() == 5
    assert (grown.complete, grown.piece_count) == (False, None)
    end = run(5, 1, 5 * SIZE + 9)
    assert grown.add(sign_run(end, KEY), end) == [5]
    assert grown.complete
    assert (grown.length, grown.piece_count, grown.piece_size) == (5 * SIZE + 9, 6, SIZE)
    assert [grown.digest(piece) for piece in range(7)] == [*digests(0, 6), None]


def test_empty_content() -> None:
    """One run without digests is the whole manifest of nothing."""
    empty = manifest(run(0, 0, 0))
    assert empty.complete
    assert empty.piece_count == 0
    assert len(empty.runs_from(0)) == 1


def test_end_exactly_at_a_run() -> None:
    """Where the content ends with an earlier run, the last one only tells the length."""
    grown = manifest(run(0, 2))
    assert not grown.complete
    end = run(2, 0, 2 * SIZE)
    assert grown.add(sign_run(end, KEY), end) == []
    assert grown.complete


@pytest.mark.parametrize(
    ("before", "bad", "why"),
    [
        ([run(0, 2)], run(1, 2, digests=digests(4, 2)), "piece 1: a second, different digest"),
        ([run(0, 2, 9 * SIZE)], run(2, 1, 8 * SIZE), f"{8 * SIZE} bytes, the content has"),
        ([run(0, 2, 3 * SIZE)], run(2, 2), "4 full pieces"),
        ([run(0, 4)], run(0, 2, 3 * SIZE), "4 full pieces"),
        # The last piece is shorter than the digest that names a full one says.
        ([run(0, 3)], run(0, 2, 3 * SIZE - 1), "3 full pieces"),
        ([run(0, 2, 3 * SIZE - 1)], run(2, 1), "3 full pieces"),
        ([], run(0, 1, task=b"u" * 32), "expected"),
        ([], run(0, 1, fetch=8), "fetch 8 .* expected 7"),
        ([], run(0, 1, piece_size=2 * SIZE), f"{2 * SIZE} bytes, expected"),
    ],
)
def test_contradictions(before: list[Run], bad: Run, why: str) -> None:
    """A run that contradicts what is known is refused whole: nothing of it stays."""
    grown = manifest(*before)
    known, runs, length = grown.known.copy(), grown.runs, grown.length
    with pytest.raises(BadRun, match=why):
        grown.add(sign_run(bad, KEY), bad)
    assert (grown.known, grown.runs, grown.length) == (known, runs, length)


def test_length_known_beforehand() -> None:
    """A length from the register answer binds the runs too."""
    known = manifest(length=3 * SIZE)
    assert known.piece_count == 3
    bad = run(0, 1, 2 * SIZE)
    with pytest.raises(BadRun):
        known.add(sign_run(bad, KEY), bad)


# -- what is passed on ------------------------------------------------------------------


def test_runs_from() -> None:
    """A neighbour gets the runs that hold what it lacks, in order, and the end."""
    whole = manifest(run(4, 4), run(0, 4), run(8, 0, 8 * SIZE))
    raws = [sign_run(each, KEY) for each in (run(0, 4), run(4, 4), run(8, 0, 8 * SIZE))]
    assert whole.runs == raws
    assert whole.runs_from(0) == raws
    assert whole.runs_from(3) == raws
    assert whole.runs_from(4) == raws[1:]
    assert whole.runs_from(8) == raws[2:]
    assert whole.runs_from(9) == []
    assert whole.runs_from(0, limit=2) == raws[:2]


def test_a_longer_run_replaces_a_shorter() -> None:
    """A finished task is passed on in few runs, though it grew in many."""
    grown = manifest(run(0, 2), run(0, 5), run(0, 3))
    assert grown.runs == [sign_run(run(0, 5), KEY)]


def test_the_end_is_not_lost() -> None:
    """Of two runs over the same pieces the one that states the length is passed on."""
    for order in ([run(0, 3), run(0, 3, 3 * SIZE)], [run(0, 3, 3 * SIZE), run(0, 3)]):
        grown = manifest(*order)
        assert grown.complete
        assert grown.runs == [sign_run(run(0, 3, 3 * SIZE), KEY)]


def test_who_lacks_only_the_length_gets_it() -> None:
    """All digests known and the end not: the run with the end is the answer."""
    whole = manifest(run(0, 3, 3 * SIZE))
    assert whole.runs_from(3) == whole.runs
