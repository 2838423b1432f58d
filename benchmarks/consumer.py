"""The least that a Twisted program can do with the body of an answer: what ours is compared with.

    python benchmarks/consumer.py {drop,hash,store} URL FILE [--kib 64]

``drop`` forgets what comes, ``hash`` feeds it to BLAKE3, ``store`` writes it into FILE, too: all
on the reactor's thread, chunk by chunk, as they come.
"""

from __future__ import annotations

import argparse
import os
from urllib.parse import urlsplit

from blake3 import blake3
from twisted.internet import reactor
from twisted.internet.protocol import ClientFactory, Protocol, connectionDone
from twisted.python.failure import Failure

from dragonfly.net.allocator import keep_buffers


class Consumer(Protocol):
    """Asks for a path and takes what comes until the connection ends."""

    def __init__(self, request: bytes, steps: str, path: str, read_bytes: int) -> None:
        self.request = request
        self.hasher = blake3() if steps in ("hash", "store") else None
        self.out = os.open(path, os.O_CREAT | os.O_WRONLY) if steps == "store" else None
        self.read_bytes = read_bytes

    def connectionMade(self) -> None:
        """Ask."""
        self.transport.bufferSize = self.read_bytes  # type: ignore[union-attr]
        self.transport.write(self.request)  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        """Take; the head of the answer passes for content, which costs the same."""
        if self.hasher is not None:
            self.hasher.update(data)
        if self.out is not None:
            os.write(self.out, data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """That was all."""
        reactor.stop()  # type: ignore[attr-defined]


def main() -> None:
    """Connect and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("steps", choices=["drop", "hash", "store"])
    parser.add_argument("url")
    parser.add_argument("file")
    parser.add_argument("--kib", type=int, default=64)
    args = parser.parse_args()
    url = urlsplit(args.url)
    request = f"GET {url.path} HTTP/1.0\r\nHost: {url.netloc}\r\n\r\n".encode()
    keep_buffers()
    factory = ClientFactory()
    consumer = Consumer(request, args.steps, args.file, args.kib * 1024)
    factory.buildProtocol = lambda _: consumer  # type: ignore[method-assign]
    reactor.connectTCP(url.hostname, url.port, factory)  # type: ignore[attr-defined]
    reactor.run()  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
