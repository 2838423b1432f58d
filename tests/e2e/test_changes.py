"""The file changes at its origin: the next download gets the new one, never a mix."""

from __future__ import annotations

import os
from pathlib import Path

from tests.e2e.rig.files import MIB, random_file, sha256
from tests.e2e.rig.home import Home
from tests.e2e.rig.nginx import Nginx
from tests.e2e.rig.scene import Scene
from tests.e2e.rig.supernode import Supernode

SIZE = 8 * MIB
AN_HOUR = 3600


def replace(path: Path, size: int) -> str:
    """Put another file in its place, an hour younger; give its digest."""
    younger = path.stat().st_mtime + AN_HOUR
    new = path.with_name("new")
    digest = random_file(new, size)
    os.utime(new, (younger, younger))
    new.rename(path)
    return digest


def test_next_download_gets_the_new_file(scene: Scene) -> None:
    """In a home that has the old one, and in a new one; the output is replaced."""
    nginx = Nginx(scene)
    supernode = Supernode(scene)
    random_file(nginx.files / "f", SIZE)
    known, new = (Home(scene, name, supernode.node) for name in ("h1", "h2"))
    out = scene.root / "out"
    known.get(nginx.url("f"), "-o", out).succeeded()
    digest = replace(nginx.files / "f", SIZE)
    known.get(nginx.url("f"), "-o", out).succeeded()
    assert sha256(out) == digest
    new.get(nginx.url("f"), "-o", scene.root / "two").succeeded()
    assert sha256(scene.root / "two") == digest
    assert supernode.fetched == 2 * SIZE


def test_new_length_is_no_surprise(scene: Scene) -> None:
    """Shorter, then longer than before: the output has exactly what the origin has."""
    nginx = Nginx(scene)
    supernode = Supernode(scene)
    random_file(nginx.files / "f", SIZE)
    home = Home(scene, "h", supernode.node)
    out = scene.root / "out"
    home.get(nginx.url("f"), "-o", out).succeeded()
    for size in (SIZE - 1, SIZE + 1, 0, 1):
        digest = replace(nginx.files / "f", size)
        assert home.get(nginx.url("f"), "-o", out).succeeded().length == size
        assert sha256(out) == digest


def test_without_a_supernode_the_new_file_comes(scene: Scene) -> None:
    """On its own, a home asks the origin each time as well."""
    nginx = Nginx(scene)
    random_file(nginx.files / "f", SIZE)
    home = Home(scene, "h")
    out = scene.root / "out"
    home.get(nginx.url("f"), "-o", out).succeeded()
    digest = replace(nginx.files / "f", SIZE)
    home.get(nginx.url("f"), "-o", out).succeeded()
    assert sha256(out) == digest


def test_change_while_the_supernode_is_down(scene: Scene) -> None:
    """A third of the old file has arrived when the supernode is killed and the file replaced:
    what comes out is the new file, whole."""
    size = 12 * MIB
    nginx = Nginx(scene, rate="4m")
    supernode = Supernode(scene)
    random_file(nginx.files / "f", size)
    home = Home(scene, "h", supernode.node)
    running = home.start(nginx.url("slow/f"), "-o", scene.root / "out")
    scene.wait_until(lambda: supernode.uploaded > size // 3, "middle of the transfer")
    supernode.kill()
    digest = replace(nginx.files / "f", size)
    supernode.start()
    running.outcome().succeeded()
    assert sha256(scene.root / "out") == digest


def test_change_and_no_supernode_any_more(scene: Scene) -> None:
    """The same, and the supernode stays away: the origin alone decides, again no mix."""
    size = 12 * MIB
    nginx = Nginx(scene, rate="4m")
    supernode = Supernode(scene)
    random_file(nginx.files / "f", size)
    home = Home(scene, "h", supernode.node)
    running = home.start(nginx.url("slow/f"), "-o", scene.root / "out")
    scene.wait_until(lambda: supernode.uploaded > size // 3, "middle of the transfer")
    supernode.kill()
    digest = replace(nginx.files / "f", size)
    running.outcome().succeeded()
    assert sha256(scene.root / "out") == digest
