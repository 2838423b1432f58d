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
from twisted.internet.task import Clock

from dragonfly.peer.content.piecefile import Verdict
from dragonfly.peer.content.pieces import PART_BYTES, WHOLE_BYTES, PieceIntake
from dragonfly.peer.content.writebatch import BATCH_S
from dragonfly.store.hot import HOT_PIECE_BYTES
from dragonfly.store.journal import recover
from tests.doubles.stores import close_stores
from tests.doubles.tasklab import TaskLab

SOURCES = ("a", "b", "c")
KIB = 1024


class Pieces(RuleBasedStateMachine):
    """Three sources send the pieces of one content, right and wrong, in slices of any size.

    The model: per source and piece what it has sent since it began the piece.
    """

    @initialize(shape=st.sampled_from([(32, 80), (512, 1200), (2048, 5000)]))
    def begin(self, shape: tuple[int, int]) -> None:
        """Small pieces, pieces that are judged by the disk's thread, or written while they come."""
        self.directory = tempfile.TemporaryDirectory()
        piece_size, size = shape[0] * KIB, shape[1] * KIB + 7
        self.lab = TaskLab(Path(self.directory.name), size=size, piece_size=piece_size)
        digests = [self.lab.digest(piece) for piece in range(self.lab.count)]
        self.file = self.lab.file()
        self.file.retain()
        self.clock = Clock()
        self.verified: set[int] = set()
        self.written: set[int] = set()
        self.wrote_wrong: set[tuple[Hashable, int]] = set()
        self.sent: dict[tuple[str, int], bytearray] = {}
        self.finished: list[tuple[str, int, bool]] = []
        self.intake = PieceIntake(
            self.lab.disk,
            self.file,
            self,
            clock=self.clock,
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
            assert piece not in self.written, "but one that is shared may wait for its batch"
            assert digest == self.lab.digest(piece)
            self.verified.add(piece)
            self.written.add(piece)
            assert self.lab.on_disk(self.file, piece) == self.lab.piece(piece)
        elif verdict is Verdict.WRONG:
            assert not right
        else:
            assert right
            assert piece not in self.verified
            assert length > WHOLE_BYTES

    def piece_verified(self, piece: int, source: Hashable) -> bool:
        """Right bytes, just sent, told of for the first time, and others can have them."""
        assert self.finished.pop() == (source, piece, True)
        assert piece not in self.verified
        assert len(self.lab.piece(piece)) <= HOT_PIECE_BYTES
        assert self.file.peek(piece, 0, len(self.lab.piece(piece))) == self.lab.piece(piece)
        self.verified.add(piece)
        return False

    def pieces_written(self, pieces: list[tuple[int, Hashable]]) -> None:
        """What was shared is on disk."""
        for piece, _ in pieces:
            assert piece in self.verified
            self.written.add(piece)
            assert self.lab.on_disk(self.file, piece) == self.lab.piece(piece)

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
        if len(so_far) == len(whole):  # it may be told of before this returns
            self.finished.append((source, piece, bytes(so_far) == whole))
            del self.sent[key]
        last = self.intake.add(source, piece, begin, memoryview(read)[: len(part)])
        assert last == (len(so_far) == len(whole))

    @rule(source=st.sampled_from(SOURCES))
    def lose(self, source: str) -> None:
        """A source goes away in the middle of everything."""
        self.intake.forget(source)
        self.sent = {key: sent for key, sent in self.sent.items() if key[0] != source}

    @rule(hops=st.integers(1, 3))
    def work(self, hops: int) -> None:
        """The disk does something."""
        self.lab.threads.run(hops)

    @rule(seconds=st.sampled_from([BATCH_S / 3, BATCH_S]))
    def wait(self, seconds: float) -> None:
        """What is verified has waited for others long enough, or not yet."""
        self.clock.advance(seconds)

    @rule()
    def flush(self) -> None:
        """Somebody waits for the file."""
        self.intake.flush()
        assert self.clock.getDelayedCalls() == []

    @precondition(lambda self: self.written)
    @rule(data=st.data())
    def recheck(self, data: st.DataObject) -> None:
        """Pieces that are there are found good at any time."""
        pieces = data.draw(st.lists(st.sampled_from(sorted(self.written)), unique=True))
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
    def what_was_shared_can_be_had(self) -> None:
        """From memory until it is on disk."""
        if not hasattr(self, "intake"):
            return
        for piece in self.verified:
            data = self.file.peek(piece, 0, self.lab.layout.piece_length(piece))
            assert (self.lab.on_disk(self.file, piece) if data is None else data) == (
                self.lab.piece(piece)
            )

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
                self.finished.append(("last", piece, True))
                self.intake.add("last", piece, 0, self.lab.piece(piece))
        self.intake.close()
        self.lab.threads.run()
        assert self.verified == set(range(self.lab.count))
        assert self.clock.getDelayedCalls() == []
        assert self.file.read(0, len(self.lab.body)) == self.lab.body
        assert self.lab.disk.queued_bytes == 0
        assert self.file.in_use
        self.file.release()
        assert not self.file.in_use
        close_stores()
        self.directory.cleanup()


def _whole_of(chunk: bytes | bytearray | memoryview) -> bytes | bytearray:
    """What keeping ``chunk`` keeps in memory."""
    whole = chunk.obj if isinstance(chunk, memoryview) else chunk
    assert isinstance(whole, bytes | bytearray)
    return whole


Pieces.TestCase.settings = settings(stateful_step_count=40)
TestPieces = Pieces.TestCase
