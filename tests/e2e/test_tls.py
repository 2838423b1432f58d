"""An origin behind TLS whose certificate no public authority has signed."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import pytest

from dragonfly.net.tls import load_or_make_certificate
from tests.e2e.rig.files import MIB, random_file, sha256
from tests.e2e.rig.home import Home
from tests.e2e.rig.nginx import Nginx
from tests.e2e.rig.scene import Scene, failed
from tests.e2e.rig.supernode import Supernode

SIZE = 3 * MIB


@attrs.frozen
class Secure:
    """An origin behind TLS, the file that vouches for it, and a supernode."""

    scene: Scene
    nginx: Nginx
    cacerts: str
    supernode: Supernode


@pytest.fixture(scope="module")
def made(module_scene: Scene) -> Secure:
    """One for all tests: they break nothing."""
    certificate = load_or_make_certificate(module_scene.directory("tls"), ("127.0.0.1",))
    nginx = Nginx(module_scene, certificate=certificate.path)
    random_file(nginx.files / "f", SIZE)
    return Secure(module_scene, nginx, str(certificate.path), Supernode(module_scene))


@pytest.fixture
def secure(made: Secure, request: pytest.FixtureRequest) -> Iterator[Secure]:
    """The same; the logs are shown if the test fails."""
    yield made
    if failed(request):
        print(made.scene.logs())


@pytest.mark.parametrize("flag", ["--cacerts", "--insecure"])
@pytest.mark.parametrize("alone", [True, False], ids=["alone", "swarm"])
def test_trust_is_the_callers_own(secure: Secure, flag: str, *, alone: bool) -> None:
    """With the authority's file, or without any check, the file comes."""
    name = f"{'alone' if alone else 'swarm'}{flag}"
    home = Home(secure.scene, name, *([] if alone else [secure.supernode.node]))
    out = secure.scene.root / f"{name}-out"
    trust = (flag, secure.cacerts) if flag == "--cacerts" else (flag,)
    home.get(secure.nginx.url("f"), "-o", out, *trust).succeeded()
    assert sha256(out) == sha256(secure.nginx.files / "f")


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "swarm"])
def test_unknown_certificate_is_refused(secure: Secure, *, alone: bool) -> None:
    """Without either: an error that speaks of the certificate; nothing is written."""
    name = "alone" if alone else "swarm"
    home = Home(secure.scene, f"{name}-no", *([] if alone else [secure.supernode.node]))
    out = secure.scene.root / f"{name}-no-out"
    done = home.get(secure.nginx.url("f"), "-o", out)
    assert done.code != 0
    assert "certificate" in done.error
    assert not out.exists()


def test_one_callers_trust_is_not_anothers(secure: Secure) -> None:
    """In one home, one peer process: who said ``--insecure`` said it for himself alone."""
    home = Home(secure.scene, "both")
    out = secure.scene.root / "both-out"
    home.get(secure.nginx.url("f"), "-o", out, "--insecure").succeeded()
    done = home.get(secure.nginx.url("f"), "-o", secure.scene.root / "both-no")
    assert done.code != 0
    assert "certificate" in done.error
