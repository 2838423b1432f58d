"""The seed on real sockets, with real threads: neighbours get all of it, strangers get a code."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater

from dragonfly.errors import ErrorCode
from dragonfly.net.disk import DiskPool
from dragonfly.signatures import SigningKey
from dragonfly.supernode.content import Content
from dragonfly.wire.constants import FRAME_LIMITS, Kind
from tests.doubles.leecher import Leecher
from tests.doubles.seedwork import Shop
from tests.doubles.wire import frame, frames_of

PIECE = 64 * 1024


class Rig(Shop):
    """A shop that listens on loopback."""

    async def open(self) -> None:
        """Bind a port."""
        endpoint = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
        self.listening = await endpoint.listen(self.seed.factory)
        self.seed.port = self.listening.getHost().port

    async def join(self, content: Content, **options: object) -> Leecher:
        """Connect a neighbour."""
        leecher = Leecher(self.key, content, reactor, **options)
        await self.connect(leecher.protocol())
        return leecher

    async def connect(self, protocol: Protocol) -> Protocol:
        """Connect anything."""
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.seed.port)
        return await connectProtocol(endpoint, protocol)

    async def say(self, data: bytes) -> tuple[int, str]:
        """Say ``data`` and give the code and text of the goodbye."""
        stranger = Stranger(data)
        await self.connect(stranger)
        kind, payload = frames_of(await stranger.heard)[-1]
        assert kind == Kind.BYE
        return struct.unpack_from(">H", payload)[0], payload[2:].decode()


class Stranger(Protocol):
    """Says one thing and listens to the end."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.answer = b""
        self.heard: Deferred[bytes] = Deferred()

    def connectionMade(self) -> None:
        """Say it."""
        self.transport.write(self.data)

    def dataReceived(self, data: bytes) -> None:
        """Keep it."""
        self.answer += data

    def connectionLost(self, reason: object) -> None:
        """That was all."""
        self.heard.callback(self.answer)


@pytest_twisted.async_yield_fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """A seed on a port of its own; nothing of it is left after the test."""
    disk = DiskPool(reactor)
    disk.start()
    made = Rig(tmp_path, reactor, disk)
    await made.open()
    yield made
    await made.listening.stopListening()
    made.seed.close()
    await disk.stop()
    while made.seed._callers:
        await deferLater(reactor, 0.01, lambda: None)
    made.store.close()


async def served(rig: Rig, content: Content) -> None:
    """The server lives: somebody gets everything."""
    leecher = await rig.join(content, asks=4)
    await leecher.done
    whole = b"".join(leecher.pieces[n] for n in sorted(leecher.pieces))
    assert whole == rig.bytes[content.id]
    leecher.peer.close()


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("asks", [1, 8])
async def test_one_neighbour(rig: Rig, asks: int) -> None:
    """All pieces, verified, each once, the last one short."""
    content = rig.stock(300 * PIECE + 77, piece_size=PIECE)
    leecher = await rig.join(content, asks=asks)
    await leecher.done
    assert b"".join(leecher.pieces[n] for n in range(301)) == rig.bytes[content.id]
    assert leecher.repeats == 0
    assert rig.uploaded() == 300 * PIECE + 77
    leecher.peer.close()


@pytest_twisted.ensureDeferred
async def test_many_neighbours_of_two_tasks(rig: Rig) -> None:
    """They share the slots, and everybody gets there."""
    one = rig.stock(60 * PIECE, piece_size=PIECE)
    two = rig.stock(40 * PIECE + 1, piece_size=PIECE, task=b"2" * 32)
    swarm = [await rig.join(one if n % 2 else two, asks=1 + n % 3) for n in range(12)]
    await gatherResults([leecher.done for leecher in swarm])
    assert all(not leecher.closed and not leecher.repeats for leecher in swarm)
    for leecher in swarm:
        leecher.peer.close()


@pytest_twisted.ensureDeferred
async def test_large_pieces(rig: Rig) -> None:
    """Pieces of many slices, on one connection at the same time."""
    content = rig.stock(9 * 2**20 + 5, piece_size=2**20)
    leecher = await rig.join(content, asks=8)
    await leecher.done
    assert b"".join(leecher.pieces[n] for n in range(10)) == rig.bytes[content.id]
    leecher.peer.close()


@pytest_twisted.ensureDeferred
async def test_while_it_is_being_fetched(rig: Rig) -> None:
    """Each piece goes out as soon as it is signed."""
    content = rig.stock(50 * PIECE + 3, piece_size=PIECE, held=0)
    leecher = await rig.join(content, asks=2)
    for have in range(10, 50, 10):
        rig.grow(content, 10)
        while len(leecher.pieces) < have:
            await deferLater(reactor, 0.001, lambda: None)
    rig.grow(content, 11, end=True)
    await leecher.done
    assert b"".join(leecher.pieces[n] for n in range(51)) == rig.bytes[content.id]
    leecher.peer.close()


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"GET / HTTP/1.1\r\nHost: supernode\r\n\r\n", ErrorCode.BAD_MAGIC),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", ErrorCode.BAD_MAGIC),
        (frame(Kind.HELLO, b"EVIL" + bytes(120)), ErrorCode.BAD_MAGIC),
        (frame(Kind.HELLO, bytes(2000)), ErrorCode.BAD_MAGIC),
        (frame(99), ErrorCode.BAD_MAGIC),
        (frame(Kind.PING, bytes(8)), ErrorCode.UNEXPECTED_MESSAGE),
    ],
)
async def test_garbage(rig: Rig, said: bytes, code: ErrorCode) -> None:
    """Whoever does not speak the protocol is told so, and hurts nobody."""
    assert (await rig.say(said))[0] == code
    await served(rig, rig.stock(5 * PIECE, piece_size=PIECE))


@pytest_twisted.ensureDeferred
async def test_an_old_version(rig: Rig) -> None:
    """Versions before the first are spoken by nobody."""
    content = rig.stock(5 * PIECE, piece_size=PIECE)
    leecher = Leecher(rig.key, content, reactor)
    leecher.protocol().makeConnection(Sink())
    hello = bytearray(leecher.peer.transport.data)
    hello[9:11] = b"\0\0"
    code, text = await rig.say(bytes(hello))
    leecher.peer.connectionLost()
    assert code == ErrorCode.UNSUPPORTED_VERSION
    assert "version" in text
    await served(rig, content)


class Sink:
    """Takes what is written."""

    def __init__(self) -> None:
        self.data = b""

    def writeSequence(self, chunks: list[bytes]) -> None:
        """Keep it."""
        self.data += b"".join(chunks)

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """Nothing to do."""


@pytest_twisted.ensureDeferred
async def test_an_oversized_frame(rig: Rig) -> None:
    """Its header is enough to end the connection."""
    content = rig.stock(5 * PIECE, piece_size=PIECE)
    leecher = await rig.join(content, asks=0)
    while not leecher.opened:
        await deferLater(reactor, 0.001, lambda: None)
    most = FRAME_LIMITS[Kind.HAVE][1]
    leecher.peer.transport.write(struct.pack(">IB", most + 1, Kind.HAVE))
    await leecher.done
    assert leecher.code == ErrorCode.FRAME_TOO_LARGE
    await served(rig, content)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("forged", ErrorCode.BAD_GRANT),
        ("foreign", ErrorCode.BAD_GRANT),
        ("garbage", ErrorCode.BAD_GRANT),
        ("expired", ErrorCode.GRANT_EXPIRED),
        ("other task", ErrorCode.UNKNOWN_TASK),
        ("other fetch", ErrorCode.MANIFEST_MISMATCH),
        ("banned", ErrorCode.NOT_ALLOWED),
    ],
)
async def test_bad_callers(rig: Rig, how: str, code: ErrorCode) -> None:
    """Each gets the code that tells what is wrong; the next caller is served."""
    content = rig.stock(5 * PIECE, piece_size=PIECE)
    signer = SigningKey.generate() if how == "forged" else rig.key
    offer: dict[str, object] = {
        "expired": {"now": reactor.seconds() - 3 * 86_400},
        "other task": {"task": b"x" * 32},
        "other fetch": {"fetch": 99},
    }.get(how, {})
    leecher = Leecher(signer, content, reactor, **offer)
    if how == "foreign":
        other = Leecher(rig.key, content, reactor)
        leecher.offer = attrs.evolve(leecher.offer, grant=other.offer.grant)
    elif how == "garbage":
        leecher.offer = attrs.evolve(leecher.offer, grant=bytes(159))
    elif how == "banned":
        rig.bans[leecher.key.public] = "wrong bytes"
    await rig.connect(leecher.protocol())
    await leecher.done
    assert leecher.code == code
    assert not leecher.opened
    await served(rig, content)


@pytest_twisted.ensureDeferred
async def test_a_replayed_hello(rig: Rig) -> None:
    """What was seen on the wire opens a handshake, and the proof cannot be made."""
    content = rig.stock(5 * PIECE, piece_size=PIECE)
    victim = Leecher(rig.key, content, reactor)
    victim.protocol().makeConnection(Sink())
    hello = victim.peer.transport.data
    code, _ = await rig.say(hello + frame(Kind.AUTH, bytes(64)))
    victim.peer.connectionLost()
    assert code == ErrorCode.BAD_AUTH
    await served(rig, content)


@pytest_twisted.ensureDeferred
async def test_neighbours_that_vanish(rig: Rig) -> None:
    """A connection cut in the middle of a piece frees its slots."""
    content = rig.stock(100 * PIECE, piece_size=PIECE)
    for _ in range(10):
        leecher = await rig.join(content, asks=8)
        leecher.on_event = lambda event: None
        while len(leecher.pieces) < 3:
            await deferLater(reactor, 0.001, lambda: None)
        leecher.peer.abort()
    await served(rig, content)


@pytest_twisted.ensureDeferred
async def test_a_slot_is_taken_until_the_bytes_are_acked(rig: Rig) -> None:
    """A neighbour that pauses keeps its slots for a while, and the next ones are fair again."""
    content = rig.stock(40 * 2**20, piece_size=2**20)
    leecher = await rig.join(content, asks=32)
    while len(leecher.pieces) < 5:
        await deferLater(reactor, 0.001, lambda: None)
    leecher.peer.transport.pauseProducing()
    stopped = -1.0
    while rig.uploaded() != stopped:  # until the buffers of both hosts are full
        stopped = rig.uploaded()
        await deferLater(reactor, 0.2, lambda: None)
    assert stopped < 40 * 2**20
    other = await rig.join(content, asks=1)
    await deferLater(reactor, 0.1, lambda: None)
    assert other.opened
    assert not other.order
    leecher.peer.transport.resumeProducing()
    await gatherResults([leecher.done, other.done])
    leecher.peer.close()
    other.peer.close()


@pytest_twisted.ensureDeferred
async def test_shutting_down(rig: Rig) -> None:
    """Neighbours are told, in the middle of a transfer too."""
    content = rig.stock(100 * PIECE, piece_size=PIECE)
    leecher = await rig.join(content, asks=1)
    while not leecher.pieces:
        await deferLater(reactor, 0, lambda: None)
    rig.seed.close()
    await leecher.done
    assert leecher.code == ErrorCode.SHUTTING_DOWN
    stranger = Stranger(frame(Kind.PING, bytes(8)))
    await rig.connect(stranger)
    assert await stranger.heard == b""
