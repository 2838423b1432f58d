"""The main job: one file, many homes, one copy from the origin."""

from __future__ import annotations

from tests.e2e.rig.files import MIB, random_file, sha256
from tests.e2e.rig.home import Home
from tests.e2e.rig.nginx import Nginx
from tests.e2e.rig.scene import Scene
from tests.e2e.rig.supernode import Supernode

HOMES = 8
SIZE = 300 * MIB


def test_eight_homes_cost_the_origin_one_copy(scene: Scene) -> None:
    """All start at once; all outputs are right, and the access log shows one copy."""
    nginx = Nginx(scene)
    supernode = Supernode(scene)
    digest = random_file(nginx.files / "big", SIZE)
    homes = [Home(scene, f"h{number}", supernode.node) for number in range(HOMES)]
    outputs = [scene.root / f"out{number}" for number in range(HOMES)]
    running = [
        home.start(nginx.url("big"), "-o", output)
        for home, output in zip(homes, outputs, strict=True)
    ]
    outcomes = [each.outcome(120).succeeded() for each in running]
    assert [sha256(output) for output in outputs] == [digest] * HOMES
    assert {outcome.length for outcome in outcomes} == {SIZE}
    assert {outcome.reason for outcome in outcomes} == {0}
    scene.wait_until(lambda: nginx.body_bytes("big"), "line in the access log")
    assert SIZE <= nginx.body_bytes("big") <= 1.01 * SIZE
    assert supernode.fetched == SIZE
    # The rest came from each other; the CDN sends one to two copies, more on a busy machine.
    assert SIZE <= supernode.uploaded <= HOMES / 2 * SIZE
    assert all("from peers" in outcome.text for outcome in outcomes)


def test_finished_download_is_served_to_the_next(scene: Scene) -> None:
    """The background peer outlives its dfget and gives what it has; nothing is fetched again."""
    nginx = Nginx(scene)
    supernode = Supernode(scene)
    digest = random_file(nginx.files / "f", 40 * MIB)
    first, second = (Home(scene, name, supernode.node) for name in ("h1", "h2"))
    first.get(nginx.url("f"), "-o", scene.root / "one").succeeded()
    done = second.get(nginx.url("f"), "-o", scene.root / "two").succeeded()
    assert sha256(scene.root / "one") == sha256(scene.root / "two") == digest
    assert "from peers" in done.text
    assert supernode.fetched == 40 * MIB
    # And a home that has it asks nobody for bytes.
    sent = supernode.uploaded
    again = first.get(nginx.url("f"), "-o", scene.root / "three").succeeded()
    assert "that were here already" in again.text
    assert supernode.uploaded == sent
    assert sha256(scene.root / "three") == digest


def test_supernode_shows_what_it_knows(scene: Scene) -> None:
    """Tasks and peers can be read while the swarm lives, in the shapes that scripts know."""
    nginx = Nginx(scene)
    supernode = Supernode(scene)
    random_file(nginx.files / "f", 3 * MIB)
    home = Home(scene, "h", supernode.node)
    home.get(nginx.url("f"), "-o", scene.root / "out").succeeded()
    peers = supernode.json("/api/v1/peers?pageNum=0&pageSize=10")
    assert [peer["IP"] for peer in peers] == ["127.0.0.1"]
    assert supernode.json("/healthy")["ok"] is True
    (stored,) = home.contents()
    task = supernode.json(f"/api/v1/tasks/{stored.parent.name}")
    assert task["cdnStatus"] == "SUCCESS"
    assert task["fileLength"] == 3 * MIB
    assert task["rawURL"] == nginx.url("f")
