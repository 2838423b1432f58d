"""A peer without a supernode: real HTTP, real disk, what is resumed and what is not."""

from __future__ import annotations

import hashlib
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_twisted
from pytest_twisted import ensureDeferred

from dragonfly.errors import (
    DigestMismatch,
    HomeBusy,
    NoSources,
    OriginRefused,
    OriginTruncated,
    OriginUnreachable,
    TrackerUnreachable,
)
from dragonfly.peer.download.ways import Reason
from dragonfly.task.digest import Digest
from tests.doubles.origin import FakeOrigin
from tests.doubles.peers import Peer, Recorder, until

BODY = random.Random(7).randbytes(1_500_000)


@pytest_twisted.async_yield_fixture
async def peer(tmp_path: Path) -> AsyncIterator[Peer]:
    """A peer that knows no supernode."""
    running = await Peer.started(tmp_path / "home")
    yield running
    await running.stop()


@ensureDeferred
async def test_reads_the_origin_and_says_so(origin: FakeOrigin, peer: Peer) -> None:
    """Without a supernode a download works, and the user hears where it comes from."""
    origin.put("/file", BODY)
    told = Recorder()
    download = peer.fetch(origin.url("/file"))
    download.add_listener(told)
    await download.done.wait()
    assert peer.bytes_of(download) == BODY
    assert download.sources == {"cache": 0, "cdn": 0, "peers": 0, "origin": len(BODY)}
    assert download.reason == Reason.NO_SUPERNODE
    assert "downloading from the origin: no supernode is configured" in told.notices
    assert told.total == len(BODY)
    assert told.ended == [None]


@ensureDeferred
async def test_an_empty_file_and_one_of_unknown_length(origin: FakeOrigin, peer: Peer) -> None:
    """Both have a length in the end."""
    origin.put("/empty", b"")
    origin.put("/chunks", BODY, chunked=True)
    empty = await peer.get(origin.url("/empty"))
    chunks = await peer.get(origin.url("/chunks"))
    assert peer.bytes_of(empty) == b""
    assert empty.layout.length == 0
    assert peer.bytes_of(chunks) == BODY
    assert chunks.layout.length == len(BODY)


@ensureDeferred
async def test_nothing_is_read_twice_when_it_is_asked_for_again(
    origin: FakeOrigin, peer: Peer
) -> None:
    """The second download asks the origin whether it is the same, and takes what is here."""
    origin.put("/file", BODY)
    first = await peer.get(origin.url("/file"))
    first.cancel()
    second = await peer.get(origin.url("/file"))
    assert peer.bytes_of(second) == BODY
    assert second.sources["cache"] == len(BODY)
    assert origin.sent("/file") == len(BODY)
    assert origin.count("/file") == 2


@ensureDeferred
async def test_a_changed_file_is_fetched_anew(origin: FakeOrigin, peer: Peer) -> None:
    """What is here of another version is worth nothing."""
    origin.put("/file", BODY)
    (await peer.get(origin.url("/file"))).cancel()
    origin.put("/file", BODY[::-1], etag='"v2"')
    second = await peer.get(origin.url("/file"))
    assert peer.bytes_of(second) == BODY[::-1]
    assert second.sources["cache"] == 0


@ensureDeferred
async def test_an_interrupted_download_goes_on_by_range_in_another_process(
    origin: FakeOrigin, tmp_path: Path
) -> None:
    """Ctrl-C leaves a state that the next run continues."""
    page = origin.put("/file", BODY, stall_after=1_000_000)
    before = await Peer.started(tmp_path / "home")
    told = Recorder()
    download = before.fetch(origin.url("/file"))
    download.add_listener(told)
    await until(lambda: told.total >= 900_000)
    download.cancel()
    await before.stop()
    page.stall_after = None
    after = await Peer.started(tmp_path / "home")
    again = await after.get(origin.url("/file"))
    assert after.bytes_of(again) == BODY
    assert again.sources["cache"] >= 900_000
    assert again.sources["origin"] == len(BODY) - again.sources["cache"]
    assert origin.requests("/file")[-1].headers["range"].startswith("bytes=9")
    await after.stop()


@ensureDeferred
async def test_without_a_strong_validator_it_begins_again(origin: FakeOrigin, peer: Peer) -> None:
    """Nothing tells whether the rest belongs to what is here, so nothing of it is used."""
    page = origin.put("/file", BODY, etag=None, stall_after=1_000_000)
    told = Recorder()
    download = peer.fetch(origin.url("/file"))
    download.add_listener(told)
    await until(lambda: told.total >= 900_000)
    download.cancel()
    page.stall_after = None
    again = await peer.get(origin.url("/file"))
    assert peer.bytes_of(again) == BODY
    assert again.sources["cache"] == 0


@ensureDeferred
async def test_a_cut_transfer_is_continued(origin: FakeOrigin, peer: Peer) -> None:
    """The connection breaks once; the rest comes by Range, the user notices nothing."""
    origin.put("/file", BODY, cut_after=700_000, cuts=1)
    told = Recorder()
    download = peer.fetch(origin.url("/file"))
    download.add_listener(told)
    await download.done.wait()
    assert peer.bytes_of(download) == BODY
    assert told.restarts == 0
    assert origin.count("/file") == 2


@ensureDeferred
async def test_a_cut_transfer_without_validator_is_begun_again_once(
    origin: FakeOrigin, peer: Peer
) -> None:
    """It could be another version by now; an origin that always cuts is an error."""
    page = origin.put("/file", BODY, etag=None, cut_after=700_000, cuts=1)
    told = Recorder()
    download = peer.fetch(origin.url("/file"))
    download.add_listener(told)
    await download.done.wait()
    assert peer.bytes_of(download) == BODY
    assert told.restarts == 1
    download.cancel()
    page.cuts = None
    with pytest.raises(OriginTruncated):
        await peer.get(origin.url("/file"))


@ensureDeferred
async def test_what_the_origin_refuses_is_refused(origin: FakeOrigin, peer: Peer) -> None:
    """The status reaches the user; so does a connection that nobody takes."""
    origin.put("/gone", b"no", status=404)
    with pytest.raises(OriginRefused) as refused:
        await peer.get(origin.url("/gone"))
    assert refused.value.status == 404
    with pytest.raises(OriginUnreachable):
        await peer.get("http://127.0.0.1:1/file")


@ensureDeferred
async def test_a_wrong_digest_fails(origin: FakeOrigin, peer: Peer) -> None:
    """The bytes are there, and are not what the user asked for."""
    origin.put("/file", BODY)
    with pytest.raises(DigestMismatch):
        await peer.get(origin.url("/file"), digest=Digest.parse("md5:" + "0" * 32))


@ensureDeferred
async def test_what_is_not_what_its_name_says_is_not_kept(origin: FakeOrigin, peer: Peer) -> None:
    """A registry that is repaired gives the right bytes under the same entity tag."""
    path = f"/v2/app/blobs/sha256:{hashlib.sha256(BODY).hexdigest()}"
    origin.put(path, BODY[::-1], etag='"digest"')
    with pytest.raises(DigestMismatch):
        await peer.get(origin.url(path))
    origin.put(path, BODY, etag='"digest"')
    second = await peer.get(origin.url(path))
    assert peer.bytes_of(second) == BODY
    assert second.sources["cache"] == 0


@ensureDeferred
async def test_notbs_forbids_the_origin(origin: FakeOrigin, peer: Peer) -> None:
    """Then no supernode means no download, and the origin is not asked."""
    origin.put("/file", BODY)
    with pytest.raises(TrackerUnreachable):
        await peer.get(origin.url("/file"), notbs=True)
    assert origin.count("/file") == 0


@ensureDeferred
async def test_pattern_source_reads_the_origin(origin: FakeOrigin, peer: Peer) -> None:
    """As asked: that is the reason that is reported."""
    origin.put("/file", BODY)
    download = await peer.get(origin.url("/file"), pattern="source")
    assert download.reason == Reason.USER_ASKED


@ensureDeferred
async def test_several_at_once_share_one_reading(origin: FakeOrigin, peer: Peer) -> None:
    """The origin sends one copy; other credentials are another reader."""
    page = origin.put("/file", BODY, stall_after=100_000)
    one = peer.fetch(origin.url("/file"))
    two = peer.fetch(origin.url("/file"))
    other = peer.fetch(origin.url("/file"), headers=(("Authorization", "Basic eDp5"),))
    await until(lambda: all(each.task for each in (one, two, other)))
    assert origin.count("/file") == 2
    assert one.task == two.task != other.task
    page.stall_after = None
    for download in (one, two, other):
        download.cancel()


@ensureDeferred
async def test_solo_content_is_nobody_elses(origin: FakeOrigin, peer: Peer) -> None:
    """Nobody signed for it, so no incoming connection can name it."""
    origin.put("/file", BODY)
    download = await peer.get(origin.url("/file"))
    assert peer.service.swarm.get(download.task) is None


@ensureDeferred
async def test_a_time_limit_ends_a_download(origin: FakeOrigin, peer: Peer) -> None:
    """The user gets an error in the time that he gave."""
    origin.put("/file", BODY, stall_after=1000)
    with pytest.raises(NoSources, match=r"not finished within 0\.2 s"):
        await peer.get(origin.url("/file"), timeout_s=0.2)


@ensureDeferred
async def test_one_process_for_a_home(peer: Peer, tmp_path: Path) -> None:
    """The second one is told so."""
    with pytest.raises(HomeBusy):
        await Peer.started(tmp_path / "home")


@ensureDeferred
async def test_finished_content_is_deleted_when_idle(origin: FakeOrigin, tmp_path: Path) -> None:
    """--expiretime governs the private store."""
    origin.put("/file", BODY)
    peer = await Peer.started(tmp_path / "home", expire_s=0.0)
    download = await peer.get(origin.url("/file"))
    path = download.path
    peer.service.swarm.expire(0.0)
    assert path.exists()
    download.cancel()
    peer.service.swarm.expire(0.0)
    await until(lambda: not path.exists())
    await peer.stop()


@ensureDeferred
async def test_the_service_ends_when_idle(tmp_path: Path) -> None:
    """--alivetime: whoever runs the service hears of it."""
    peer = await Peer.started(tmp_path / "home", alive_s=0.01)
    assert (await peer.service.finished.wait()).startswith("idle for")
    await peer.stop()
