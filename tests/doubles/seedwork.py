"""A seed with content on disk, and neighbours joined to it in memory."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock

from dragonfly.control.messages import Validator
from dragonfly.metrics import BuildInfo, SupernodeMetrics
from dragonfly.net.disk import DiskPool
from dragonfly.signatures import SigningKey
from dragonfly.store.hot import HotPieces
from dragonfly.supernode.content import Content
from dragonfly.supernode.seed import Seed
from dragonfly.task.digest import piece_digest
from dragonfly.task.manifest import Manifest
from tests.doubles.bounded_pipe import BoundedPipe
from tests.doubles.leecher import Leecher
from tests.doubles.stores import open_store

__all__ = ["PIECE", "Scene", "Shelf", "Shop"]

PIECE = 32 * 1024
TASK = b"t" * 32


class Shelf:
    """Contents by task, as the CDN has them."""

    def __init__(self, *contents: Content) -> None:
        self.all = {content.id: content for content in contents}

    def get(self, task: bytes) -> Content | None:
        """The content of ``task``."""
        return self.all.get(task)


class Shop:
    """A store, a key, contents made of random bytes, and a seed for them."""

    def __init__(self, root: Path, clock: Any, disk: DiskPool, **options: Any) -> None:
        self.clock = clock
        self.key = SigningKey.generate()
        self.store = open_store(root, HotPieces(0))
        self.shelf = Shelf()
        self.bytes: dict[bytes, bytes] = {}
        self.bans: dict[bytes, str] = {}
        self.metrics = SupernodeMetrics(BuildInfo(version="1"))
        self.seed = Seed(
            cdn=self.shelf,
            key=self.key,
            clock=clock,
            rng=random.Random(1),
            disk=disk,
            metrics=self.metrics,
            banned=self.bans.get,
            **{"slots": 8, **options},
        )

    def stock(
        self,
        length: int,
        *,
        held: int | None = None,
        task: bytes = TASK,
        piece_size: int = PIECE,
        fetch: int = 7,
        length_known: bool = True,
        settle: bool = True,
    ) -> Content:
        """Put content of ``length`` bytes on the shelf, of which ``held`` pieces are held."""
        data = random.Random(length).randbytes(length)
        known = length if length_known else None
        content = Content(
            id=task,
            name=b"n" * 32,
            url="http://origin/file",
            fetch=fetch,
            manifest=Manifest(task, fetch, piece_size, known),
            validator=Validator(length=known),
        )
        content.file = self.store.create(task, fetch, piece_size, length)
        content.file.write(0, [data])
        self.bytes[task] = data
        self.shelf.all[task] = content
        count = -(-length // piece_size)
        if held is None or held >= count:
            self.grow(content, count, end=True)
            if settle:
                content.settle()
        elif held:
            self.grow(content, held)
        return content

    def grow(self, content: Content, pieces: int, *, end: bool = False) -> None:
        """Sign and hold so many pieces more."""
        data, size = self.bytes[content.id], content.piece_size
        for piece in range(content.held, content.held + pieces):
            content.add_digest(piece_digest(data[piece * size : (piece + 1) * size]))
        content.sign(self.key, end=len(data) if end else None)

    def uploaded(self) -> float:
        """The bytes that the seed says it sent."""
        return self.metrics.pieces_uploaded._value.get()


class Scene(Shop):
    """A shop whose connections are pipes, moved by :meth:`run`."""

    def __init__(self, root: Path, disk: DiskPool, **options: Any) -> None:
        self.time = Clock()
        self.time.advance(1_000_000)
        self.pipes: list[tuple[BoundedPipe, BoundedPipe]] = []
        super().__init__(root, self.time, disk, **{"backlog": _queued, **options})

    def join(self, content: Content, *, run: bool = True, **options: Any) -> Leecher:
        """Connect a neighbour."""
        leecher = Leecher(self.key, content, self.time, **options)
        self.connect(leecher.protocol())
        if run:
            self.run()
        return leecher

    def connect(self, protocol: Any) -> BoundedPipe:
        """Join a dialler's protocol to the seed; give its end of the pipe."""
        far, near = BoundedPipe.pair()
        taken = self.seed.factory.buildProtocol(far.getPeer())
        assert taken is not None
        near.connect(taken)
        far.connect(protocol)
        self.pipes.append((far, near))
        return far

    def run(self, until: Callable[[], bool] = lambda: False) -> None:
        """Move bytes and end reactor turns until nothing happens any more."""
        while not until():
            moved = sum(far.move() + near.move() for far, near in self.pipes)
            self.time.advance(0)
            if not moved and not any(far.queued or near.queued for far, near in self.pipes):
                due = [c for c in self.time.getDelayedCalls() if c.getTime() <= self.time.seconds()]
                if not due:
                    return
            elif not moved and not any(
                (far.queued and near.reading) or (near.queued and far.reading)
                for far, near in self.pipes
            ):
                return

    def pass_time(self, seconds: float, step: float = 0.5) -> None:
        """Let time pass, with everything that happens meanwhile."""
        while seconds > 0:
            self.time.advance(min(step, seconds))
            seconds -= step
            self.run()

    def close(self) -> None:
        """End everything."""
        self.seed.close()
        self.run()
        self.time.advance(10)
        self.store.close()


def _queued(transport: Any) -> int:
    return len(transport.queued)
