"""Where the bytes go: files, directories, standard output, and disks that refuse."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.rig.commands import dfget, environment
from tests.e2e.rig.disks import mounted
from tests.e2e.rig.files import MIB, random_file, sha256
from tests.e2e.rig.home import Home
from tests.e2e.rig.nginx import Nginx
from tests.e2e.rig.scene import Scene
from tests.e2e.rig.stage import Stage
from tests.e2e.rig.supernode import Supernode

FILES = 3
SIZE = 3 * MIB


@pytest.fixture
def small_disk(stage: Stage) -> Iterator[Path]:
    """A directory on a disk of 1 MiB."""
    yield from mounted(stage.scene.root / "small", "size=1m")


@pytest.fixture
def read_only_disk(stage: Stage) -> Iterator[Path]:
    """A directory that cannot be written: for root only a disk can forbid that."""
    path = stage.scene.root / "read-only"
    if os.getuid() == 0:
        yield from mounted(path, "size=1m,ro")
    else:
        path.mkdir(mode=0o500)
        yield path


@pytest.fixture(autouse=True)
def no_mount_points_left(stage: Stage) -> Iterator[None]:
    """Each test has the names for itself."""
    yield
    for name in ("small", "read-only"):
        path = stage.scene.root / name
        if path.is_dir() and not path.is_mount():
            path.rmdir()


@pytest.mark.parametrize("size", [0, 1, 32 * 1024, 32 * 1024 + 1, 5 * MIB - 1])
def test_sizes(stage: Stage, size: int) -> None:
    """Empty, one byte, and lengths around the edges of pieces."""
    digest = random_file(stage.nginx.files / f"size-{size}", size)
    out = stage.scene.root / f"size-{size}"
    done = stage.home.get(stage.nginx.url(f"size-{size}"), "-o", out).succeeded()
    assert done.length == out.stat().st_size == size
    assert sha256(out) == digest
    assert done.reason == 0


def test_usual_mode(stage: Stage) -> None:
    """A new output has the mode that the umask gives; an existing one keeps its own."""
    random_file(stage.nginx.files / "mode", 1000)
    out = stage.scene.root / "mode"
    mask = os.umask(0)
    os.umask(mask)
    stage.home.get(stage.nginx.url("mode"), "-o", out).succeeded()
    assert out.stat().st_mode & 0o777 == 0o666 & ~mask
    out.chmod(0o640)
    stage.home.get(stage.nginx.url("mode"), "-o", out).succeeded()
    assert out.stat().st_mode & 0o777 == 0o640


def test_name_from_the_url(stage: Stage) -> None:
    """Without ``-o`` the file appears here, named by the URL, with ``%20`` decoded."""
    digest = random_file(stage.nginx.files / "a file.bin", 1000)
    here = stage.scene.directory("here")
    stage.home.get(stage.nginx.url("a%20file.bin?x=1"), cwd=here).succeeded()
    assert [path.name for path in here.iterdir()] == ["a file.bin"]
    assert sha256(here / "a file.bin") == digest


@pytest.mark.parametrize("flag", ["-o", "-O", "--output"])
def test_directory_as_output(stage: Stage, flag: str) -> None:
    """A directory gets a file in it, under all names of the flag."""
    name = f"in-dir{flag}"
    digest = random_file(stage.nginx.files / name, 1000)
    there = stage.scene.directory(f"there{flag}")
    stage.home.get(stage.nginx.url(name), flag, there).succeeded()
    assert sha256(there / name) == digest


def test_standard_output(stage: Stage) -> None:
    """``-o -`` writes the bytes, and nothing but them, to standard output."""
    digest = random_file(stage.nginx.files / "stdout", SIZE)
    running = stage.home.start(stage.nginx.url("stdout"), "-o", "-")
    assert running.program.wait(30) == 0
    assert sha256(running.out) == digest
    assert "download SUCCESS" in running.program.text()


def test_ipv6_origin(stage: Stage) -> None:
    """An address in brackets."""
    if not Path("/proc/net/if_inet6").exists():
        pytest.skip("this host has no IPv6")
    digest = random_file(stage.nginx.files / "v6", SIZE)
    out = stage.scene.root / "v6"
    done = stage.home.get(stage.nginx.url("v6", host="[::1]"), "-o", out).succeeded()
    assert sha256(out) == digest
    assert done.reason == 0


def test_ipv6_supernode(stage: Stage) -> None:
    """The supernode is reached over IPv6, its pieces too."""
    if not Path("/proc/net/if_inet6").exists():
        pytest.skip("this host has no IPv6")
    digest = random_file(stage.nginx.files / "v6-node", SIZE)
    out = stage.scene.root / "v6-node"
    home = Home(stage.scene, "h6", f"[::1]:{stage.supernode.http}")
    done = home.get(stage.nginx.url("v6-node"), "-o", out, "--notbs").succeeded()
    assert sha256(out) == digest
    assert done.reason == 0


def test_output_in_no_directory(stage: Stage) -> None:
    """Before anything is fetched, the path is named."""
    random_file(stage.nginx.files / "nowhere", 1000)
    out = stage.scene.root / "no" / "such" / "directory" / "f"
    done = stage.home.get(stage.nginx.url("nowhere"), "-o", out).failed(FILES)
    assert str(out) in done.error
    assert stage.nginx.entries("nowhere") == []


def test_output_that_cannot_be_written(stage: Stage, read_only_disk: Path) -> None:
    """Before anything is fetched, the path and the reason are named."""
    random_file(stage.nginx.files / "unwritable", 1000)
    out = read_only_disk / "f"
    done = stage.home.get(stage.nginx.url("unwritable"), "-o", out).failed(FILES)
    assert str(out) in done.error
    assert any(words in done.error.lower() for words in ("read-only", "permission denied"))
    assert stage.nginx.entries("unwritable") == []


def test_output_on_a_full_disk(stage: Stage, small_disk: Path) -> None:
    """The error names the place and the reason; what was there stays, nothing is left over."""
    random_file(stage.nginx.files / "full", SIZE)
    out = small_disk / "f"
    out.write_text("as it was")
    done = stage.home.get(stage.nginx.url("full"), "-o", out).failed(FILES)
    assert str(small_disk) in done.error
    assert f"is full: {SIZE} bytes wanted" in done.error
    assert done.reason == 4
    assert list(small_disk.iterdir()) == [out]
    assert out.read_text() == "as it was"


def test_home_that_cannot_be_written(stage: Stage, read_only_disk: Path) -> None:
    """dfget uses a temporary home, says so, and gets the file from the swarm."""
    digest = random_file(stage.nginx.files / "no-home", SIZE)
    out = stage.scene.root / "no-home"
    home = Home(stage.scene, "read-only", stage.supernode.node)
    done = home.get(stage.nginx.url("no-home"), "-o", out).succeeded()
    assert sha256(out) == digest
    assert done.reason == 0
    assert "temporary home" in done.stderr


def test_progress_on_a_terminal(stage: Stage) -> None:
    """A bar is drawn over and over on standard error, and gone at the end."""
    random_file(stage.nginx.files / "bar", 14 * MIB)
    ours, theirs = os.openpty()
    out = stage.scene.root / "bar"
    command = [*dfget(), "--home", str(stage.home.path), "--node", stage.supernode.node]
    with open(theirs, "wb", buffering=0) as terminal:
        child = subprocess.Popen(
            [*command, stage.nginx.url("slow/bar"), "-o", str(out)],
            stdout=subprocess.DEVNULL,
            stderr=terminal,
            env=environment(),
        )
    shown = b""
    with open(ours, "rb", buffering=0) as screen, contextlib.suppress(OSError):
        while data := screen.read(4096):  # a terminal that nobody has open is an error
            shown += data
    assert child.wait(30) == 0
    assert re.search(rb"\r *\d+%  \[=* *\]  .*MiB/14\.0 MiB", shown), shown
    assert shown.endswith(b"\r\x1b[K")
    assert sha256(out) == sha256(stage.nginx.files / "bar")


def test_home_on_a_full_disk(stage: Stage, small_disk: Path) -> None:
    """The store does not fit: one clear error, and a small file still comes after it."""
    random_file(stage.nginx.files / "full-home", SIZE)
    digest = random_file(stage.nginx.files / "small-file", 1000)
    home = Home(stage.scene, "small", stage.supernode.node)
    done = home.get(stage.nginx.url("full-home"), "-o", stage.scene.root / "fh").failed(FILES)
    assert f"is full: {SIZE} bytes wanted" in done.error
    out = stage.scene.root / "sf"
    home.get(stage.nginx.url("small-file"), "-o", out).succeeded()
    assert sha256(out) == digest
    home.stop()


def test_supernode_on_a_full_disk(scene: Scene) -> None:
    """The CDN has no room: the file comes from the origin all the same."""
    disk = mounted(scene.root / "sn", "size=1m")
    next(disk)
    scene.at_end(lambda: next(disk, None))
    nginx = Nginx(scene)
    supernode = Supernode(scene)
    digest = random_file(nginx.files / "f", SIZE)
    done = Home(scene, "h", supernode.node).get(nginx.url("f"), "-o", scene.root / "f")
    done.succeeded()
    assert sha256(scene.root / "f") == digest
    assert done.reason != 0
