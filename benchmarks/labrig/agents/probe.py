"""A peer, or a supernode, that writes down twice a second how it is doing inside.

For finding out where time is lost; it costs a little itself, so not for figures.

    python probe.py peer FILE [options of dfget server]
    python probe.py supernode FILE SEED [options of twistd supernode]
"""

from __future__ import annotations

import json
import runpy
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.base import ReactorBase
from twisted.internet.tcp import Connection

from dragonfly.dfget import server
from dragonfly.net.disk import DiskPool
from dragonfly.peer.connections.protocol import PeerProtocol
from dragonfly.peer.exchange.exchange import Exchange
from dragonfly.peer.service import PeerService
from dragonfly.peer.swarm.transfer import Transfer
from dragonfly.peer.uploads.uploader import Uploader
from dragonfly.sched.picker import Picker
from dragonfly.supernode import service as supernode

EVERY_S = 0.5
TURN_S = 0.02

counts: Counter[str] = Counter()


class Notes:
    """A line of JSON for each look, with the worst lateness of a 20 ms timer since the last."""

    def __init__(self, path: str, look: Callable[[], Any]) -> None:
        self._out = Path(path).open("w", buffering=1)  # noqa: SIM115 - for the life of the process
        self._look = look
        self._late = 0.0
        self._looked = self._due = time.monotonic()

    def start(self, reactor: Any) -> None:
        """Look from now on."""
        now = time.monotonic()
        self._late = max(self._late, now - self._due)
        if now - self._looked >= EVERY_S:
            self._looked = now
            line = {"at": time.time(), "late": round(self._late, 3), **self._look()}
            self._out.write(json.dumps({**line, "counts": dict(counts)}) + "\n")
            self._late = 0.0
        self._due = time.monotonic() + TURN_S
        reactor.callLater(TURN_S, self.start, reactor)


def uploads(uploader: Uploader) -> dict[str, int]:
    """How the slots are used."""
    slots = uploader.slots
    draining = len(uploader._draining)
    return {"taken": slots.taken, "waiting": slots.waiting, "draining": draining}


def transfer(each: Transfer) -> dict[str, Any]:
    """One download: the books of its picker, and its links."""
    flights, neighbours = each._picker._flights, each._picker._neighbours
    links = []
    for link in each.links:
        neighbour = neighbours.get(link)
        links.append(
            {
                "address": link.address,
                "seed": link.seed,
                "has": link.mask.bit_count(),
                "offers": (link.mask & flights.wanted).bit_count(),
                "received": link.received_bytes,
                "flights": len(neighbour.flights) if neighbour else 0,
                "standing": neighbour.standing if neighbour else 0,
                "response": round(neighbour.timing.response, 3) if neighbour else None,
                "failures": neighbour.timing.failures if neighbour else None,
                "unacked": link.peer.unacked(),
            }
        )
    return {
        "have": len(each.content.have),
        "known": flights.known.bit_count(),
        "missing": flights.missing.bit_count(),
        "wanted": flights.wanted.bit_count(),
        "out": flights.out,
        "landed": len(flights._landed),
        "links": links,
    }


def count(kind: type, name: str, tell: Callable[[Any, tuple[Any, ...]], str | int]) -> None:
    """Count the calls of a method: under the name that is told, or so many under its own."""
    inner = getattr(kind, name)

    def counting(self: Any, *args: Any, **more: Any) -> Any:
        result = inner(self, *args, **more)
        told = tell(result, args)
        if isinstance(told, str):
            counts[told] += 1
        else:
            counts[name] += told
        return result

    setattr(kind, name, counting)


def probe_peer(path: str) -> None:
    """Have the peer that is made in this process looked at."""
    count(Picker, "rejected", lambda _, args: f"rejected {int(args[2])}")
    count(Picker, "expire", lambda late, _: len(late))
    count(Picker, "got", lambda cancels, _: len(cancels))
    count(Picker, "arrived", lambda _, __: 1)
    count(Picker, "next_asks", lambda _, __: 1)
    count(PeerProtocol, "dataReceived", lambda _, __: 1)
    count(PeerProtocol, "unacked", lambda _, __: 1)
    count(Connection, "writeSomeData", lambda _, __: 1)
    count(DiskPool, "run", lambda _, __: 1)
    count(ReactorBase, "runUntilCurrent", lambda _, __: 1)
    count(Exchange, "link_event", lambda _, args: type(args[1]).__name__)
    make = server.make_peer

    def made(settings: Any, runtime: Any) -> PeerService:
        peer = make(settings, runtime)

        def look() -> dict[str, Any]:
            tasks = [transfer(each) for each in peer.swarm.transfers]
            return {"uploads": uploads(peer._peer.uploader), "tasks": tasks}

        Notes(path, look).start(runtime.reactor)
        return peer

    server.make_peer = made


def probe_supernode(path: str) -> None:
    """Have the supernode that is made in this process looked at."""
    make = supernode.make_supernode

    def made(config: Any, reactor: Any, **more: Any) -> Any:
        service = make(config, reactor, **more)
        seed = service.seed

        def look() -> dict[str, Any]:
            receivers = [c.link.receiver for c in seed._callers.values() if c.link is not None]
            return {
                "uploads": uploads(seed._desk._uploader),
                "links": len(receivers),
                "asking": sum(bool(each.any) for each in receivers),
                "limited": sum(each.seeding.limited(each) for each in receivers),
                "addresses": sorted(caller.address for caller in seed._callers.values()),
            }

        Notes(path, look).start(reactor)
        return service

    supernode.make_supernode = made


if __name__ == "__main__":
    role, file = sys.argv[1:3]
    if role == "peer":
        probe_peer(file)
        sys.exit(server.main(sys.argv[3:]))
    probe_supernode(file)
    sys.argv = ["supernode.py", *sys.argv[3:]]
    runpy.run_path(str(Path(__file__).with_name("supernode.py")), run_name="__main__")
