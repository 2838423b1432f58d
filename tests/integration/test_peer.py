"""Peers, a supernode and an origin in one process: real sockets, real disks."""

from __future__ import annotations

import hashlib
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import pytest_twisted
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol

from dragonfly.errors import DigestMismatch, ErrorCode, OriginRefused, TrackerUnreachable
from dragonfly.peer.download.download import Download
from dragonfly.peer.download.ways import Reason
from dragonfly.peer.swarm.demand import READ_AHEAD_BYTES
from dragonfly.peer.swarm.swarm import PART_LINGER_S
from dragonfly.peer.swarm.transfer import Transfer
from dragonfly.peer.uploads.upload import READ_BYTES
from dragonfly.sched.asking import GROWING_AHEAD
from dragonfly.task.digest import Digest
from tests.doubles.origin import FakeOrigin
from tests.doubles.peers import Peer, Recorder, Supernode, until

MIB = 1024 * 1024
BODY = random.Random(11).randbytes(3_000_000)


@pytest_twisted.async_yield_fixture
async def one(tmp_path: Path, node: Supernode) -> AsyncIterator[Peer]:
    """A peer of it."""
    running = await Peer.started(tmp_path / "one", node)
    yield running
    await running.stop()


@pytest_twisted.async_yield_fixture
async def two(tmp_path: Path, node: Supernode) -> AsyncIterator[Peer]:
    """Another one."""
    running = await Peer.started(tmp_path / "two", node)
    yield running
    await running.stop()


@ensureDeferred
async def test_through_the_swarm(origin: FakeOrigin, one: Peer) -> None:
    """The bytes come from the CDN, which read the origin once."""
    origin.put("/file", BODY)
    download = await one.get(origin.url("/file"))
    assert one.bytes_of(download) == BODY
    assert download.sources == {"cache": 0, "cdn": len(BODY), "peers": 0, "origin": 0}
    assert download.reason == Reason.NONE
    assert origin.sent("/file") == len(BODY)


@ensureDeferred
async def test_small_content_needs_no_neighbours(
    origin: FakeOrigin, node: Supernode, one: Peer, two: Peer
) -> None:
    """It comes inside the answer: the origin is read once, and nobody is in any swarm."""
    small = BODY[:10_240]
    origin.put("/small", small)
    for peer in (one, two, one):
        download = await peer.get(origin.url("/small"))
        assert peer.bytes_of(download) == small
        [task] = peer.service.status()["tasks"]
        assert task["neighbours"] == 0
        assert (task["bytes"]["cdn"], task["bytes"]["peers"]) == (len(small), 0)
    assert node.service is not None
    assert node.service.tracker.peer_count == 0
    assert origin.sent("/small") == len(small)


@ensureDeferred
async def test_small_private_content_is_for_those_who_may(
    origin: FakeOrigin, one: Peer, two: Peer
) -> None:
    """Though the supernode has it in memory, each caller's own credentials are asked about."""
    small = BODY[:10_240]
    origin.put("/small", small, token="right")
    right = (("Authorization", "Bearer right"),)
    assert one.bytes_of(await one.get(origin.url("/small"), headers=right)) == small
    for headers in ((("Authorization", "Bearer wrong"),), ()):
        with pytest.raises(OriginRefused):
            await two.get(origin.url("/small"), headers=headers)
    assert two.bytes_of(await two.get(origin.url("/small"), headers=right)) == small


@ensureDeferred
async def test_the_second_peer_is_fed_by_the_first_too(
    origin: FakeOrigin, one: Peer, two: Peer
) -> None:
    """What one peer has finished goes on being served, and is counted there."""
    origin.put("/file", BODY)
    first = await one.get(origin.url("/file"))
    first.cancel()
    second = await two.get(origin.url("/file"))
    assert two.bytes_of(second) == BODY
    assert second.sources["cdn"] + second.sources["peers"] == len(BODY)
    assert second.sources["peers"] > 0
    assert one.service.status()["tasks"][0]["bytes"]["served"] >= second.sources["peers"]
    assert origin.sent("/file") == len(BODY)


@ensureDeferred
async def test_both_at_once(origin: FakeOrigin, one: Peer, two: Peer) -> None:
    """The origin sends one copy, whoever comes first."""
    origin.put("/file", BODY)
    downloads = await gatherResults(
        [each.fetch(origin.url("/file")).done.wait() for each in (one, two)]
    )
    assert downloads == [None, None]
    assert origin.sent("/file") == len(BODY)


@ensureDeferred
async def test_two_downloads_of_one_home_share_a_transfer(origin: FakeOrigin, one: Peer) -> None:
    """They come at the same moment, and nothing is fetched twice."""
    origin.put("/file", BODY)
    downloads = [one.fetch(origin.url("/file")) for _ in range(3)]
    for download in downloads:
        await download.done.wait()
    assert len(one.service.swarm.transfers) == 1
    assert {download.task for download in downloads} == {downloads[0].task}
    assert one.service.swarm.transfers[0].tally.cdn == len(BODY)


@ensureDeferred
async def test_an_empty_file(origin: FakeOrigin, one: Peer) -> None:
    """Nothing is to be moved, and that is done at once."""
    origin.put("/empty", b"")
    assert one.bytes_of(await one.get(origin.url("/empty"))) == b""


@ensureDeferred
async def test_a_length_that_nobody_knows(origin: FakeOrigin, one: Peer, two: Peer) -> None:
    """It becomes known at the end, for everybody."""
    origin.put("/chunks", BODY, chunked=True)
    for peer in (one, two):
        download = await peer.get(origin.url("/chunks"))
        assert peer.bytes_of(download) == BODY
        assert download.layout.length == len(BODY)


@ensureDeferred
async def test_a_digest_is_checked(origin: FakeOrigin, one: Peer) -> None:
    """Right or wrong, the whole is compared before the download counts as done."""
    origin.put("/file", BODY)
    with pytest.raises(DigestMismatch):
        await one.get(origin.url("/file"), digest=Digest.parse("md5:" + "0" * 32))


@ensureDeferred
async def test_what_the_origin_refuses(origin: FakeOrigin, one: Peer) -> None:
    """404 and 401 come back as they are, and the origin is not tried behind the supernode."""
    origin.put("/secret", BODY, basic=("user", "right"))
    with pytest.raises(OriginRefused) as gone:
        await one.get(origin.url("/nothing"))
    with pytest.raises(OriginRefused) as refused:
        await one.get(origin.url("/secret"))
    assert gone.value.status == 404
    assert refused.value.status == 401


@ensureDeferred
async def test_what_must_not_be_shared_is_read_alone(origin: FakeOrigin, one: Peer) -> None:
    """The supernode says so; the user hears it; nothing of it stays afterwards."""
    origin.put("/mine", BODY, headers={"Cache-Control": "private"})
    told = Recorder()
    download = one.fetch(origin.url("/mine"))
    download.add_listener(told)
    await download.done.wait()
    assert one.bytes_of(download) == BODY
    assert download.sources["origin"] == len(BODY)
    assert told.notices[0].startswith("not shared: ")
    assert one.service.swarm.transfers == []
    path = download.path
    download.cancel()
    await until(lambda: not path.exists())


@ensureDeferred
async def test_a_dead_supernode_means_the_origin(
    origin: FakeOrigin, node: Supernode, one: Peer
) -> None:
    """A new download goes to the origin and says so; with --notbs it fails."""
    origin.put("/file", BODY)
    await node.stop()
    download = await one.get(origin.url("/file"))
    assert one.bytes_of(download) == BODY
    assert download.reason == Reason.NO_SUPERNODE
    with pytest.raises(TrackerUnreachable):
        await one.get(origin.url("/file"), notbs=True)


@ensureDeferred
async def test_the_supernode_dies_in_mid_transfer(
    origin: FakeOrigin, node: Supernode, one: Peer
) -> None:
    """The rest comes from the origin, verified by what is known of the manifest."""
    origin.put("/file", BODY)
    told = Recorder()
    download = one.fetch(origin.url("/file"), local_limit=1_500_000)
    download.add_listener(told)
    await until(lambda: told.total > 500_000)
    await node.stop()
    await download.done.wait()
    assert one.bytes_of(download) == BODY
    assert download.sources["cdn"] > 0
    assert download.sources["origin"] > 0


@ensureDeferred
async def test_an_interrupted_download_is_continued(
    origin: FakeOrigin, node: Supernode, tmp_path: Path
) -> None:
    """Another process of the same home takes up what was verified, and fetches the rest."""
    origin.put("/file", BODY)
    before = await Peer.started(tmp_path / "home", node)
    told = Recorder()
    download = before.fetch(origin.url("/file"), local_limit=1_000_000)
    download.add_listener(told)
    await until(lambda: told.total > 500_000)
    download.cancel()
    await before.stop()
    after = await Peer.started(tmp_path / "home", node)
    again = await after.get(origin.url("/file"))
    assert after.bytes_of(again) == BODY
    assert again.sources["cache"] > 500_000
    assert again.sources["cdn"] == len(BODY) - again.sources["cache"]
    await after.stop()


@ensureDeferred
async def test_damage_on_the_disk_is_found(
    origin: FakeOrigin, node: Supernode, tmp_path: Path
) -> None:
    """The journal is a claim: what was changed meanwhile is fetched again; and not much else,
    which the seed may choose before it hears what is here."""
    origin.put("/file", BODY)
    before = await Peer.started(tmp_path / "home", node)
    download = await before.get(origin.url("/file"))
    path = download.path
    download.cancel()
    await before.stop()
    with path.open("r+b") as file:
        file.seek(1_000_000)
        file.write(b"damage")
    after = await Peer.started(tmp_path / "home", node)
    again = await after.get(origin.url("/file"))
    assert after.bytes_of(again) == BODY
    assert 0 < again.sources["cdn"] <= (1 + GROWING_AHEAD) * again.layout.piece_size
    await after.stop()


@ensureDeferred
async def test_a_changed_file_is_another_task(origin: FakeOrigin, one: Peer) -> None:
    """The next download gets the new version, never a mix."""
    origin.put("/file", BODY)
    first = await one.get(origin.url("/file"))
    origin.put("/file", BODY[::-1], etag='"v2"')
    second = await one.get(origin.url("/file"))
    assert one.bytes_of(first) == BODY
    assert one.bytes_of(second) == BODY[::-1]
    assert first.task != second.task


@ensureDeferred
async def test_an_unfinished_transfer_without_clients_ends(origin: FakeOrigin, one: Peer) -> None:
    """After a moment, and what it has stays for the next who asks."""
    origin.put("/file", BODY)
    told = Recorder()
    download = one.fetch(origin.url("/file"), local_limit=500_000)
    download.add_listener(told)
    await until(lambda: told.total > 200_000)
    download.cancel()
    swarm = one.service.swarm
    (transfer,) = swarm.transfers
    swarm.expire(60.0)
    assert swarm.transfers == [transfer]
    transfer.last_used -= 60.0
    swarm.expire(60.0)
    assert swarm.transfers == []
    again = await one.get(origin.url("/file"))
    assert one.bytes_of(again) == BODY
    assert again.sources["cache"] > 200_000


@ensureDeferred
async def test_a_finished_one_is_served_until_it_expires(
    origin: FakeOrigin, node: Supernode, one: Peer
) -> None:
    """Then its files are deleted, and the supernode is told."""
    origin.put("/file", BODY)
    download = await one.get(origin.url("/file"))
    path = download.path
    swarm = one.service.swarm
    swarm.expire(0.0)
    assert len(swarm.transfers) == 1
    download.cancel()
    swarm.expire(60.0)
    assert len(swarm.transfers) == 1
    swarm.expire(0.0)
    assert swarm.transfers == []
    await until(lambda: not path.exists())


@ensureDeferred
async def test_a_supernode_that_lost_its_memory(
    origin: FakeOrigin, node: Supernode, one: Peer, two: Peer
) -> None:
    """After its restart peers are known again, and nothing is fetched a second time."""
    origin.put("/file", BODY)
    await one.get(origin.url("/file"))
    await node.stop()
    node.start()
    second = await two.get(origin.url("/file"))
    assert two.bytes_of(second) == BODY
    assert origin.sent("/file") == len(BODY)


@ensureDeferred
async def test_a_supernode_with_another_key_is_refused(
    origin: FakeOrigin, node: Supernode, one: Peer
) -> None:
    """Nothing is sent to it; the origin is read, with a warning that tells what to do."""
    origin.put("/file", BODY)
    (await one.get(origin.url("/file"))).cancel()
    await node.stop()
    (node.home / "tls.pem").unlink()
    node.start()
    told = Recorder()
    download = one.fetch(origin.url("/file"))
    download.add_listener(told)
    await download.done.wait()
    assert download.sources["origin"] == len(BODY)
    assert told.notices[0].startswith("WARNING: THE KEY OF THE SUPERNODE")
    assert "known_supernodes" in told.notices[0]


@ensureDeferred
async def test_credentials_are_checked_for_each_download(
    origin: FakeOrigin, one: Peer, two: Peer
) -> None:
    """Who has no right gets nothing, though the bytes are here and there."""
    origin.put("/secret", BODY, basic=("user", "right"))
    right = (("Authorization", "Basic dXNlcjpyaWdodA=="),)
    wrong = (("Authorization", "Basic dXNlcjp3cm9uZw=="),)
    download = await one.get(origin.url("/secret"), headers=right)
    assert one.bytes_of(download) == BODY
    for peer in (one, two):
        with pytest.raises(OriginRefused) as refused:
            await peer.get(origin.url("/secret"), headers=wrong)
        assert refused.value.status == 401
    assert origin.sent("/secret") < 2 * len(BODY)


@ensureDeferred
async def test_bytes_in_order_while_they_come(origin: FakeOrigin, one: Peer) -> None:
    """A reader gets them from the front, each only after it was verified."""
    origin.put("/file", BODY)
    download = one.fetch(origin.url("/file"))
    told = Recorder()
    download.add_listener(told)
    await until(lambda: bool(told.layouts))
    sink = _Sink()
    assert await download.reader(sink).done == len(BODY)
    assert b"".join(sink.chunks) == BODY


@attrs.define(eq=False)
class _Sink:
    chunks: list[bytes] = attrs.field(factory=list)

    def registerProducer(self, producer: object, streaming: bool) -> None:
        assert streaming

    def unregisterProducer(self) -> None:
        pass

    def write(self, data: bytes) -> None:
        self.chunks.append(data)


@ensureDeferred
async def test_somebody_elses_grant_opens_nothing(origin: FakeOrigin, one: Peer, two: Peer) -> None:
    """Who shows a grant for another key is told so, and gets no byte."""
    origin.put("/file", BODY)
    ours = one.service.swarm.get((await one.get(origin.url("/file"))).task)
    theirs = two.service.swarm.get((await two.get(origin.url("/file"))).task)
    assert ours is not None
    assert theirs is not None
    for link in theirs.links:
        theirs.links.drop(link.key, ErrorCode.NO_ERROR, "the test begins")
    await until(lambda: len(theirs.links) + len(ours.links) == 1)  # the CDN's
    served = ours.tally.served
    theirs.membership.grant = ours.membership.grant
    theirs.links.take_dead()
    dead = _Watched(theirs)
    theirs.links.connect([one.neighbour])
    await until(lambda: dead.found)
    assert dead.found == [one.neighbour.key]
    assert ours.tally.served == served


@attrs.define(eq=False)
class _Watched:
    """Collects who could not be linked with."""

    transfer: Transfer
    keys: list[bytes] = attrs.field(factory=list)

    @property
    def found(self) -> list[bytes]:
        self.keys += self.transfer.links.take_dead()
        return self.keys


@ensureDeferred
async def test_garbage_on_the_piece_port(origin: FakeOrigin, one: Peer, two: Peer) -> None:
    """It is answered with a goodbye and closed; the peer goes on."""
    origin.put("/file", BODY)
    await one.get(origin.url("/file"))
    ended: Deferred[bytes] = Deferred()
    endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", one.service.pieces.port)
    await connectProtocol(endpoint, _Garbage(ended))
    await ended
    assert two.bytes_of(await two.get(origin.url("/file"))) == BODY


class _Garbage(Protocol):
    def __init__(self, ended: Deferred[bytes]) -> None:
        self._ended = ended
        self._heard = b""

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 10)

    def dataReceived(self, data: bytes) -> None:
        self._heard += data

    def connectionLost(self, reason: object = None) -> None:
        self._ended.callback(self._heard)


# -- parts ------------------------------------------

LARGE = random.Random(12).randbytes(64 * 1024 * 1024)
SOME = 50_000


class _Hasty(_Sink):
    """Hangs up when it has ``enough`` bytes."""

    def __init__(self, enough: int) -> None:
        super().__init__()
        self.enough = enough
        self.producer: Any = None

    def registerProducer(self, producer: object, streaming: bool) -> None:
        self.producer = producer

    def write(self, data: bytes) -> None:
        super().write(data)
        if sum(map(len, self.chunks)) >= self.enough:
            self.producer.stopProducing()


async def _part(peer: Peer, url: str, **wishes: Any) -> Download:
    """A download of parts, with a layout."""
    download = peer.fetch(url, whole=False, **wishes)
    told = Recorder()
    download.add_listener(told)
    await until(lambda: bool(told.layouts))
    return download


@ensureDeferred
async def test_a_part_costs_its_pieces_and_the_rest_comes_when_it_is_wanted(
    origin: FakeOrigin, node: Supernode, one: Peer
) -> None:
    """50 KB of 64 MiB, then a cursor that hangs up after 1 MiB, then everything, compared."""
    origin.put("/large", LARGE)
    url = origin.url("/large")
    digest = Digest("sha256", hashlib.sha256(LARGE).digest())
    download = await _part(one, url, digest=digest)
    (transfer,) = one.service.swarm.transfers
    piece_size = download.layout.piece_size
    sink, begin = _Sink(), 40_000_000
    assert await download.reader(sink, begin, begin + SOME).done == SOME
    assert b"".join(sink.chunks) == LARGE[begin : begin + SOME]
    assert download.sources["cdn"] == transfer.tally.cdn <= SOME + 2 * piece_size
    await download.done.wait()
    download.cancel()
    assert transfer.content.lacking == 0

    before = transfer.tally.cdn
    download = await _part(one, url, digest=digest)
    with pytest.raises(ConnectionAbortedError):
        await download.reader(_Hasty(MIB), 5 * MIB).done
    download.cancel()
    await until(lambda: not transfer._picker.in_flight)
    assert MIB <= transfer.tally.cdn - before <= MIB + READ_BYTES + READ_AHEAD_BYTES + piece_size
    assert one.service.swarm.transfers == [transfer]

    whole = one.fetch(url, digest=digest)
    await whole.done.wait()
    assert one.bytes_of(whole) == LARGE
    assert transfer.tally.cdn == len(LARGE)
    assert origin.sent("/large") == len(LARGE)


@ensureDeferred
async def test_eight_ranges_at_once_are_one_copy(origin: FakeOrigin, one: Peer) -> None:
    """Each by a request of its own, as aria2 does."""
    origin.put("/large", LARGE)
    share = len(LARGE) // 8
    parts = [await _part(one, origin.url("/large")) for _ in range(8)]
    sinks = [_Sink() for _ in parts]
    readers = [
        part.reader(sink, number * share, (number + 1) * share)
        for number, (part, sink) in enumerate(zip(parts, sinks, strict=True))
    ]
    assert await gatherResults([reader.done for reader in readers]) == [share] * 8
    assert b"".join(chunk for sink in sinks for chunk in sink.chunks) == LARGE
    (transfer,) = one.service.swarm.transfers
    assert transfer.tally.cdn == len(LARGE)
    assert transfer.content.complete


@ensureDeferred
async def test_who_has_read_a_part_gives_it_to_others(
    origin: FakeOrigin, one: Peer, two: Peer
) -> None:
    """Also when nobody there wants anything any more; what it has not comes from the CDN."""
    origin.put("/file", BODY)
    first = await _part(one, origin.url("/file"))
    await first.reader(_Sink(), 0, MIB).done
    first.cancel()
    second = await _part(two, origin.url("/file"))
    (transfer,) = two.service.swarm.transfers
    await until(lambda: sum(bool(link.mask) for link in transfer.links) == 2)
    sink = _Sink()
    assert await second.reader(sink, MIB // 2, 2 * MIB).done == 3 * MIB // 2
    assert b"".join(sink.chunks) == BODY[MIB // 2 : 2 * MIB]
    assert second.sources["peers"] > 0
    assert second.sources["cdn"] > 0
    assert sum(second.sources.values()) <= 3 * MIB // 2 + 2 * second.layout.piece_size
    assert one.service.swarm.transfers[0].tally.cdn <= MIB + second.layout.piece_size


@ensureDeferred
async def test_what_was_read_in_parts_is_found_again(origin: FakeOrigin, one: Peer) -> None:
    """After its transfer has ended, too: it was longer there than one that was given up."""
    origin.put("/file", BODY)
    part = await _part(one, origin.url("/file"))
    await part.reader(_Sink(), MIB, 2 * MIB).done
    part.cancel()
    swarm = one.service.swarm
    (transfer,) = swarm.transfers
    transfer.last_used -= PART_LINGER_S / 2
    swarm.expire(600.0)
    assert swarm.transfers == [transfer]
    transfer.last_used -= PART_LINGER_S / 2
    swarm.expire(600.0)
    assert swarm.transfers == []
    again = await _part(one, origin.url("/file"))
    sink = _Sink()
    assert await again.reader(sink, MIB, 2 * MIB).done == MIB
    assert b"".join(sink.chunks) == BODY[MIB : 2 * MIB]
    assert again.sources["cache"] >= MIB
    assert again.sources["cdn"] == 0
    whole = await one.get(origin.url("/file"))
    assert one.bytes_of(whole) == BODY
