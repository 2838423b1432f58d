"""The tracker alone, with real grants and signatures but no HTTP: time of a call, and memory.

python benchmarks/tracker.py [--peers 10 1000 10000 100000]

Each size runs in a process of its own. Beyond 32,768 peers, the most that one task takes, they
are in several tasks.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import time
import tracemalloc
from typing import Any

import attrs
from simulation.clock import SimClock
from simulation.fluid import Link
from simulation.hosts import Host, SimDisk
from simulation.supernode import SEED_ADDRESS, SimSupernode
from twisted.internet.defer import Deferred

from dragonfly.control.messages import (
    Announced,
    AnnounceRequest,
    RegisterAnswer,
    RegisterRequest,
    prefixed,
)
from dragonfly.supernode.swarm import MEMBERS_MAX
from dragonfly.supernode.tracker import Caller

MIB = 1 << 20
TASK_BYTES = 64 * MIB
ANNOUNCES = 20_000
EMPTY_TASKS = 50


@attrs.frozen
class Known:
    """One peer that has registered."""

    key: bytes
    caller: Caller
    answer: RegisterAnswer


def resident_mib() -> float:
    """Memory of this process."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / MIB


def make_supernode(clock: SimClock) -> SimSupernode:
    """A supernode whose peers can all be reached."""
    host = Host(SEED_ADDRESS, Link(1e9), Link(1e9))
    supernode = SimSupernode(
        clock,
        host,
        random.Random(1),
        length=TASK_BYTES,
        piece_size=None,
        disk=SimDisk(clock, 0.0),
        alive=lambda _: True,
    )
    supernode.tracker._roster._most = 1 << 20  # the limit of the product is 32,768
    return supernode


def register(supernode: SimSupernode, number: int, task: int) -> Known:
    """Let peer ``number`` register for a task."""
    key = number.to_bytes(32, "big")
    address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
    caller = Caller(address=address, reached=SEED_ADDRESS, secure=True)
    says = Announced(port=65002, hostname=f"host{number}", version="1")
    message = RegisterRequest(url=f"http://origin.example/{task}", key=key, peer=says)
    results: list[Any] = []
    call = supernode.tracker.register(message, caller)
    Deferred.fromCoroutine(call).addBoth(results.append)
    if not results or not isinstance(results[0], RegisterAnswer):
        sys.exit(f"the tracker says {results}")
    return Known(key, caller, results[0])


def announce(supernode: SimSupernode, known: Known, linked: list[bytes]) -> None:
    """Let a peer say how it goes: it has its links, and not all of the pieces."""
    answer = known.answer
    message = AnnounceRequest(
        task=answer.task,
        key=known.key,
        fetch=answer.fetch,
        have_count=500,
        neighbours=prefixed(linked),
    )
    supernode.tracker.announce(message, known.caller)


def measure(peers: int, *, traced: bool) -> str:
    """Give a row of the table, or, traced, what the peers take of Python's memory."""
    clock = SimClock(1.0)
    supernode = make_supernode(clock)
    tasks = -(-peers // MEMBERS_MAX)
    known = [register(supernode, 1 << 23, 0)]
    began_mib = resident_mib()
    if traced:
        tracemalloc.start()
    began = time.process_time()
    for number in range(peers):
        answered = register(supernode, number, number % tasks)
        if not traced:
            known.append(answered)
    register_us = 1e6 * (time.process_time() - began) / peers
    if traced:
        return f"{tracemalloc.get_traced_memory()[0] / peers / 1024:8.2f}"
    # The answers are the benchmark's own: let them not count.
    before = len(known)
    grown = resident_mib() - began_mib
    clock.run(clock.now + 3.0, lambda: False)
    chosen = random.Random(2).choices(known, k=min(ANNOUNCES, 20 * before))
    linked = [[each.key for each in one.answer.neighbours] for one in chosen]
    began = time.process_time()
    for one, keys in zip(chosen, linked, strict=True):
        announce(supernode, one, keys)
    announce_us = 1e6 * (time.process_time() - began) / len(chosen)
    return (
        f"{peers:8} {tasks:6} {register_us:12.0f} {announce_us:12.0f} {resident_mib():10.0f}"
        f" {1024 * grown / peers:14.1f}"
    )


def measure_tasks() -> str:
    """Memory of one task of 1,024 pieces with one peer."""
    clock = SimClock(1.0)
    supernode = make_supernode(clock)
    register(supernode, 1, 0)
    tracemalloc.start()
    for task in range(1, 1 + EMPTY_TASKS):
        register(supernode, 1, task)
    kib = tracemalloc.get_traced_memory()[0] / EMPTY_TASKS / 1024
    return f"one task of 1,024 pieces with one peer: {kib:.0f} KiB"


def in_process(*args: str) -> str:
    """What this program prints with other arguments, in another process."""
    command = [sys.executable, __file__, *args]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.rstrip()


def main() -> None:
    """Measure, each size in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=int, nargs="+", default=[10, 1000, 10_000, 100_000])
    parser.add_argument("--one", choices=["timed", "traced", "tasks"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one == "tasks":
        print(measure_tasks())
    elif args.one:
        print(measure(args.peers[0], traced=args.one == "traced"))
    else:
        print(f"{'peers':>8} {'tasks':>6} {'us/register':>12} {'us/announce':>12} {'RSS MiB':>10}"
              f" {'RSS KiB/peer':>14} {'traced KiB/peer':>16}")  # fmt: skip
        for peers in args.peers:
            row = in_process("--one", "timed", "--peers", str(peers))
            traced = in_process("--one", "traced", "--peers", str(peers))
            print(f"{row} {traced:>16}", flush=True)
        print(in_process("--one", "tasks"))


if __name__ == "__main__":
    main()
