"""Many registrations at once, each with a credential of its own.

python benchmarks/stampede.py [--peers 10000] [--connections 64] [--origin-ms 5]

A real ``twistd supernode`` on one processor; all callers are one process, on another together
with the origin, which asks each caller for its token. ``--connections 0`` gives each caller a
connection of its own, otherwise they take turns on so many. Whom the supernode sends away for a
while comes again, as a peer does.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import statistics
import sys
import tempfile
import time
from collections import Counter, deque
from pathlib import Path
from typing import Any

import attrs
from callers import Call, OriginProcess, key_of, pin, registration, signed
from rig import MIB, Supernode, cpu_seconds, end_children, machine, peak_mib
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ClientFactory, Factory, Protocol
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import react
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from dragonfly.net.openfiles import allow_open_files
from dragonfly.peer.tracker.supernodes import REGISTER_LIMIT_S

PATH = "/swarm/v1/register"
HEAD = re.compile(rb"HTTP/1.1 (\d+) .*?content-length: (\d+)", re.DOTALL | re.IGNORECASE)
RETRY = re.compile(rb"\r\nretry-after: (\d+)", re.IGNORECASE)
CLOSE = re.compile(rb"\r\nconnection: close", re.IGNORECASE)


@attrs.define(eq=False)
class Caller:
    """One of the crowd.

    :ivar began: when it called for the first time.
    """

    call: Call
    began: float = 0.0
    refusals: int = 0

    def request(self) -> bytes:
        """What it sends."""
        head = [f"POST {self.call.path} HTTP/1.1", "Host: supernode"]
        head += [f"{name}: {value}" for name, value in self.call.headers.items()]
        head += [f"Content-Length: {len(self.call.body)}", "", ""]
        return "\r\n".join(head).encode() + self.call.body


class Line(Protocol):
    """A connection: the callers who are free use it one after another."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._caller: Caller | None = None
        self._seen = b""

    def connectionMade(self) -> None:
        """Let the first one call."""
        self.next()

    def next(self) -> None:
        """Let the next one call, or hang up."""
        waiting = self._crowd.waiting
        if not waiting or self.transport is None:
            self.hang_up()
            return
        self._caller = waiting.popleft()
        self._crowd.limit(self, self._caller)
        self.transport.write(self._caller.request())

    def dataReceived(self, data: bytes) -> None:
        """Take an answer."""
        self._seen += data
        head, end, body = self._seen.partition(b"\r\n\r\n")
        found = HEAD.match(head)
        if not end or found is None or len(body) < int(found[2]):
            return
        caller, self._caller, self._seen = self._caller, None, b""
        if caller is None:  # he has given up
            return
        self._crowd.answered(caller, int(found[1]), head, body)
        if CLOSE.search(head):
            self.hang_up()
        else:
            self.next()

    def hang_up(self) -> None:
        """Close the connection."""
        if self.transport is not None:
            self.transport.loseConnection()

    def too_late(self, caller: Caller) -> None:
        """A peer would give up now."""
        if self._caller is caller and self.transport is not None:
            self._caller = None
            self._crowd.lost(caller, f"no answer in {self._crowd.limit_s:g} s")
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure | None = None) -> None:
        """It was closed; whoever waited for an answer has none."""
        if self._caller is not None:
            text = reason.getErrorMessage() if reason is not None else "?"
            self._crowd.lost(self._caller, text)
        self._crowd.line_ended()


class Lines(ClientFactory):
    """Makes lines, and learns who could not connect."""

    noisy = False

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd

    def buildProtocol(self, addr: object) -> Protocol:
        """Make one."""
        return Line(self._crowd)

    def clientConnectionFailed(self, connector: object, reason: Failure) -> None:
        """The supernode cannot be connected to."""
        if self._crowd.waiting:
            self._crowd.lost(self._crowd.waiting.popleft(), reason.getErrorMessage())
        self._crowd.line_ended()


class Crowd:
    """All callers, and what became of them."""

    def __init__(self, reactor: Any, port: int, calls: list[Call], args: Any) -> None:
        self.waiting = deque(map(Caller, calls))
        self.done: Deferred[None] = Deferred()
        self.seconds: list[float] = []
        self.errors: Counter[str] = Counter()
        self.refusals = 0
        self._left = len(calls)
        self._reactor: Any = reactor
        self._port = port
        self._most_lines = args.connections or args.peers
        self.limit_s = args.limit
        self._lines = 0
        self._rng = random.Random(3)
        options = CertificateOptions(verify=False)
        self._factory = TLSMemoryBIOFactory(options, True, Lines(self))

    def start(self) -> None:
        """Let all come at once."""
        now = time.monotonic()
        for caller in self.waiting:
            caller.began = now
        self._connect_some(min(self._most_lines, len(self.waiting)))

    def _connect_some(self, left: int) -> None:
        """Connect, some in each turn, so that nobody waits long to say the first word."""
        for _ in range(min(left, 50)):
            self._connect()
        if left > 50:
            self._reactor.callLater(0, self._connect_some, left - 50)

    def _connect(self) -> None:
        self._lines += 1
        self._reactor.connectTCP("127.0.0.1", self._port, self._factory, timeout=self.limit_s)

    def line_ended(self) -> None:
        """There is room for another connection."""
        self._lines -= 1
        if self.waiting and self._lines < self._most_lines:
            self._connect()

    def limit(self, line: Line, caller: Caller) -> None:
        """Have ``caller`` give up when a peer would."""
        self._reactor.callLater(self.limit_s, line.too_late, caller)

    def answered(self, caller: Caller, status: int, head: bytes, body: bytes) -> None:
        """Note an answer; whoever is to come again does."""
        retry = RETRY.search(head)
        if status == 200:
            self.seconds.append(time.monotonic() - caller.began)
            self._ended()
        elif status == 503 and retry is not None:
            self.refusals += 1
            caller.refusals += 1
            self._reactor.callLater(int(retry[1]) * self._rng.uniform(1, 1.5), self._again, caller)
        else:
            self.lost(caller, f"{status} {body[:100].decode(errors='replace')}")

    def _again(self, caller: Caller) -> None:
        self.waiting.append(caller)
        if self._lines < self._most_lines:
            self._connect()

    def lost(self, caller: Caller, text: str) -> None:
        """A caller did not get what it came for."""
        self.errors[text] += 1
        self._ended()

    def _ended(self) -> None:
        self._left -= 1
        if not self._left:
            self.done.callback(None)


async def stampede(reactor: Any, args: argparse.Namespace, work: Path) -> None:
    """Let all come, and say how it went."""
    origin = OriginProcess(work, wait_ms=args.origin_ms, cpus={1})
    supernode = Supernode(work / "supernode", "--advertise-ip", "127.0.0.1")
    pin(supernode.pid, {0})
    peer = reactor.listenTCP(0, Factory.forProtocol(Protocol), 4096)
    url, port = f"{origin.url}/{'public' if args.public else 'private'}", peer.getHost().port
    calls = [
        signed(key_of(n), PATH, registration(n, url, port, token=not args.public))
        for n in range(1, 1 + args.peers)
    ]
    crowd = Crowd(reactor, supernode.port, calls, args)
    used, mine, began = cpu_seconds(supernode.pid), time.process_time(), time.monotonic()
    crowd.start()
    await crowd.done
    seconds, mine = time.monotonic() - began, time.process_time() - mine
    used = cpu_seconds(supernode.pid) - used
    print(f"{args.peers} callers, {args.connections or args.peers} connections,"
          f" the origin takes {args.origin_ms:g} ms")  # fmt: skip
    show(crowd, args.peers, seconds)
    print(f"CPU: supernode {used:.1f} s, {1e6 * used / args.peers:.0f} us each; callers"
          f" {mine:.1f} s, origin {cpu_seconds(origin.process.pid):.1f} s;"
          f" supernode at most {peak_mib(supernode.pid):.0f} MiB")  # fmt: skip
    state = origin.state()
    print(f"origin: {state['requests']} questions, {state['refused']} of them refused, at most"
          f" {state['most_waiting']} at once, {state['most_open']} connections at once,"
          f" {state['bytes'] / MIB:.1f} MiB sent")  # fmt: skip
    await peer.stopListening()


def show(crowd: Crowd, peers: int, seconds: float) -> None:
    """Print what became of the callers."""
    print(f"answered {len(crowd.seconds)}, lost {sum(crowd.errors.values())}, the last after"
          f" {seconds:.1f} s, {peers / seconds:.0f} a second;"
          f" sent away for a while: {crowd.refusals} times")  # fmt: skip
    if crowd.seconds:
        ordered = sorted(crowd.seconds)
        print(f"one caller waits {statistics.median(ordered):.1f} s (median),"
              f" {ordered[int(len(ordered) * 0.99)]:.1f} s (p99)")  # fmt: skip
    for text, count in crowd.errors.most_common(5):
        print(f"{count} x {text}")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--peers", type=int, default=10_000)
    parser.add_argument("--connections", type=int, default=64, help="0: one for each caller")
    parser.add_argument("--origin-ms", type=float, default=5.0)
    parser.add_argument("--limit", type=float, default=REGISTER_LIMIT_S, help="a caller's patience")
    parser.add_argument("--public", action="store_true", help="without tokens")
    args = parser.parse_args()
    print(machine(), flush=True)
    if allow_open_files() < (args.connections or args.peers) + 100:
        sys.exit("too few open files are allowed for so many connections")
    pin(os.getpid(), {1})
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        try:
            react(lambda reactor: Deferred.fromCoroutine(stampede(reactor, args, Path(directory))))
        finally:
            end_children()


if __name__ == "__main__":
    main()
