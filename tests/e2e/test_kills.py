"""``kill -9`` in the middle of a transfer, of each process that takes part, and Ctrl-C.

What arrived is never fetched again: the figures prove it.
"""

from __future__ import annotations

import signal
from pathlib import Path

from tests.e2e.rig.files import MIB, random_file, sha256
from tests.e2e.rig.home import Home, Running
from tests.e2e.rig.nginx import Nginx
from tests.e2e.rig.scene import Scene
from tests.e2e.rig.supernode import Supernode

SIZE = 12 * MIB
# nginx gives the rate of one second at once, so this takes two seconds more.
RATE = "4m"
MIDDLE = SIZE // 3
# What may be lost to a kill: pieces in flight, and what was on its way in sockets.
AGAIN = 1.2


class Act:
    """A slow origin, a supernode and one home in the middle of a download."""

    def __init__(self, scene: Scene, *flags: str) -> None:
        self.scene = scene
        self.nginx = Nginx(scene, rate=RATE)
        self.supernode = Supernode(scene)
        self.digest = random_file(self.nginx.files / "f", SIZE)
        self.home = Home(scene, "h", self.supernode.node)
        self.url = self.nginx.url("slow/f")
        self.out = scene.directory("out") / "f"
        self.flags = flags
        self.running = self.start()

    def start(self) -> Running:
        """Start the download."""
        return self.home.start(self.url, "-o", self.out, *self.flags)

    def until_middle(self) -> None:
        """Wait until a third has reached peers."""
        self.scene.wait_until(lambda: self.supernode.uploaded > MIDDLE, "middle of the transfer")

    def origin_bytes(self) -> int:
        """Bytes of content that left the origin; no transfer is open any more."""
        return self.nginx.body_bytes("f")

    def right(self, path: Path | None = None) -> bool:
        """Whether the output is what the origin has."""
        return sha256(path or self.out) == self.digest


def test_supernode_killed_and_gone(scene: Scene) -> None:
    """The same dfget goes on and reads what is missing, and only that, from the origin."""
    act = Act(scene)
    act.until_middle()
    act.supernode.kill()
    done = act.running.outcome().succeeded()
    assert act.right()
    assert done.reason != 0
    assert "from the origin" in done.text
    scene.wait_until(lambda: act.origin_bytes() >= SIZE, "end of the transfer in the access log")
    assert act.origin_bytes() <= AGAIN * SIZE


def test_supernode_killed_and_started_again(scene: Scene) -> None:
    """The same dfget goes on through the new process, which fetches only what was missing."""
    act = Act(scene, "--notbs")
    act.until_middle()
    act.supernode.kill()
    act.supernode.start()
    act.running.outcome().succeeded()
    assert act.right()
    assert act.supernode.fetched <= SIZE - MIDDLE + SIZE // 10
    assert act.origin_bytes() <= AGAIN * SIZE


def test_peer_process_killed(scene: Scene) -> None:
    """The same dfget starts another one, which continues with what the home has."""
    act = Act(scene)
    act.until_middle()
    killed = act.home.kill()
    done = act.running.outcome().succeeded()
    assert act.right()
    assert "starting it again and continuing" in done.stderr
    assert act.home.pid not in (None, killed)
    assert act.supernode.uploaded <= AGAIN * SIZE
    assert act.origin_bytes() <= AGAIN * SIZE


def test_neighbour_killed(scene: Scene) -> None:
    """A peer that others are fed by dies: they get everything, and so does its own dfget."""
    act = Act(scene)
    others = [Home(scene, name, act.supernode.node) for name in ("h2", "h3")]
    outputs = [scene.root / f"out-{number}" for number in range(len(others))]
    running = [
        home.start(act.url, "-o", output) for home, output in zip(others, outputs, strict=True)
    ]
    act.until_middle()
    others[0].kill()
    for each in (act.running, *running):
        each.outcome().succeeded()
    assert act.right()
    assert all(act.right(output) for output in outputs)
    assert act.origin_bytes() <= 1.01 * SIZE


def test_dfget_killed(scene: Scene) -> None:
    """Nothing is left beside the output; the same command continues where it was."""
    act = Act(scene)
    act.until_middle()
    act.running.program.kill()
    assert list(act.out.parent.iterdir()) == []
    done = act.start().outcome().succeeded()
    assert act.right()
    assert "that were here already" in done.text
    assert act.supernode.uploaded <= AGAIN * SIZE
    assert act.origin_bytes() <= 1.01 * SIZE


def test_interrupted(scene: Scene) -> None:
    """Ctrl-C ends dfget with 130 and leaves a state that the same command continues."""
    act = Act(scene)
    act.until_middle()
    peer = act.home.pid
    act.running.program.interrupt()
    done = act.running.outcome(10).failed(128 + signal.SIGINT)
    assert "the same command continues" in done.error
    assert list(act.out.parent.iterdir()) == []
    assert act.home.pid == peer
    again = act.start().outcome().succeeded()
    assert act.right()
    assert "that were here already" in again.text
    assert act.supernode.uploaded <= AGAIN * SIZE


def test_everything_killed(scene: Scene) -> None:
    """Supernode, peer and dfget die together; started again, both go on with what they had."""
    act = Act(scene)
    act.until_middle()
    act.supernode.kill()
    act.home.kill()
    act.running.program.kill()
    act.supernode.start()
    done = act.start().outcome().succeeded()
    assert act.right()
    assert "that were here already" in done.text
    assert act.supernode.fetched <= SIZE - MIDDLE + SIZE // 10
    assert act.supernode.uploaded <= SIZE - MIDDLE + SIZE // 10


def test_without_a_supernode_a_kill_loses_little(scene: Scene) -> None:
    """A download from the origin alone continues too, when its peer process was killed."""
    nginx = Nginx(scene, rate=RATE)
    digest = random_file(nginx.files / "f", SIZE)
    home = Home(scene, "h")
    running = home.start(nginx.url("slow/f"), "-o", scene.root / "f")
    # A piece is 32 KiB, its record 8 bytes.
    scene.wait_until(lambda: home.journalled() > MIDDLE // 32768 * 8, "middle of the transfer")
    home.kill()
    running.outcome().succeeded()
    assert sha256(scene.root / "f") == digest
    scene.wait_until(lambda: nginx.body_bytes("f") >= SIZE, "end of the transfer in the log")
    assert nginx.body_bytes("f") <= AGAIN * SIZE
