"""Everything around a CDN: a store on disk, an origin in memory, a clock moved by hand.

::

    lab = CdnLab(tmp_path, body=b"...")
    content = lab.fetch()           # obtained, and whatever can happen has happened
    assert lab.read(content) == lab.reader.body
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from dragonfly.metrics import BuildInfo, SupernodeMetrics
from dragonfly.net.disk import DiskPool
from dragonfly.signatures import KeyRing, SigningKey
from dragonfly.supernode.admission import Admitted
from dragonfly.supernode.cdn import Cdn, Wanted
from dragonfly.supernode.content import Content, State
from dragonfly.supernode.fetch import FetchTools
from dragonfly.supernode.questions import Access
from dragonfly.task.digest import Digest, piece_digest
from dragonfly.task.identity import name_of
from dragonfly.task.manifest import parse_run
from tests.doubles.reader import ScriptedReader, make_reply
from tests.doubles.stores import open_store
from tests.doubles.threads import HandThreads

__all__ = ["NOW", "PIECE", "URL", "CdnLab", "content_of"]

NOW = 1_700_000_000.0
URL = "http://origin.example/f"
PIECE = 32 * 1024


def content_of(size: int, seed: int = 1) -> bytes:
    """Bytes that differ everywhere and are the same in each run."""
    return random.Random(seed).randbytes(size)


class CdnLab:
    """One CDN that can be stopped and started again on the same store."""

    def __init__(self, home: Path, *, direct: bool = True, **origin: Any) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.reader = ScriptedReader(clock=self.clock, **origin)
        self.key = SigningKey.from_bytes(b"\1" * 32)
        self.metrics = SupernodeMetrics(BuildInfo(version="0"))
        self.home = home
        self.direct = direct
        self.start()

    def start(self) -> None:
        """Begin on what the store has; after :meth:`stop`, as a new process would."""
        self.threads = HandThreads(direct=self.direct)
        self.disk = DiskPool(self.threads, threads=self.threads)
        self.disk.start()
        self.store = open_store(self.home)
        self.tools = FetchTools(
            reader=lambda _: self.reader,
            disk=self.disk,
            key=self.key,
            clock=self.clock,
            rng=random.Random(1),
            metrics=self.metrics,
            stall_s=30.0,
        )
        self.cdn = Cdn(self.store, self.tools)

    def stop(self) -> None:
        """End all work, as a supernode that stops does."""
        self.cdn.close()
        self.threads.run()
        self.disk.stop()
        self.cdn.release_files()
        self.store.close()

    # -- asking ----------------------------------------------------------------------

    def wanted(
        self,
        task: bytes = b"T" * 32,
        *,
        digest: Digest | None = None,
        probed: bool = True,
        **headers: str | None,
    ) -> Wanted:
        """A registration whose caller was admitted.

        :param probed: whether the check told a length.
        """
        reader = self.reader
        told: dict[str, Any] = {
            "etag": reader.etag,
            "last_modified": reader.last_modified,
            "content_type": reader.content_type,
            **headers,
        }
        length = len(reader.body) if probed and reader.announce else None
        access = Access(url=URL, headers=(("X-Who", "me"),), key=b"k" * 32)
        return Wanted(
            task=task,
            name=name_of(URL),
            admitted=Admitted(reply=make_reply(length=length, **told), access=access, public=True),
            digest=digest,
        )

    def obtain(self, wanted: Wanted | None = None) -> Content:
        """Register; the origin has answered nothing yet if it is silent."""
        got: list[Content] = []
        asking = Deferred.fromCoroutine(self.cdn.obtain(wanted or self.wanted()))
        asking.addCallback(got.append)
        self.threads.run()
        return got[0]

    def fetch(self, wanted: Wanted | None = None, seconds: float = 60.0) -> Content:
        """Register, and let time pass until the content settles."""
        content = self.obtain(wanted)
        self.settle(content, seconds)
        return content

    def settle(self, content: Content, seconds: float = 60.0) -> None:
        """Let time pass until the content settles, at most so many seconds."""
        end = self.clock.seconds() + seconds
        self.threads.run()
        while content.state is State.FETCHING and self.clock.seconds() < end:
            self.clock.advance(0.05)
            self.threads.run()

    def tick(self, seconds: float = 0.05) -> None:
        """Let some time pass: runs are signed, waits end."""
        self.clock.advance(seconds)
        self.threads.run()

    # -- looking ---------------------------------------------------------------------

    def read(self, content: Content) -> bytes:
        """What may be given out, as it lies on disk, checked against the signed digests."""
        assert content.file is not None
        data = content.file.read(0, content.held_bytes)
        ring = KeyRing([self.key.public])
        for raw in content.manifest.runs:
            run = parse_run(raw, ring)
            for piece, digest in enumerate(run.digests, run.first):
                begin, end = content.layout.span(piece)
                if piece < content.held:
                    assert digest == piece_digest(data[begin:end])
        return data
