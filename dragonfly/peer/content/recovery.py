"""What an earlier run left of a content: its runs and its pieces, believed after a check only."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from dragonfly.errors import BadRun
from dragonfly.net.disk import DiskPool
from dragonfly.peer.content.pieces import PieceIntake
from dragonfly.signatures import KeyRing
from dragonfly.store.piecestore import TaskFile
from dragonfly.task.manifest import Run, parse_good

__all__ = ["RECHECK_BYTES", "RUNS_AT_ONCE", "Recovery", "RecoveryListener"]

RECHECK_BYTES = 8 * 1024 * 1024
"""How much of an old file is hashed in one job (a few milliseconds of one thread)."""

RUNS_AT_ONCE = 64
"""Stored runs whose signatures are checked in one job, 150 us each. Content that was fetched
meanwhile has one for every 50 ms: checking those of 20 GiB on the reactor took 190 ms."""


class RecoveryListener(Protocol):
    """Whose content is recovered."""

    def run_recovered(self, raw: bytes, run: Run) -> list[int]:
        """This one is signed well; gives the pieces it made known.

        :raises BadRun: it contradicts another.
        """

    def runs_recovered(self, known: list[int], useless: list[bytes]) -> None:
        """That is what some stored runs made known, and these are of no use."""

    def runs_read(self) -> None:
        """No more stored runs are left."""

    def pieces_recovered(self, good: list[int], bad: list[int]) -> bool:
        """Pieces were hashed: those that are what they should be, and the others.

        :return: whether to go on with the next.
        """

    def store_failed(self, error: Exception) -> None:
        """The disk does not give them."""


class Recovery:
    """Checks what an earlier run left, some at a time, on the disk pool.

    :param keys: whose runs are believed.
    """

    _log = Logger()

    def __init__(
        self,
        file: TaskFile,
        keys: KeyRing,
        intake: PieceIntake,
        disk: DiskPool,
        listener: RecoveryListener,
    ) -> None:
        self._file = file
        self._keys = keys
        self._intake = intake
        self._disk = disk
        self._listener = listener
        self._claimed: set[int] = set()
        self._to_check: list[int] = []
        self._checking = False
        self._reading = False

    @property
    def under_way(self) -> bool:
        """Whether something is still being checked."""
        return self._reading or self._checking or bool(self._to_check)

    def begin(self, stored: list[bytes]) -> None:
        """Take up these runs; what the journal says counts as claimed until it is hashed."""
        self._claimed = set(self._file.recorded)
        self._read(stored)

    def claims(self, piece: int) -> bool:
        """Whether the file says that it holds ``piece``, and it was not hashed yet."""
        return piece in self._claimed

    def check(self, pieces: list[int]) -> None:
        """Hash these, whose digests are known by now, before they count."""
        self._to_check += pieces
        self._intake.defer(self._to_check)
        self._go_on()

    # -- runs -----------------------------------------------------------------------------

    def _read(self, stored: list[bytes]) -> None:
        batch, rest = stored[:RUNS_AT_ONCE], stored[RUNS_AT_ONCE:]
        self._reading = bool(batch)
        if batch:
            parsed = self._disk.run(self._file.task, parse_good, batch, self._keys)
            parsed.addCallback(self._parsed, batch, rest)
            parsed.addErrback(lambda failure: self._log.failure("reading old runs", failure))
        else:
            self._listener.runs_read()

    def _parsed(self, runs: list[Run], batch: list[bytes], rest: list[bytes]) -> None:
        """The runs before the first bad one count; the others can be had from neighbours."""
        if self._intake.closed:
            self._reading = False
            return
        known: list[int] = []
        good = 0
        with suppress(BadRun):
            for raw, run in zip(batch, runs, strict=False):
                known += self._listener.run_recovered(raw, run)
                good += 1
        useless = batch[good:] + rest if good < len(batch) else []
        if useless:
            self._log.info("{n} stored runs are of no use", n=len(useless))
            rest = []
        self._read(rest)
        self._listener.runs_recovered(known, useless)

    # -- pieces ---------------------------------------------------------------------------

    def _go_on(self) -> None:
        if self._checking or not self._to_check:
            return
        count = max(1, RECHECK_BYTES // self._file.piece_size)
        batch, self._to_check = self._to_check[:count], self._to_check[count:]
        self._checking = True
        done: Deferred[list[int]] = self._intake.recheck(batch)
        done.addCallbacks(self._checked, self._failed, callbackArgs=(batch,))
        done.addErrback(lambda failure: self._log.failure("checking old pieces", failure))

    def _checked(self, good: list[int], batch: list[int]) -> None:
        self._checking = False
        if self._intake.closed:
            return
        self._claimed.difference_update(batch)
        if self._listener.pieces_recovered(good, sorted(set(batch) - set(good))):
            self._go_on()

    def _failed(self, failure: Any) -> None:
        self._checking = False
        self._listener.store_failed(failure.value)
