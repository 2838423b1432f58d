"""Digests are signed many at once, but soon; and the last only when the whole was checked."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from twisted.internet.task import Clock

from dragonfly.control.messages import Validator
from dragonfly.signatures import SigningKey
from dragonfly.supernode.content import Content
from dragonfly.supernode.runsigner import RUN_WAIT_S, RunSigner
from dragonfly.task.manifest import RUN_DIGESTS, Manifest
from tests.doubles.cdn import PIECE


class Scene:
    """A content whose digests come, and what was signed of them."""

    def __init__(self, length: int | None = None) -> None:
        self.clock = Clock()
        self.seen = 0
        self.signed: list[tuple[int, range]] = []
        self.content = Content(
            id=b"T" * 32,
            name=b"n" * 32,
            url="http://o/f",
            fetch=1,
            manifest=Manifest(b"T" * 32, 1, PIECE, length),
            validator=Validator(),
        )
        self.signer = RunSigner(
            self.content,
            SigningKey.from_bytes(b"\1" * 32),
            self.clock,
            seen=lambda: self.seen,
            on_runs=self._on_runs,
        )

    def _on_runs(self, runs: Sequence[bytes], pieces: range) -> None:
        self.signed.append((len(runs), pieces))

    def come(self, count: int) -> None:
        """So many more pieces are on disk."""
        for _ in range(count):
            self.content.add_digest(self.seen.to_bytes(32, "big"))
            self.seen += 1
        self.signer.sign_soon()


@pytest.fixture
def scene() -> Scene:
    """The length is not known."""
    return Scene()


def test_a_full_run_does_not_wait(scene: Scene) -> None:
    """And leaves no timer of those before it."""
    scene.come(1)
    scene.come(RUN_DIGESTS - 1)
    assert scene.signed == [(1, range(RUN_DIGESTS))]
    assert scene.clock.getDelayedCalls() == []


def test_few_wait_for_others_but_not_long(scene: Scene) -> None:
    """From the first of them on."""
    scene.come(1)
    scene.clock.advance(RUN_WAIT_S / 2)
    scene.come(2)
    assert scene.signed == []
    scene.clock.advance(RUN_WAIT_S / 2)
    assert scene.signed == [(1, range(3))]
    assert scene.clock.getDelayedCalls() == []


def test_the_last_piece_waits_for_the_check_of_the_whole() -> None:
    """It would be complete for everybody before that."""
    scene = Scene(3 * PIECE)
    scene.come(3)
    scene.signer.sign()
    assert scene.signed == [(1, range(2))]
    scene.signer.sign(end=3 * PIECE)
    assert scene.signed[1:] == [(1, range(2, 3))]
    assert scene.content.manifest.complete


def test_a_fetch_that_has_ended_signs_nothing_more(scene: Scene) -> None:
    """Neither is anything signed where nothing came."""
    scene.signer.sign()
    scene.come(1)
    scene.signer.stop()
    scene.clock.advance(1.0)
    assert scene.signed == []
