"""Tokens for registries that only the path names, from their own realms."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_twisted
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from dragonfly.config import KnownRegistry
from tests.doubles.daemons import Daemon
from tests.doubles.responding import request

AGENT = {"User-Agent": "skopeo/1.9.3"}
BASIC = "Basic " + b64encode(b"alice:s3cret").decode()


class _Registry(Resource):
    """``/v2/`` that answers as a test says, and a realm that tells what it was asked."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.challenge = ""
        self.asked: list[str] = []

    def render_GET(self, request: Request) -> bytes:
        """Answer."""
        path = request.path.decode()
        self.asked.append(path)
        request.setHeader("content-type", "application/json")
        if path == "/token":
            told = {key.decode(): values[0].decode() for key, values in request.args.items()}
            told["authorization"] = request.getHeader("authorization") or ""
            return json.dumps({"token": "t0ken", "told": told}).encode()
        if path == "/v2/" and self.challenge:
            request.setResponseCode(401)
            request.setHeader("www-authenticate", self.challenge)
        return (request.getHeader("authorization") or "nobody").encode()


class World:
    """A registry, and a dfdaemon that mirrors another one, which is not there."""

    def __init__(self) -> None:
        self.registry = _Registry()
        self._port: Any = None
        self.daemon: Daemon

    async def start(self, home: Path) -> None:
        """Listen."""
        self._port = reactor.listenTCP(0, Site(self.registry), interface="127.0.0.1")
        known = KnownRegistry(host=self.netloc, scheme="http")
        self.daemon = await Daemon.started(home, "http://127.0.0.1:1", registries=(known,))

    @property
    def netloc(self) -> str:
        """Of the registry."""
        return f"127.0.0.1:{self._port.getHost().port}"

    @property
    def named(self) -> str:
        """The registry as it stands in a path."""
        return self.netloc.replace(":", "_")

    async def token(self, **headers: str) -> Any:
        """Ask for one."""
        scope = f"repository:{self.named}/team/app:pull"
        path = f"/dragonfly/token?account=alice&scope={scope}&service=dragonfly"
        answer = await self.daemon.get(path, {**AGENT, **headers})
        return json.loads(answer.body) if answer.status == 200 else answer

    async def stop(self) -> None:
        """End both."""
        await self.daemon.stop()
        await self._port.stopListening()


@pytest_twisted.async_yield_fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """One."""
    made = World()
    await made.start(tmp_path / "home")
    yield made
    await made.stop()


@ensureDeferred
async def test_the_mirrored_registry_need_not_be_there(world: World) -> None:
    """How to log in is told by us; other clients are told by the registry."""
    answer = await world.daemon.get("/v2/", AGENT)
    assert answer.status == 401
    assert "/dragonfly/token" in answer.headers["www-authenticate"]
    assert (await world.daemon.get("/v2/")).status == 502


@ensureDeferred
async def test_a_realm_of_its_own(world: World) -> None:
    """It is asked for the repository as it is called there, with the client's password."""
    realm = f"http://{world.netloc}/token"
    world.registry.challenge = f'Bearer realm="{realm}",service="the registry"'
    for _ in range(2):
        answer = await world.token(Authorization=BASIC)
        assert answer["token"] == "t0ken"
        assert answer["told"] == {
            "account": "alice",
            "scope": "repository:team/app:pull",
            "service": "the registry",
            "authorization": BASIC,
        }
    assert world.registry.asked == ["/v2/", "/token", "/token"]


@ensureDeferred
async def test_passwords_and_nobody(world: World) -> None:
    """The token that we give stands for the password, or for nothing."""
    path = f"/v2/{world.named}/team/app/manifests/1"
    world.registry.challenge = 'Basic realm="r"'
    token = (await world.token(Authorization=BASIC))["token"]
    got = await world.daemon.get(path, {**AGENT, "Authorization": f"Bearer {token}"})
    assert got.body.decode() == BASIC
    token = (await world.token())["token"]
    got = await world.daemon.get(path, {**AGENT, "Authorization": f"Bearer {token}"})
    assert got.body == b"nobody"


@ensureDeferred
async def test_a_registry_that_needs_no_login(world: World) -> None:
    """Nothing is sent to it."""
    token = (await world.token(Authorization=BASIC))["token"]
    path = f"/v2/{world.named}/team/app/manifests/1"
    got = await world.daemon.get(path, {**AGENT, "Authorization": f"Bearer {token}"})
    assert got.body == b"nobody"


@ensureDeferred
async def test_what_cannot_be_asked(world: World) -> None:
    """Another way of logging in; a realm that is no URL, or must not be asked."""
    for challenge, status, text in (
        ("Negotiate abc", 502, b"not known"),
        ('Bearer realm="nonsense"', 502, b"no URL"),
        ('Bearer realm="ftp://x/"', 502, b"ftp"),
        ('Bearer realm="http://h.example:25/"', 403, b"port 25"),
    ):
        world.registry.challenge = challenge
        world.daemon.service._reception.desk._logins._known.clear()
        answer = await world.token()
        assert answer.status == status
        assert text in answer.body


@ensureDeferred
async def test_a_registry_that_nobody_named(world: World) -> None:
    """A path may lead anywhere: no password goes there."""
    registry = world.daemon.service._reception.desk._router.repository(
        "r.example:5000/x", request()
    )[0]
    head = world.daemon.service._reception.desk._logins._known_to(
        registry, request(b"GET", b"/", (b"Authorization", BASIC.encode()))
    )
    assert [name for name, _ in head.headers] == [b"Host"]
