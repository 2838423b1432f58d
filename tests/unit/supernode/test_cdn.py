"""The CDN as a whole: one fetch for all who ask, and what a restart finds on disk."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred

from dragonfly.errors import OriginChanged, OriginUnreachable
from dragonfly.supernode.content import Content, State
from dragonfly.task.digest import Digest
from tests.doubles.cdn import PIECE, URL, CdnLab, content_of

TASK = b"T" * 32
BODY = content_of(5 * PIECE + 100)


def directory(lab: CdnLab) -> Path:
    """Where the task is on disk."""
    return lab.home / "tasks" / TASK.hex()[:2] / TASK.hex()


def restart(lab: CdnLab) -> None:
    """Stop, and begin again on the same disk with an origin that was asked nothing."""
    lab.stop()
    lab.reader.asked.clear()
    lab.reader.sent = 0
    lab.start()


def damage(lab: CdnLab, at: int) -> None:
    """Change one byte of the content on disk."""
    path = directory(lab) / "data"
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def recall(lab: CdnLab) -> Content | None:
    """Ask for what an earlier registration left."""
    got: list[Content | None] = []
    Deferred.fromCoroutine(lab.cdn.recall(TASK)).addCallback(got.append)
    lab.threads.run()
    return got[0]


# -- one fetch for all ------------------------------------------------------------------------


def test_many_at_once(tmp_path: Path) -> None:
    """A thousand registrations are one content, one look on disk and one request."""
    lab = CdnLab(tmp_path, body=BODY, direct=False)
    got: list[Content] = []
    for _ in range(1000):
        Deferred.fromCoroutine(lab.cdn.obtain(lab.wanted())).addCallback(got.append)
    lab.threads.run()
    lab.settle(got[0])
    assert len(got) == 1000
    assert set(map(id, got)) == {id(got[0])}
    assert len(lab.reader.asked) == 1
    assert got[0].state is State.READY


def test_one_who_leaves(tmp_path: Path) -> None:
    """The fetch belongs to the CDN: it goes on when the client that caused it leaves."""
    lab = CdnLab(tmp_path, body=BODY, direct=False)
    asking = Deferred.fromCoroutine(lab.cdn.obtain(lab.wanted()))
    asking.addErrback(lambda _: None)
    staying: list[Content] = []
    Deferred.fromCoroutine(lab.cdn.obtain(lab.wanted())).addCallback(staying.append)
    asking.cancel()
    lab.threads.run()
    lab.settle(staying[0])
    assert staying[0].state is State.READY


def test_ready_needs_no_origin(tmp_path: Path) -> None:
    """Content that is complete is given as it is."""
    lab = CdnLab(tmp_path, body=BODY)
    content = lab.fetch()
    assert lab.fetch() is content
    assert len(lab.reader.asked) == 1
    assert lab.cdn.get(TASK) is content
    assert lab.cdn.contents() == (content,)


def test_versions_that_ended_begin_anew(tmp_path: Path) -> None:
    """After a change the same task is another fetch: nothing of the old one is used."""
    lab = CdnLab(tmp_path, body=BODY, etag=None, cut_after=3 * PIECE)
    first = lab.obtain()
    lab.tick()
    lab.reader.body = content_of(len(BODY), seed=2)
    lab.settle(first)
    assert isinstance(first.error, OriginChanged)
    assert not directory(lab).exists()
    second = lab.fetch()
    assert second is not first
    assert second.fetch > first.fetch
    assert second.state is State.READY
    assert lab.read(second) == lab.reader.body


def test_done_tells_all_who_wait(tmp_path: Path) -> None:
    """Whoever waits for the whole is told its end, good or bad."""
    lab = CdnLab(tmp_path, body=BODY, silent=True)
    content = lab.obtain()
    states: list[State] = []
    content.done.wait().addCallback(states.append)
    lab.reader.give(len(BODY))
    lab.settle(content)
    assert states == [State.READY]


# -- restarts --------------------------------------------------------------------------------


def test_complete_content_after_a_restart(tmp_path: Path) -> None:
    """It is verified piece by piece and served without asking the origin."""
    lab = CdnLab(tmp_path, body=BODY)
    lab.fetch()
    restart(lab)
    content = lab.fetch()
    assert content.state is State.READY
    assert (content.held, lab.read(content)) == (6, BODY)
    assert lab.reader.asked == []


@pytest.mark.parametrize("size", [0, 1, PIECE, 2 * PIECE])
def test_every_end_after_a_restart(tmp_path: Path, size: int) -> None:
    """Nothing, one short piece, whole pieces: all of it comes back, and stays complete."""
    lab = CdnLab(tmp_path, body=content_of(size))
    lab.fetch()
    for _ in range(2):
        restart(lab)
        content = lab.fetch()
        assert (content.state, content.held_bytes) == (State.READY, size)
        assert lab.read(content) == lab.reader.body
    assert lab.reader.asked == []


def test_nothing_is_given_out_before_it_was_verified(tmp_path: Path) -> None:
    """A journal is a claim: until the bytes were hashed again nobody gets them."""
    lab = CdnLab(tmp_path, body=BODY)
    lab.fetch()
    lab.stop()
    lab.direct = False
    lab.start()
    got: list[Content] = []
    Deferred.fromCoroutine(lab.cdn.obtain(lab.wanted())).addCallback(got.append)
    lab.threads.run(1)
    assert (got[0].held, got[0].manifest.complete) == (0, True)
    lab.threads.run()
    assert got[0].held == 6


@pytest.mark.parametrize("etag", ['"v1"', None])
def test_damaged_piece(tmp_path: Path, etag: str | None) -> None:
    """A piece that rotted is fetched again and mended; it is never given out."""
    lab = CdnLab(tmp_path, body=BODY, etag=etag)
    lab.fetch()
    restart(lab)
    damage(lab, 3 * PIECE + 7)
    lab.reader.silent = True
    content = lab.obtain()
    assert content.held == 3
    lab.reader.give(len(BODY))
    lab.settle(content)
    assert content.state is State.READY
    assert lab.read(content) == BODY
    restart(lab)
    assert lab.fetch().state is State.READY
    assert lab.reader.asked == []


def test_damaged_piece_and_no_origin(tmp_path: Path) -> None:
    """Where it cannot be mended, what is good is held, and the rotten rest never is."""
    lab = CdnLab(tmp_path, body=BODY)
    lab.fetch()
    restart(lab)
    damage(lab, 3 * PIECE + 7)
    lab.reader.errors = [OriginUnreachable("gone") for _ in range(20)]
    content = lab.fetch()
    assert isinstance(content.error, OriginUnreachable)
    assert content.held == 3


def test_lost_journal_and_no_origin(tmp_path: Path) -> None:
    """Signed, but not in the journal: not held until it was seen again."""
    lab = CdnLab(tmp_path, body=BODY)
    lab.fetch()
    restart(lab)
    path = directory(lab) / "journal"
    path.write_bytes(path.read_bytes()[: -4 * 8])
    lab.reader.errors = [OriginUnreachable("gone") for _ in range(20)]
    content = lab.fetch()
    assert content.state is State.FAILED
    assert content.held == 2
    lab.reader.errors = []
    content = lab.fetch()
    assert (content.state, lab.read(content)) == (State.READY, BODY)
    restart(lab)  # what was lost from the journal is in it again
    assert lab.fetch().state is State.READY
    assert lab.reader.asked == []


@pytest.mark.parametrize("digest", [None, Digest("sha256", hashlib.sha256(BODY).digest())])
@pytest.mark.parametrize("announce", [True, False])
def test_interrupted_fetch_goes_on(tmp_path: Path, digest: Digest | None, announce: bool) -> None:
    """What was verified before the end of the process is not fetched again."""
    body = content_of(3 * 1024 * 1024 + 100) if digest is None else BODY
    lab = CdnLab(tmp_path, body=body, announce=announce, silent=True)
    content = lab.obtain(lab.wanted(digest=digest))
    size = content.piece_size
    part = 2 * size if 2 * size < len(body) else 0
    lab.reader.give(part + 10)
    lab.tick()
    assert content.held == part // size
    restart(lab)
    content = lab.obtain(lab.wanted(digest=digest))
    assert content.held == part // size
    assert [asked.start for asked in lab.reader.asked] == [part]
    lab.reader.give(len(body))
    lab.settle(content)
    assert content.state is State.READY
    assert lab.read(content) == body


def test_changed_while_we_were_down(tmp_path: Path) -> None:
    """An interrupted version that the origin no longer has ends; the mix never happens."""
    lab = CdnLab(tmp_path, body=BODY, etag=None, silent=True)
    content = lab.obtain()
    lab.reader.give(3 * PIECE)
    lab.tick()
    restart(lab)
    lab.reader.body = content_of(len(BODY), seed=2)
    content = lab.obtain()
    lab.reader.give(len(BODY))
    lab.settle(content)
    assert isinstance(content.error, OriginChanged)
    assert not content.manifest.complete


def test_index_names_the_newest(tmp_path: Path) -> None:
    """After a restart a name leads to its newest complete task, and says if it is public."""
    lab = CdnLab(tmp_path, body=BODY)
    name = lab.wanted().name.id
    assert lab.cdn.latest(name) is None
    lab.fetch()
    lab.tick(1.0)
    lab.fetch(lab.wanted(b"U" * 32))
    restart(lab)
    counted: list[int] = []
    Deferred.fromCoroutine(lab.cdn.open()).addCallback(counted.append)
    assert counted == [2]
    assert lab.cdn.latest(name) == (b"U" * 32, True)


@pytest.mark.parametrize(
    ("vary", "public"), [("Accept-Encoding", True), ("Accept-Language, Origin", False)]
)
def test_a_variant_is_not_for_everybody(tmp_path: Path, vary: str, public: bool) -> None:
    """While the origin is down nobody says who gets which."""
    lab = CdnLab(tmp_path, body=BODY)
    wanted = lab.wanted(vary=vary)
    lab.fetch(wanted)
    assert lab.cdn.latest(wanted.name.id) == (TASK, public)


@pytest.mark.parametrize("name", ["journal", "meta.json", "manifest"])
def test_garbage_on_disk(tmp_path: Path, name: str) -> None:
    """What is not ours is removed with a warning, and the content fetched anew."""
    lab = CdnLab(tmp_path, body=BODY)
    lab.fetch()
    restart(lab)
    path = directory(lab) / name
    path.write_bytes(b"\0\0\0\xffnonsense" * 100)
    content = lab.fetch()
    assert (content.state, lab.read(content)) == (State.READY, BODY)
    assert len(lab.reader.asked) == 1


def test_nothing_secret_on_disk(tmp_path: Path) -> None:
    """Neither headers nor the query reach the disk."""
    lab = CdnLab(tmp_path, body=BODY)
    lab.fetch()
    for path in lab.home.rglob("*"):
        assert path.is_dir() or b"X-Who" not in path.read_bytes()
    saved = json.loads((directory(lab) / "meta.json").read_text())
    assert saved["meta"]["complete"] is True
    assert saved["meta"]["url"] == "http://origin.example:80/f"
    assert URL  # the same, with its port named


# -- without an origin -------------------------------------------------------------------------


def test_recall(tmp_path: Path) -> None:
    """Complete content of an earlier run needs no admission to be given again."""
    lab = CdnLab(tmp_path, body=BODY)
    assert recall(lab) is None
    lab.fetch()
    restart(lab)
    content = recall(lab)
    assert content is not None
    lab.settle(content)
    assert (content.state, lab.read(content)) == (State.READY, BODY)
    assert lab.reader.asked == []


def test_recall_of_a_part(tmp_path: Path) -> None:
    """A part is of no use without the origin; whoever asks properly goes on with it."""
    lab = CdnLab(tmp_path, body=BODY, silent=True)
    lab.obtain()
    lab.reader.give(3 * PIECE)
    lab.tick()
    restart(lab)
    assert recall(lab) is None
    lab.reader.silent = False
    content = lab.fetch()
    assert (content.state, lab.read(content)) == (State.READY, BODY)
    assert [asked.start for asked in lab.reader.asked] == [3 * PIECE]


def test_recall_and_obtain_at_once(tmp_path: Path) -> None:
    """Two ways into memory make one content, and it is fetched."""
    lab = CdnLab(tmp_path, body=BODY)
    lab.fetch()
    lab.stop()
    lab.direct = False
    lab.start()
    got: list[Content | None] = []
    Deferred.fromCoroutine(lab.cdn.recall(TASK)).addCallback(got.append)
    Deferred.fromCoroutine(lab.cdn.obtain(lab.wanted())).addCallback(got.append)
    lab.threads.run()
    assert len(got) == 2
    assert got[0] is got[1]
    assert got[0] is not None
    assert got[0].state is State.READY


def test_forget(tmp_path: Path) -> None:
    """What is fetched or watched stays in memory; what idles leaves it, not the disk."""
    lab = CdnLab(tmp_path, body=BODY, silent=True)
    content = lab.obtain()
    assert not lab.cdn.forget(content)
    lab.reader.give(len(BODY))
    lab.settle(content)
    assert lab.cdn.forget(content)
    assert lab.cdn.get(TASK) is None
    again = lab.fetch()
    assert (again is not content, again.state) == (True, State.READY)
    assert len(lab.reader.asked) == 1
