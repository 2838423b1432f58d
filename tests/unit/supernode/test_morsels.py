"""Small contents: one request, one disk job, and all of it for whoever was admitted."""

from __future__ import annotations

import hashlib
from pathlib import Path

import attrs
import pytest
from twisted.internet.defer import Deferred

from dragonfly.control.messages import INLINE_BYTES
from dragonfly.errors import DigestMismatch, DiskFull, OriginUnreachable
from dragonfly.net.throttle import Throttle
from dragonfly.supernode.content import Content, State
from dragonfly.supernode.morsels import FLOW, KEPT_BYTES, WAIT_S
from dragonfly.task.digest import Digest
from tests.doubles.cdn import PIECE, CdnLab, content_of
from tests.doubles.swarm import result_of

BODY = content_of(10 * 1024)
TASK = b"T" * 32


def give(lab: CdnLab, content: Content, limit: int = INLINE_BYTES) -> bytes | None:
    """All of a content, given at once."""
    asking = Deferred.fromCoroutine(lab.cdn.whole(content, limit))
    lab.threads.run()
    found: bytes | None = result_of(asking)
    return found


@pytest.mark.parametrize("size", [1, PIECE, PIECE + 1, INLINE_BYTES])
def test_all_of_it_at_once(tmp_path: Path, size: int) -> None:
    """One request; the bytes are given out, lie on disk, and are signed to the last piece."""
    lab = CdnLab(tmp_path, body=content_of(size))
    content = lab.obtain()
    assert content.state is State.READY
    assert give(lab, content) == lab.reader.body
    assert lab.read(content) == lab.reader.body
    assert content.manifest.complete
    assert len(lab.reader.asked) == 1
    assert lab.metrics.registry.get_sample_value("dragonfly_supernode_cdn_download_total") == 1


def reloaded(lab: CdnLab) -> Content:
    """The content as the next run has it: on disk, not in memory."""
    lab.obtain()
    lab.stop()
    lab.start()
    return lab.fetch()


def test_no_more_than_the_caller_takes(tmp_path: Path) -> None:
    """Who takes nothing, or less, gets nothing."""
    lab = CdnLab(tmp_path, body=BODY)
    content = lab.obtain()
    assert give(lab, content, 0) is None
    assert give(lab, content, len(BODY) - 1) is None
    assert give(lab, content, len(BODY)) == BODY


@pytest.mark.parametrize("size", [0, INLINE_BYTES + 1])
def test_other_contents_are_not_given(tmp_path: Path, size: int) -> None:
    """Nothing of what is empty, or longer than an answer may be."""
    lab = CdnLab(tmp_path, body=content_of(size))
    assert give(lab, lab.fetch(), 1 << 30) is None


def test_it_survives_a_restart(tmp_path: Path) -> None:
    """What one job wrote is believed, after hashing, and not fetched again."""
    lab = CdnLab(tmp_path, body=BODY)
    lab.obtain()
    lab.stop()
    lab.reader.asked.clear()
    lab.start()
    content = lab.fetch()
    assert content.state is State.READY
    assert give(lab, content) == BODY
    assert lab.reader.asked == []


def test_it_is_read_from_disk_once(tmp_path: Path) -> None:
    """After that memory will do."""
    lab = CdnLab(tmp_path, body=BODY)
    content = reloaded(lab)
    assert give(lab, content) == BODY
    assert content.file is not None
    Path(content.file.path).unlink()
    assert give(lab, content) == BODY


def test_a_disk_that_cannot_be_read_gives_nothing(tmp_path: Path) -> None:
    """The caller is told what any other is, and no error."""
    lab = CdnLab(tmp_path, body=BODY)
    content = reloaded(lab)
    assert content.file is not None
    content.file.forget()
    assert give(lab, content) is None


@pytest.mark.parametrize("at", [0, len(BODY) - 1])
def test_what_the_disk_changed_is_given_to_nobody(tmp_path: Path, at: int) -> None:
    """It is compared with what was signed, to the last piece; once, not for each caller."""
    lab = CdnLab(tmp_path, body=BODY)
    content = reloaded(lab)
    assert content.file is not None
    path = Path(content.file.path)
    path.write_bytes(BODY[:at] + bytes([BODY[at] ^ 1]) + BODY[at + 1 :])
    assert give(lab, content) is None
    assert lab.cdn.morsels.kept.size == 0
    path.write_bytes(BODY)
    assert give(lab, content) is None


def test_memory_is_bounded(tmp_path: Path) -> None:
    """The least used leave first."""
    lab = CdnLab(tmp_path, body=content_of(INLINE_BYTES))
    for number in range(KEPT_BYTES // INLINE_BYTES + 10):
        lab.obtain(lab.wanted(number.to_bytes(32, "big")))
    assert lab.cdn.morsels.kept.size == KEPT_BYTES


def test_a_slow_origin_is_not_waited_for(tmp_path: Path) -> None:
    """Whoever asked is told soon that the bytes must come another way; they still come."""
    lab = CdnLab(tmp_path, body=BODY, silent=True)
    content = lab.obtain()
    asking = Deferred.fromCoroutine(lab.cdn.whole(content, INLINE_BYTES))
    lab.tick(WAIT_S)
    assert result_of(asking) is None
    lab.reader.give(len(BODY))
    lab.threads.run()
    assert give(lab, content) == BODY


def test_who_leaves_does_not_stop_it(tmp_path: Path) -> None:
    """Cancelling gives up one's own waiting."""
    lab = CdnLab(tmp_path, body=BODY, silent=True)
    content = lab.obtain()
    leaving = Deferred.fromCoroutine(lab.cdn.whole(content, INLINE_BYTES))
    leaving.addErrback(lambda _: None)
    staying = Deferred.fromCoroutine(lab.cdn.whole(content, INLINE_BYTES))
    leaving.cancel()
    lab.reader.give(len(BODY))
    lab.threads.run()
    assert result_of(staying) == BODY


# -- when it does not go well -----------------------------------------------------------------


def test_a_cut_is_gone_on_from_in_the_ordinary_way(tmp_path: Path) -> None:
    """The fetch that knows how to continue does so."""
    lab = CdnLab(tmp_path, body=BODY, cut_after=1000)
    content = lab.fetch()
    assert content.state is State.READY
    assert give(lab, content) == BODY


def test_an_origin_that_does_not_answer_is_tried_again(tmp_path: Path) -> None:
    """As for any other content."""
    lab = CdnLab(tmp_path, body=BODY, errors=[OriginUnreachable("nobody", 0)])
    content = lab.fetch()
    assert content.state is State.READY


def test_wrong_bytes_are_given_to_nobody(tmp_path: Path) -> None:
    """Their digest decides, however often they come."""
    lab = CdnLab(tmp_path, body=BODY)
    digest = Digest("sha256", hashlib.sha256(b"other").digest())
    content = lab.fetch(lab.wanted(digest=digest))
    assert isinstance(content.error, DigestMismatch)
    assert content.held == 0
    assert give(lab, content) is None


def test_another_length_is_another_version(tmp_path: Path) -> None:
    """What the check told and what the transfer tells must be one."""
    lab = CdnLab(tmp_path, body=BODY)
    wanted = lab.wanted()
    lab.reader.body = BODY[:-1]
    content = lab.fetch(wanted)
    assert content.state is State.FAILED
    assert give(lab, content) is None


def test_a_full_disk_fails_it(tmp_path: Path) -> None:
    """Nothing is given out that could not be written; the next try may succeed."""
    lab = CdnLab(tmp_path, body=BODY)
    create = lab.store.create

    def full(*_: object, **__: object) -> None:
        raise DiskFull("no space")

    lab.store.create = full  # type: ignore[method-assign, assignment]
    content = lab.obtain()
    assert isinstance(content.error, DiskFull)
    assert give(lab, content) is None
    lab.store.create = create  # type: ignore[method-assign]
    assert give(lab, lab.fetch()) == BODY


@pytest.mark.parametrize("named", [True, False])
def test_only_what_a_digest_proves_may_use_an_old_connection(tmp_path: Path, named: bool) -> None:
    """Bytes that another answer left behind would be found out."""
    lab = CdnLab(tmp_path, body=BODY)
    digest = Digest("sha256", hashlib.sha256(BODY).digest()) if named else None
    content = lab.fetch(lab.wanted(digest=digest))
    assert content.state is State.READY
    assert [asked.checked for asked in lab.reader.asked] == [named]


def test_the_cap_on_reading_holds_for_small_contents(tmp_path: Path) -> None:
    """They wait for their share like all others."""
    lab = CdnLab(tmp_path, body=BODY)
    bucket = Throttle(lab.clock, len(BODY))
    bucket.charge(FLOW, 10 * len(BODY))
    lab.cdn.morsels._tools = attrs.evolve(lab.tools, rate=bucket)
    content = lab.obtain()
    assert content.state is State.FETCHING
    lab.settle(content)
    assert content.state is State.READY
