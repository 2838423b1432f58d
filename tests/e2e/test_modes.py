"""Ways to download: patterns, limits, in-process, several at once in one home."""

from __future__ import annotations

import time

from tests.e2e.rig.files import MIB, random_file, sha256
from tests.e2e.rig.home import Home
from tests.e2e.rig.scene import Scene, gone
from tests.e2e.rig.stage import Stage

USER_ASKED = 100
NETWORK = 4
SIZE = 5 * MIB


def test_from_the_origin_only(stage: Stage) -> None:
    """``-p source`` asks no supernode, even where it has the file."""
    digest = random_file(stage.nginx.files / "source", SIZE)
    url = stage.nginx.url("source")
    stage.home.get(url, "-o", stage.scene.root / "source").succeeded()
    fetched, sent = stage.supernode.fetched, stage.supernode.uploaded
    out = stage.scene.root / "source-2"
    done = stage.fresh().get(url, "-o", out, "-p", "source").succeeded()
    assert sha256(out) == digest
    assert done.reason == USER_ASKED
    assert "from the origin" in done.text
    assert (stage.supernode.fetched, stage.supernode.uploaded) == (fetched, sent)


def test_from_the_supernode_only(stage: Stage) -> None:
    """``-p cdn`` takes every byte from the CDN, although a peer has them too."""
    digest = random_file(stage.nginx.files / "cdn", SIZE)
    url = stage.nginx.url("cdn")
    stage.home.get(url, "-o", stage.scene.root / "cdn").succeeded()
    sent = stage.supernode.uploaded
    out = stage.scene.root / "cdn-2"
    done = stage.fresh().get(url, "-o", out, "-p", "cdn").succeeded()
    assert sha256(out) == digest
    assert done.reason == 0
    assert stage.supernode.uploaded - sent >= SIZE
    assert "from peers" not in done.text
    assert "from the origin" not in done.text


def test_no_fall_back_needed(stage: Stage) -> None:
    """``--notbs`` changes nothing where the swarm works."""
    digest = random_file(stage.nginx.files / "notbs", SIZE)
    out = stage.scene.root / "notbs"
    done = stage.home.get(stage.nginx.url("notbs"), "-o", out, "--notbs").succeeded()
    assert sha256(out) == digest
    assert done.reason == 0


def test_no_fall_back_without_a_supernode(scene: Scene) -> None:
    """``--notbs`` and no supernode configured: an error at once that says so."""
    done = Home(scene, "h").get("http://127.0.0.1/f", "-o", scene.root / "f", "--notbs")
    done.failed(NETWORK)
    assert "no supernode" in done.error


def test_in_process(stage: Stage) -> None:
    """``--alivetime 0`` leaves no process behind, and the home can be used afterwards."""
    digest = random_file(stage.nginx.files / "alone", SIZE)
    out = stage.scene.root / "alone"
    home = stage.fresh()
    url = stage.nginx.url("alone")
    home.get(url, "-o", out, "--alivetime", "0").succeeded()
    assert sha256(out) == digest
    assert home.pid is None
    again = home.get(url, "-o", out).succeeded()
    assert "that were here already" in again.text
    assert home.pid is not None


def test_in_process_without_a_supernode(scene: Scene, stage: Stage) -> None:
    """The same with the origin alone."""
    digest = random_file(stage.nginx.files / "alone-2", SIZE)
    home = Home(scene, "h")
    url = stage.nginx.url("alone-2")
    home.get(url, "-o", scene.root / "f", "--alivetime", "0").succeeded()
    assert sha256(scene.root / "f") == digest
    assert home.pid is None


def test_peer_process_ends_when_idle(stage: Stage) -> None:
    """After ``--alivetime`` without use it is gone, by itself."""
    random_file(stage.nginx.files / "idle", 1000)
    home = stage.fresh()
    out = stage.scene.root / "idle"
    home.get(stage.nginx.url("idle"), "-o", out, "--alivetime", "1s").succeeded()
    pid = home.pid
    assert pid is not None
    stage.scene.wait_until(lambda: gone(pid), "end of the idle peer process", 20)


def test_rate_limit(stage: Stage) -> None:
    """``-s`` holds a download back, about as much as it says."""
    digest = random_file(stage.nginx.files / "limited", SIZE)
    out = stage.scene.root / "limited"
    began = time.monotonic()
    stage.fresh().get(stage.nginx.url("limited"), "-o", out, "-s", "2M").succeeded()
    # 5 MiB at 2 MiB/s, of which a burst may be free.
    assert time.monotonic() - began > 1.0
    assert sha256(out) == digest


def test_time_limit(stage: Stage) -> None:
    """``-e`` ends a download that takes longer, with an error that names the limit."""
    random_file(stage.nginx.files / "late", 40 * MIB)
    out = stage.scene.root / "late"
    url = stage.nginx.url("slow/late")
    done = stage.fresh().get(url, "-o", out, "-e", "2s").failed(NETWORK)
    assert "within 2 s" in done.error
    assert done.seconds < 6
    assert not out.exists()


def test_same_url_twice_at_once(stage: Stage) -> None:
    """Two commands, one home: one peer process, one transfer, both outputs."""
    digest = random_file(stage.nginx.files / "twice", 20 * MIB)
    url = stage.nginx.url("twice")
    home = stage.fresh()
    outputs = [stage.scene.root / f"twice-{number}" for number in range(2)]
    running = [home.start(url, "-o", output) for output in outputs]
    for each in running:
        each.outcome().succeeded()
    assert [sha256(output) for output in outputs] == [digest] * 2
    status = home.ask("status")
    assert status is not None
    (task,) = status["tasks"]
    assert sum(task["bytes"].values()) - task["bytes"]["served"] <= 1.05 * 20 * MIB
    assert stage.nginx.body_bytes("twice") == 20 * MIB


def test_different_urls_at_once(stage: Stage) -> None:
    """Four commands start one peer process together, and each gets its own file."""
    home = stage.fresh()
    names = [f"several-{number}" for number in range(4)]
    digests = [random_file(stage.nginx.files / name, SIZE) for name in names]
    outputs = [stage.scene.root / name for name in names]
    running = [
        home.start(stage.nginx.url(name), "-o", output)
        for name, output in zip(names, outputs, strict=True)
    ]
    for each in running:
        each.outcome().succeeded()
    assert [sha256(output) for output in outputs] == digests
    log = (home.path / "peer.log").read_text()
    assert log.count("ready") <= 1, log


def test_same_output_twice_at_once(stage: Stage) -> None:
    """Two commands write one output: it is one of the files, whole."""
    home = stage.fresh()
    names = ("rivals-1", "rivals-2")
    digests = {random_file(stage.nginx.files / name, SIZE) for name in names}
    out = stage.scene.root / "rivals"
    running = [home.start(stage.nginx.url(name), "-o", out) for name in names]
    for each in running:
        each.outcome().succeeded()
    assert sha256(out) in digests
