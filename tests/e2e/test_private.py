"""Files for members only: the origin decides, whoever else has the bytes."""

from __future__ import annotations

import base64
import itertools
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.rig.files import MIB, files_with, random_file, sha256
from tests.e2e.rig.home import Home
from tests.e2e.rig.nginx import Nginx
from tests.e2e.rig.scene import Scene, failed
from tests.e2e.rig.supernode import Supernode

ACCESS = 6
SIZE = 8 * MIB
USER = "member"


class Club:
    """An origin with one member, a supernode, and a home that has the file already."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.password = secrets.token_hex(12)
        self.wrong = secrets.token_hex(12)
        self.nginx = Nginx(scene, users={USER: self.password})
        self.supernode = Supernode(scene, "sn", "--debug")
        self.digest = random_file(self.nginx.files / "f", SIZE)
        self._numbers = itertools.count(1)
        self.member = self.home()
        self.member.get(self.url(self.password), "-o", self.out()).succeeded()

    def home(self) -> Home:
        """A new home."""
        return Home(self.scene, f"h{next(self._numbers)}", self.supernode.node)

    def out(self) -> Path:
        """A new output."""
        return self.scene.root / f"out{next(self._numbers)}"

    def url(self, password: str) -> str:
        """The file's URL with this password in it; empty: with none."""
        userinfo = f"{USER}:{password}" if password else ""
        return self.nginx.url("private/f", userinfo=userinfo)

    def header(self, password: str) -> tuple[str, ...]:
        """The flag that sends this password."""
        return "--header", f"Authorization: Basic {self.encoded(password)}"

    def encoded(self, password: str) -> str:
        """How the password goes over the wire."""
        return base64.b64encode(f"{USER}:{password}".encode()).decode()

    def shown(self) -> str:
        """What the supernode shows to everybody."""
        paths = ["/metrics", "/api/v1/peers?pageNum=0&pageSize=100"]
        paths += [f"/api/v1/tasks/{path.parent.name}" for path in self.member.contents()]
        return "".join(self.supernode.get(path) for path in paths)

    def told(self) -> list[Path]:
        """Files that contain a credential, right or wrong, in any form."""
        return [
            path
            for word in (self.password, self.wrong)
            for form in (word, self.encoded(word), self.encoded(word).rstrip("="))
            for path in files_with(self.scene.root, form.encode(), but=("htpasswd",))
        ]


@pytest.fixture(scope="module")
def open_club(module_scene: Scene) -> Club:
    """One for all tests: they break nothing."""
    return Club(module_scene)


@pytest.fixture
def club(open_club: Club, request: pytest.FixtureRequest) -> Iterator[Club]:
    """Whatever a test does, no credential is left in any log or file of any process."""
    yield open_club
    if failed(request):
        print(open_club.scene.logs())
    assert open_club.told() == []
    shown = open_club.shown()
    assert open_club.password not in shown
    assert open_club.encoded(open_club.password) not in shown


def test_member_gets_it_from_the_swarm(club: Club) -> None:
    """The right password opens it; the bytes come from peers and the CDN, not the origin."""
    out = club.out()
    before = club.nginx.body_bytes("f")
    done = club.home().get(club.url(club.password), "-o", out, "--verbose").succeeded()
    assert sha256(out) == club.digest
    assert done.reason == 0
    assert "from peers" in done.text or "from the CDN" in done.text
    assert club.nginx.body_bytes("f") - before < SIZE // 100
    assert club.supernode.fetched == SIZE


def test_header_opens_it_too(club: Club) -> None:
    """``--header 'Authorization: …'`` is the same credential: one task, one copy."""
    out = club.out()
    flags = club.header(club.password)
    club.home().get(club.url(""), "-o", out, *flags).succeeded()
    assert sha256(out) == club.digest
    assert club.supernode.fetched == SIZE


@pytest.mark.parametrize("form", ["url", "header", "none"])
def test_stranger_gets_no_byte_from_anyone(club: Club, form: str) -> None:
    """A wrong password, in either form, or none: 401, although CDN and a peer have it all."""
    out = club.out()
    home = club.home()
    sent = club.supernode.uploaded
    served = club.nginx.body_bytes("f")
    arguments = {
        "url": (club.url(club.wrong),),
        "header": (club.url(""), *club.header(club.wrong)),
        "none": (club.url(""),),
    }[form]
    done = home.get(*arguments, "-o", out, "--verbose").failed(ACCESS)
    assert "401" in done.error
    assert done.length == 0
    assert not out.exists()
    assert home.contents() == []
    assert club.supernode.uploaded == sent
    assert club.nginx.body_bytes("f") == served


def test_stranger_in_a_home_that_has_the_file(club: Club) -> None:
    """What is on the disk of this very home is given to nobody whom the origin refuses."""
    out = club.out()
    done = club.member.get(club.url(club.wrong), "-o", out).failed(ACCESS)
    assert "401" in done.error
    assert done.length == 0
    assert not out.exists()


def test_without_a_supernode_the_origin_decides_as_well(club: Club) -> None:
    """Alone, the same: right gets it, wrong gets 401, before and after."""
    home = Home(club.scene, "alone")
    first, second, third = club.out(), club.out(), club.out()
    home.get(club.url(club.wrong), "-o", first).failed(ACCESS)
    home.get(club.url(club.password), "-o", second).succeeded()
    assert sha256(second) == club.digest
    done = home.get(club.url(club.wrong), "-o", third).failed(ACCESS)
    assert "401" in done.error
    assert not first.exists()
    assert not third.exists()
