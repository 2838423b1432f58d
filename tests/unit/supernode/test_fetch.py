"""The CDN's fetch: whatever an origin does, content is whole or an error, never a mix."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import attrs
import pytest
from twisted.internet.defer import Deferred

from dragonfly.errors import (
    DigestMismatch,
    DiskFull,
    NoSources,
    OriginChanged,
    OriginRefused,
    OriginTruncated,
    OriginUnreachable,
)
from dragonfly.net.throttle import Throttle
from dragonfly.supernode.attempts import ATTEMPTS
from dragonfly.supernode.content import Content, State
from dragonfly.task.digest import Digest
from tests.doubles.cdn import PIECE, CdnLab, content_of

BODY = content_of(5 * PIECE + 100)
SHA256 = Digest("sha256", hashlib.sha256(BODY).digest())


class Watcher:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.grew: list[int] = []
        self.states: list[State] = []

    def content_grew(self, content: Content, runs: Any) -> None:
        """Note how far it has come."""
        self.grew.append(content.held)

    def content_settled(self, content: Content) -> None:
        """Note how it ended."""
        self.states.append(content.state)


def test_once_and_whole(tmp_path: Path) -> None:
    """One request, one copy, every piece signed, and nothing secret kept afterwards."""
    lab = CdnLab(tmp_path, body=BODY, content_type="text/plain")
    content = lab.fetch()
    assert content.state is State.READY
    assert (content.held, content.length) == (6, len(BODY))
    assert lab.read(content) == BODY
    assert [asked.start for asked in lab.reader.asked] == [0]
    assert lab.reader.sent == len(BODY)
    assert content.accesses.best(lab.clock.seconds()) is None


@pytest.mark.parametrize("size", [1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE])
@pytest.mark.parametrize("announce", [True, False])
def test_sizes_around_a_piece(tmp_path: Path, size: int, announce: bool) -> None:
    """The last piece is right whether it is short, whole, or the only one."""
    lab = CdnLab(tmp_path, body=content_of(size), announce=announce)
    content = lab.fetch()
    assert content.state is State.READY
    assert (content.length, content.manifest.length) == (size, size)
    assert lab.read(content) == lab.reader.body
    assert content.file is not None
    assert content.file.length == size


@pytest.mark.parametrize("announce", [True, False])
def test_empty(tmp_path: Path, announce: bool) -> None:
    """An empty file has a signed end like any other."""
    lab = CdnLab(tmp_path, body=b"", announce=announce)
    content = lab.fetch()
    assert content.state is State.READY
    assert (content.length, content.manifest.length, len(content.manifest.runs)) == (0, 0, 1)


def test_length_comes_with_the_transfer(tmp_path: Path) -> None:
    """A check that told no length does not keep the transfer's from counting."""
    lab = CdnLab(tmp_path, body=BODY, silent=True)
    content = lab.obtain(lab.wanted(probed=False))
    assert content.length == len(BODY)
    lab.reader.give(len(BODY))
    lab.settle(content)
    assert content.state is State.READY
    assert lab.read(content) == BODY


def test_pieces_are_offered_while_they_come(tmp_path: Path) -> None:
    """A piece is signed within the wait for others, not at the end; a part of one is not."""
    lab = CdnLab(tmp_path, body=BODY, silent=True)
    content = lab.obtain()
    watcher = Watcher()
    content.listen(watcher)
    lab.reader.give(PIECE + 5)
    assert content.held == 0
    lab.tick()
    assert (content.held, watcher.grew) == (1, [1])
    lab.reader.give(2 * PIECE)
    lab.tick()
    assert content.held == 3
    lab.reader.give(len(BODY))
    lab.settle(content)
    assert watcher.states == [State.READY]
    assert lab.read(content) == BODY


# -- cuts ---------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [1, PIECE, 2 * PIECE + 777])
def test_cut_goes_on(tmp_path: Path, cut: int) -> None:
    """With a strong tag the rest of the very same version is asked for, and only that."""
    lab = CdnLab(tmp_path, body=BODY, cut_after=cut)
    content = lab.fetch()
    assert content.state is State.READY
    assert [asked.start for asked in lab.reader.asked] == [0, cut]
    validator = lab.reader.asked[1].validator
    assert validator is not None
    assert validator.etag == '"v1"'
    assert lab.reader.sent == len(BODY)
    assert lab.read(content) == BODY


def test_many_cuts_of_unknown_length(tmp_path: Path) -> None:
    """Progress renews the patience: an origin that is cut again and again gets there."""
    lab = CdnLab(tmp_path, body=BODY, announce=False, cut_after=PIECE // 2, cuts=100)
    content = lab.fetch()
    assert content.state is State.READY
    assert lab.read(content) == BODY
    assert len(lab.reader.asked) > 2 * ATTEMPTS


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_cut_without_validator_begins_again(tmp_path: Path, etag: str | None) -> None:
    """What cannot be continued is read again and compared; nothing is given out twice."""
    lab = CdnLab(tmp_path, body=BODY, etag=etag, cut_after=2 * PIECE + 5)
    watcher = Watcher()
    content = lab.obtain()
    content.listen(watcher)
    lab.settle(content)
    assert content.state is State.READY
    assert [asked.start for asked in lab.reader.asked] == [0, 0]
    assert watcher.grew == sorted(watcher.grew)
    assert lab.read(content) == BODY


def test_origin_without_ranges(tmp_path: Path) -> None:
    """A tag does not help where the origin does no ranges: it sends everything again."""
    lab = CdnLab(tmp_path, body=BODY, ranges=False, cut_after=PIECE + 5)
    content = lab.fetch()
    assert content.state is State.READY
    assert [asked.start for asked in lab.reader.asked] == [0, PIECE + 5]
    assert lab.read(content) == BODY


@pytest.mark.parametrize("cut", [PIECE + 5, 3 * PIECE])
def test_changed_without_validator(tmp_path: Path, cut: int) -> None:
    """Other bytes of the same length end the version: what was signed stays what it was."""
    lab = CdnLab(tmp_path, body=BODY, etag=None, cut_after=cut)
    content = lab.obtain()
    lab.tick()
    held = content.held
    assert held == cut // PIECE
    lab.reader.body = content_of(len(BODY), seed=2)
    lab.settle(content)
    assert content.state is State.FAILED
    assert isinstance(content.error, OriginChanged)
    assert content.held == held


def test_changed_behind_what_was_signed(tmp_path: Path) -> None:
    """A change in a piece that waited for its signature is found too."""
    lab = CdnLab(tmp_path, body=BODY, etag=None, cut_after=3 * PIECE)
    changed = BODY[: 2 * PIECE] + content_of(len(BODY), seed=2)[2 * PIECE :]

    def change() -> None:
        if len(lab.reader.asked) == 2:
            lab.reader.body = changed

    lab.reader.before = change
    content = lab.fetch()
    assert isinstance(content.error, OriginChanged)
    assert "piece 2" in str(content.error)


def test_changed_with_validator(tmp_path: Path) -> None:
    """Another tag ends the version before a byte of the new one is taken."""
    lab = CdnLab(tmp_path, body=BODY, cut_after=PIECE)
    content = lab.obtain()
    lab.reader.etag, sent = '"v2"', lab.reader.sent
    lab.settle(content)
    assert isinstance(content.error, OriginChanged)
    assert lab.reader.sent == sent


def test_another_length(tmp_path: Path) -> None:
    """The check told one length, the transfer tells another: not what was admitted."""
    lab = CdnLab(tmp_path, body=BODY, etag=None)
    wanted = lab.wanted()
    lab.reader.body = BODY[:-1]
    content = lab.fetch(wanted)
    assert isinstance(content.error, OriginChanged)


# -- more or less than announced -------------------------------------------------------------


@pytest.mark.parametrize("claims", [len(BODY) - 1, len(BODY) + 1])
def test_other_than_announced(tmp_path: Path, claims: int) -> None:
    """An origin that breaks its word each time fails the fetch, with both numbers."""
    lab = CdnLab(tmp_path, body=BODY, claims=claims, ranges=False)
    content = lab.fetch(lab.wanted(probed=False))
    assert content.state is State.FAILED
    assert isinstance(content.error, OriginTruncated)
    assert f"of {claims} bytes" in str(content.error)
    assert not content.manifest.complete


@pytest.mark.parametrize("size", [len(BODY) - PIECE, len(BODY) + 4 * PIECE])
def test_other_than_the_check_told(tmp_path: Path, size: int) -> None:
    """A transfer that tells no length must still bring what the check told."""
    lab = CdnLab(tmp_path, body=BODY, etag=None)
    wanted = lab.wanted()
    lab.reader.announce = False
    lab.reader.body = content_of(size)
    content = lab.fetch(wanted)
    assert content.state is State.FAILED
    assert isinstance(content.error, OriginTruncated)
    assert not content.manifest.complete


# -- digests ---------------------------------------------------------------------------------


def test_digest_fits(tmp_path: Path) -> None:
    """Content named by its digest goes on by range without any tag."""
    lab = CdnLab(tmp_path, body=BODY, etag=None, cut_after=PIECE + 5)
    content = lab.fetch(lab.wanted(digest=SHA256))
    assert content.state is State.READY
    assert [asked.start for asked in lab.reader.asked] == [0, PIECE + 5]
    assert lab.read(content) == BODY


def test_digest_does_not_fit(tmp_path: Path) -> None:
    """The last piece is never signed, so nobody can complete the wrong content."""
    lab = CdnLab(tmp_path, body=content_of(len(BODY), seed=2), silent=True)
    content = lab.obtain(lab.wanted(digest=SHA256))
    lab.reader.give(len(BODY) - 1)
    lab.tick()
    lab.reader.give(1)
    lab.settle(content)
    assert isinstance(content.error, DigestMismatch)
    assert str(SHA256) in str(content.error)
    assert not content.manifest.complete
    assert content.held == 5


def test_digest_after_a_failed_fetch(tmp_path: Path) -> None:
    """The next try hashes what is on disk instead of reading it from the origin again."""
    lab = CdnLab(tmp_path, body=BODY, cut_after=3 * PIECE, cuts=1)
    failing = [OriginUnreachable("gone") for _ in range(ATTEMPTS + 1)]

    def fail() -> None:
        if len(lab.reader.asked) == 2:
            lab.reader.errors = failing

    lab.reader.before = fail
    wanted = lab.wanted(digest=SHA256)
    assert lab.fetch(wanted).state is State.FAILED
    lab.reader.errors = []
    content = lab.fetch(wanted)
    assert content.state is State.READY
    assert lab.reader.asked[-1].start == 3 * PIECE
    assert lab.reader.sent == len(BODY)


# -- refusals -------------------------------------------------------------------------------


def test_unreachable_in_the_end(tmp_path: Path) -> None:
    """After enough attempts without a byte the fetch has failed; what came stays."""
    lab = CdnLab(tmp_path, body=BODY, cut_after=2 * PIECE)

    def gone() -> None:
        if len(lab.reader.asked) > 1:
            lab.reader.errors = [OriginUnreachable("gone")]

    lab.reader.before = gone
    content = lab.fetch()
    assert isinstance(content.error, OriginUnreachable)
    assert len(lab.reader.asked) == 1 + ATTEMPTS
    assert content.held == 2
    lab.reader.before = lambda: None
    again = lab.fetch()
    assert again is content
    assert content.state is State.READY
    assert lab.reader.asked[-1].start == 2 * PIECE
    assert lab.reader.sent == len(BODY)


@pytest.mark.parametrize("status", [404, 410, 451])
def test_refused(tmp_path: Path, status: int) -> None:
    """A clear no is not asked for again."""
    lab = CdnLab(tmp_path, body=BODY, errors=[OriginRefused("no", status)])
    content = lab.fetch()
    assert isinstance(content.error, OriginRefused)
    assert len(lab.reader.asked) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_refused_for_now(tmp_path: Path, status: int) -> None:
    """An origin that is overloaded is asked again, later."""
    lab = CdnLab(tmp_path, body=BODY, errors=[OriginRefused("busy", status)])
    content = lab.fetch()
    assert content.state is State.READY
    assert len(lab.reader.asked) == 2


@pytest.mark.parametrize("status", [401, 403])
def test_expired_access(tmp_path: Path, status: int) -> None:
    """A way that the origin no longer admits is dropped; another caller's serves."""
    lab = CdnLab(tmp_path, body=BODY, cut_after=PIECE)

    def expire() -> None:
        if len(lab.reader.asked) == 2:
            lab.reader.errors = [OriginRefused("expired", status)]

    lab.reader.before = expire
    content = lab.obtain()
    lab.settle(content)
    assert content.state is State.FAILED
    assert isinstance(content.error, OriginRefused)
    content = lab.fetch()
    assert content.state is State.READY


def test_no_access_left(tmp_path: Path) -> None:
    """Credentials are used while their caller's admission lasts, and not longer."""
    lab = CdnLab(tmp_path, body=BODY, silent=True)
    content = lab.obtain()
    content.accesses.clear()
    lab.tick(31.0)  # the transfer stalls and is cut
    lab.settle(content)
    assert isinstance(content.error, NoSources)


# -- the disk, the rate ------------------------------------------------------------------------


def test_full_disk(tmp_path: Path) -> None:
    """A disk that refuses ends the fetch with its own error; what was written counts."""
    lab = CdnLab(tmp_path, body=BODY, silent=True)
    content = lab.obtain()
    lab.reader.give(PIECE)
    lab.tick()
    file: Any = content.file

    def refuse(offset: int, chunks: object) -> None:
        raise DiskFull("/x is full: 1 bytes wanted, 0 free")

    file.write = refuse
    lab.reader.give(PIECE)
    lab.settle(content)
    assert isinstance(content.error, DiskFull)
    assert (content.held, lab.read(content)) == (1, BODY[:PIECE])
    assert lab.reader.bodies[-1].stopped


def test_full_disk_and_a_cut_at_once(tmp_path: Path) -> None:
    """Bytes that were hashed and not written must not count as come: the disk's error wins."""
    lab = CdnLab(tmp_path, body=BODY, direct=False, silent=True, cut_after=2 * PIECE)
    content = lab.obtain()
    file: Any = content.file
    write = file.write

    def refuse_once(offset: int, chunks: object) -> None:
        file.write = write
        raise DiskFull("/x is full: 1 bytes wanted, 0 free")

    file.write = refuse_once
    lab.reader.give(2 * PIECE)  # the cut comes before the job has run
    lab.settle(content)
    assert isinstance(content.error, DiskFull)
    assert content.held == 0


def test_slow_disk_pauses_the_origin(tmp_path: Path) -> None:
    """What waits for the disk is bounded: the connection is paused, then goes on."""
    body = content_of(8 * 1024 * 1024)
    lab = CdnLab(tmp_path, body=body, direct=False)
    got: list[Content] = []
    Deferred.fromCoroutine(lab.cdn.obtain(lab.wanted())).addCallback(got.append)
    lab.threads.run(1)  # looked on disk
    lab.threads.run(1)  # made the file; the transfer began and nothing was written yet
    assert lab.reader.bodies[0].paused
    assert lab.reader.sent <= 5 * 1024 * 1024
    lab.settle(got[0])
    assert got[0].state is State.READY
    assert lab.read(got[0]) == body


def test_rate(tmp_path: Path) -> None:
    """A cap on origin reads is kept over the whole transfer."""
    lab = CdnLab(tmp_path, body=content_of(2 * 1024 * 1024))
    lab.cdn._tools = attrs.evolve(lab.tools, rate=Throttle(lab.clock, 1024 * 1024))
    began = lab.clock.seconds()
    content = lab.fetch()
    assert content.state is State.READY
    assert 1.5 <= lab.clock.seconds() - began <= 2.5


def test_silence_counts_as_a_cut(tmp_path: Path) -> None:
    """An origin that says nothing for 30 s is asked again."""
    lab = CdnLab(tmp_path, body=BODY, silent=True)
    content = lab.obtain()
    lab.reader.give(PIECE)
    lab.tick(29.0)
    assert len(lab.reader.asked) == 1
    lab.tick(2.0)
    lab.tick(1.0)
    assert [asked.start for asked in lab.reader.asked] == [0, PIECE]
    lab.reader.give(len(BODY))
    lab.settle(content)
    assert lab.read(content) == BODY


def test_cancelled(tmp_path: Path) -> None:
    """A supernode that stops closes the origin's connection and leaves no timer."""
    lab = CdnLab(tmp_path, body=BODY, silent=True)
    content = lab.obtain()
    lab.reader.give(PIECE + 1)
    lab.stop()
    assert lab.reader.bodies[0].stopped
    assert content.state is State.FAILED
    assert lab.clock.getDelayedCalls() == []
