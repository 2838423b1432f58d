"""Origins and supernodes that are not there: before, after, or not what they should be."""

from __future__ import annotations

from tests.e2e.rig.files import MIB, random_file, sha256
from tests.e2e.rig.home import Home
from tests.e2e.rig.nginx import Nginx, free_port
from tests.e2e.rig.scene import Scene
from tests.e2e.rig.stage import Stage
from tests.e2e.rig.supernode import Supernode

NETWORK = 4
NO_SUPERNODE = 8
# "Within seconds": an address that refuses connections is no reason to wait.
SOON_S = 15
SIZE = 8 * MIB


def test_origin_may_go_when_the_cdn_has_the_file(scene: Scene) -> None:
    """A new home still gets it: from a peer, and when that one is gone from the CDN."""
    nginx = Nginx(scene)
    supernode = Supernode(scene)
    digest = random_file(nginx.files / "f", SIZE)
    first, second, third = (Home(scene, name, supernode.node) for name in ("h1", "h2", "h3"))
    first.get(nginx.url("f"), "-o", scene.root / "one").succeeded()
    nginx.stop()
    second.get(nginx.url("f"), "-o", scene.root / "two").succeeded()
    assert sha256(scene.root / "two") == digest
    first.kill()
    second.kill()
    done = third.get(nginx.url("f"), "-o", scene.root / "three").succeeded()
    assert sha256(scene.root / "three") == digest
    assert "from the CDN" in done.text


def test_started_again_supernode_serves_what_it_had(scene: Scene) -> None:
    """With the origin gone, what is on the supernode's disk is enough; so is a killed one's."""
    nginx = Nginx(scene)
    supernode = Supernode(scene)
    digest = random_file(nginx.files / "f", SIZE)
    first, second = (Home(scene, name, supernode.node) for name in ("h1", "h2"))
    first.get(nginx.url("f"), "-o", scene.root / "one").succeeded()
    first.stop()
    nginx.stop()
    supernode.kill()
    supernode.start()
    second.get(nginx.url("f"), "-o", scene.root / "two").succeeded()
    assert sha256(scene.root / "two") == digest
    assert supernode.fetched == 0


def test_origin_that_was_never_there(stage: Stage) -> None:
    """A clear error within seconds that names the origin, and no output."""
    port = free_port()
    out = stage.scene.root / "never"
    done = stage.home.get(f"http://127.0.0.1:{port}/f", "-o", out).failed(NETWORK)
    assert done.seconds < SOON_S
    assert f"127.0.0.1:{port}" in done.error
    assert not out.exists()


def test_origin_that_was_never_there_without_a_supernode(scene: Scene) -> None:
    """The same, when dfget is on its own."""
    port = free_port()
    done = Home(scene, "h").get(f"http://127.0.0.1:{port}/f", "-o", scene.root / "f")
    done.failed(NETWORK)
    assert done.seconds < SOON_S
    assert f"127.0.0.1:{port}" in done.error


def test_host_name_that_does_not_exist(stage: Stage) -> None:
    """A name that cannot be resolved is named, with what is wrong with it."""
    done = stage.home.get("http://no-such-host.invalid/f", "-o", stage.scene.root / "f")
    done.failed(NETWORK)
    assert done.seconds < SOON_S
    assert "no-such-host.invalid" in done.error


def test_without_any_supernode_the_origin_serves(scene: Scene) -> None:
    """No node is configured: the file comes from the origin, and dfget says why."""
    nginx = Nginx(scene)
    digest = random_file(nginx.files / "f", SIZE)
    done = Home(scene, "h").get(nginx.url("f"), "-o", scene.root / "f").succeeded()
    assert sha256(scene.root / "f") == digest
    assert done.reason == NO_SUPERNODE
    assert "no supernode" in done.text


def test_supernode_that_nobody_answers_for(stage: Stage) -> None:
    """A wrong address costs no download: the origin serves, and the address is named."""
    digest = random_file(stage.nginx.files / "nobody", SIZE)
    node = f"127.0.0.1:{free_port()}"
    out = stage.scene.root / "nobody"
    home = Home(stage.scene, "hn", node)
    done = home.get(stage.nginx.url("nobody"), "-o", out).succeeded()
    assert sha256(out) == digest
    assert done.reason == NO_SUPERNODE
    assert node in done.stderr
    assert done.seconds < SOON_S


def test_supernode_that_nobody_answers_for_and_no_fall_back(stage: Stage) -> None:
    """With ``--notbs`` the same is an error that names the address; nothing is written."""
    node = f"127.0.0.1:{free_port()}"
    out = stage.scene.root / "nobody-2"
    home = Home(stage.scene, "hn2", node)
    random_file(stage.nginx.files / "nobody-2", 1)
    done = home.get(stage.nginx.url("nobody-2"), "-o", out, "--notbs").failed(NETWORK)
    assert node in done.error
    assert done.seconds < SOON_S
    assert not out.exists()


def test_second_supernode_stands_in(stage: Stage) -> None:
    """Of two nodes one is dead: the other one is used, nothing falls back."""
    digest = random_file(stage.nginx.files / "second", SIZE)
    out = stage.scene.root / "second"
    home = Home(stage.scene, "hs", f"127.0.0.1:{free_port()}", stage.supernode.node)
    done = home.get(stage.nginx.url("second"), "-o", out).succeeded()
    assert sha256(out) == digest
    assert done.reason == 0


def test_something_else_at_the_supernode_address(stage: Stage) -> None:
    """A web server is no supernode: that is said, and the origin serves."""
    digest = random_file(stage.nginx.files / "else", SIZE)
    node = f"127.0.0.1:{stage.nginx.port}"
    out = stage.scene.root / "else"
    done = Home(stage.scene, "he", node).get(stage.nginx.url("else"), "-o", out).succeeded()
    assert sha256(out) == digest
    assert done.reason == NO_SUPERNODE
    assert node in done.stderr


def test_another_supernode_at_a_known_address(scene: Scene) -> None:
    """A certificate that is not the pinned one is refused, loudly; the file still comes."""
    nginx = Nginx(scene)
    digest = random_file(nginx.files / "f", SIZE)
    first = Supernode(scene, "sn1")
    home = Home(scene, "h", first.node)
    home.get(nginx.url("f"), "-o", scene.root / "one").succeeded()
    first.stop()
    impostor = Supernode(scene, "sn2", http=first.http)
    done = home.get(nginx.url("f"), "-o", scene.root / "two", "-i", "other").succeeded()
    assert sha256(scene.root / "two") == digest
    assert "WARNING" in done.stderr
    assert str(home.path / "known_supernodes") in done.stderr
    assert impostor.json("/healthy")["peers"] == 0
