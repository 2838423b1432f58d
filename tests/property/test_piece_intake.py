"""Whatever comes from whom in whichever order: the file is right, and nobody is told a lie."""

from __future__ import annotations

import tempfile
from collections.abc import Hashable
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from dragonfly.peer.pieces import PART_BYTES, WHOLE_BYTES, PieceIntake, Verdict
from dragonfly.store.journal import recover
from tests.doubles.tasklab import TaskLab

SOURCES = ("a", "b", "c")
KIB = 1024


class Pieces(RuleBasedStateMachine):
    """Three sources send the pieces of one content, right and wrong, in slices of any size.

    The model: per source and piece what it has sent since it began the piece.
    """

    @initialize(shape=st.sampled_from([(32, 80), (2048, 5000)]))
    def begin(self, shape: tuple[int, int]) -> None:
        """Small pieces, or pieces that are written while they come."""
        self.directory = tempfile.TemporaryDirectory()
        piece_size, size = shape[0] * KIB, shape[1] * KIB + 7
        self.lab = TaskLab(Path(self.directory.name), size=size, piece_size=piece_size)
        digests = [self.lab.digest(piece) for piece in range(self.lab.count)]
        self.file = self.lab.file()
        self.file.retain()
        self.verified: set[int] = set()
        self.wrote_wrong: set[tuple[Hashable, int]] = set()
        self.sent: dict[tuple[str, int], bytearray] = {}
        self.finished: list[tuple[str, int, bool]] = []
        self.intake = PieceIntake(
            self.lab.disk,
            self.file,
            self,
            digest_of=digests.__getitem__,
            length_of=self.lab.layout.piece_length,
        )

    # -- PieceListener -------------------------------------------------------------------

    def piece_done(
        self, piece: int, source: Hashable, verdict: Verdict, length: int, digest: bytes
    ) -> None:
        """Hold every verdict against what was sent, and what is on disk at that moment."""
        index = next(at for at, each in enumerate(self.finished) if each[:2] == (source, piece))
        right = self.finished.pop(index)[2]
        assert length == self.lab.layout.piece_length(piece)
        if verdict is Verdict.SECOND:
            assert piece in self.verified
        elif verdict is Verdict.VERIFIED:
            assert right
            assert piece not in self.verified
            assert digest == self.lab.digest(piece)
            self.verified.add(piece)
            assert self.lab.on_disk(self.file, piece) == self.lab.piece(piece)
        elif verdict is Verdict.WRONG:
            assert not right
        else:
            assert right
            assert piece not in self.verified
            assert length > WHOLE_BYTES

    def store_failed(self, error: Exception) -> None:
        """The disk is well."""
        raise AssertionError from error

    # -- what may happen --------------------------------------------------------------------

    @rule(
        source=st.sampled_from(SOURCES),
        piece=st.integers(0, 2),
        share=st.floats(0.01, 1.0),
        wrong=st.booleans(),
        restart=st.integers(0, 9),
        padding=st.sampled_from([0, 0, 100 * KIB]),
    )
    def slice(
        self, source: str, piece: int, share: float, wrong: bool, restart: int, padding: int
    ) -> None:
        """One more slice of a piece, perhaps damaged, perhaps a small view of a large read."""
        whole = self.lab.piece(piece)
        key = (source, piece)
        if restart == 0:
            self.sent.pop(key, None)
        so_far = self.sent.setdefault(key, bytearray())
        begin = len(so_far)
        part = bytearray(whole[begin : begin + max(1, int(share * len(whole)))])
        if wrong:
            part[len(part) // 2] ^= 0xFF
        so_far += part
        read = bytes(part) + bytes(padding)
        last = self.intake.add(source, piece, begin, memoryview(read)[: len(part)])
        assert last == (len(so_far) == len(whole))
        if last:
            self.finished.append((source, piece, bytes(so_far) == whole))
            del self.sent[key]

    @rule(source=st.sampled_from(SOURCES))
    def lose(self, source: str) -> None:
        """A source goes away in the middle of everything."""
        self.intake.forget(source)
        self.sent = {key: sent for key, sent in self.sent.items() if key[0] != source}

    @rule(hops=st.integers(1, 3))
    def work(self, hops: int) -> None:
        """The disk does something."""
        self.lab.threads.run(hops)

    @precondition(lambda self: self.verified)
    @rule(data=st.data())
    def recheck(self, data: st.DataObject) -> None:
        """Pieces that are there are found good at any time."""
        pieces = data.draw(st.lists(st.sampled_from(sorted(self.verified)), unique=True))
        good: list[list[int]] = []
        self.intake.recheck(pieces).addCallback(good.append)
        self.lab.threads.run()
        assert good == [sorted(pieces)]

    # -- what always holds --------------------------------------------------------------------

    @invariant()
    def memory_is_bounded(self) -> None:
        """Open pieces keep about twice what came of them, and of large ones only a part."""
        if not hasattr(self, "intake"):
            return
        for assembly in self.intake._open.values():
            kept = {id(b): len(b) for b in map(_whole_of, assembly.chunks)}
            assert sum(kept.values()) <= 2 * assembly.buffered
            assert assembly.buffered <= max(WHOLE_BYTES, PART_BYTES)

    @invariant()
    def the_journal_tells_no_lie(self) -> None:
        """What a crash leaves now is true of the file; jobs that wait have done nothing."""
        if not hasattr(self, "file"):
            return
        raw = (self.file.path.parent / "journal").read_bytes()
        for piece in recover(raw, self.file.task).pieces:
            assert self.lab.on_disk(self.file, piece) == self.lab.piece(piece)

    def teardown(self) -> None:
        """Whatever happened, a source that sends everything right completes the file."""
        if not hasattr(self, "intake"):
            return
        for _ in range(2):  # once more for what was spoilt
            self.lab.threads.run()
            for piece in set(range(self.lab.count)) - self.verified:
                self.intake.add("last", piece, 0, self.lab.piece(piece))
                self.finished.append(("last", piece, True))
        self.lab.threads.run()
        assert self.verified == set(range(self.lab.count))
        assert self.file.read(0, len(self.lab.body)) == self.lab.body
        assert self.lab.disk.queued_bytes == 0
        assert self.file.in_use
        self.file.release()
        assert not self.file.in_use
        self.directory.cleanup()


def _whole_of(chunk: bytes | bytearray | memoryview) -> bytes | bytearray:
    """What keeping ``chunk`` keeps in memory."""
    whole = chunk.obj if isinstance(chunk, memoryview) else chunk
    assert isinstance(whole, bytes | bytearray)
    return whole


Pieces.TestCase.settings = settings(stateful_step_count=40)
TestPieces = Pieces.TestCase
