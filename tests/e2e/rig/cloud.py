"""What stands around a registry, as a program: ``cloud.py SETTINGS READY_FILE``.

All of it is HTTPS:

``realm``
    gives bearer tokens to whoever has the right password, by ``GET`` with Basic credentials
    and by ``POST`` of a form, as containerd asks;
``front``
    a registry for members that answers blobs with 307 to signed URLs and passes everything else
    on to the registry behind it;
``store``
    the files of a registry's storage for those who have a signed URL; whoever sends
    ``Authorization`` is refused, as S3 does.

SETTINGS is JSON: ``certificate`` (one PEM file), ``realm`` / ``front`` / ``store`` (address and
port), ``key`` (PEM, of the tokens), ``service``, ``user``, ``password``, ``backend`` (port of
the registry behind the front), ``storage``, ``store_url``, ``logs`` (a directory).
"""

from __future__ import annotations

import json
import re
import secrets
import sys
import time
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from twisted.internet import endpoints, task
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.web.proxy import ReverseProxyResource
from twisted.web.resource import Resource
from twisted.web.server import Site
from twisted.web.static import File

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.e2e.rig import bearer, signing

_BLOB = re.compile(rb"^/v2/.+/blobs/sha256:([0-9a-f]{64})$")


class Realm(Resource):
    """Tokens."""

    isLeaf = True

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__()
        self._settings = settings
        pem = Path(settings["key"]).read_bytes()
        self._key = serialization.load_pem_private_key(pem, None)

    def render_GET(self, request: Any) -> bytes:
        """Basic credentials; ``scope`` may be repeated."""
        return self._answer(request, request.getUser(), request.getPassword(), "token")

    def render_POST(self, request: Any) -> bytes:
        """A form with ``grant_type=password``."""
        form = {name: values[0] for name, values in request.args.items()}
        user, password = form.get(b"username", b""), form.get(b"password", b"")
        return self._answer(request, user, password, "access_token")

    def _answer(self, request: Any, user: bytes, password: bytes, name: str) -> bytes:
        settings = self._settings
        request.setHeader("Content-Type", "application/json")
        if not _member(settings, user, password):
            return _refused(request, 401, '{"errors":[{"code":"UNAUTHORIZED"}]}')
        token = bearer.signed(
            self._key,  # type: ignore[arg-type]
            bearer.access([scope.decode() for scope in request.args.get(b"scope", [])]),
            user=user.decode(),
            service=settings["service"],
            issuer="realm",
            now=int(time.time()),
        )
        return json.dumps({name: token, "expires_in": 300}).encode()


class Front(Resource):
    """A registry for members whose blobs are elsewhere."""

    isLeaf = True

    def __init__(self, settings: dict[str, Any], secret: bytes) -> None:
        super().__init__()
        self._settings = settings
        self._secret = secret

    def render(self, request: Any) -> Any:
        """Blobs by 307, the rest from behind."""
        if not _member(self._settings, request.getUser(), request.getPassword()):
            request.setHeader("WWW-Authenticate", 'Basic realm="members"')
            return _refused(request, 401, "who are you?")
        match = _BLOB.match(request.path)
        if match is None or request.method not in (b"GET", b"HEAD"):
            _join(request.requestHeaders, b"Accept")
            behind = ReverseProxyResource("127.0.0.1", self._settings["backend"], request.path)
            return behind.render(request)  # type: ignore[no-untyped-call]
        name = match[1].decode()
        path = f"/docker/registry/v2/blobs/sha256/{name[:2]}/{name}/data"
        target = signing.signed(path, self._secret, now=int(time.time()))
        request.setResponseCode(307)
        request.setHeader("Location", self._settings["store_url"] + target)
        return b""


class Store(Resource):
    """Files for those who may have them."""

    isLeaf = True

    def __init__(self, settings: dict[str, Any], secret: bytes) -> None:
        super().__init__()
        self._storage = Path(settings["storage"])
        self._secret = secret

    def render_GET(self, request: Any) -> Any:
        """The file, or a part of it."""
        query = {name.decode(): values[0].decode() for name, values in request.args.items()}
        path = request.path.decode()
        if request.getHeader("Authorization"):
            return _refused(request, 400, "only one auth mechanism allowed")
        why = signing.checked(path, query, self._secret, now=int(time.time()))
        if why:
            return _refused(request, 403, why)
        return File(str(self._storage / path.lstrip("/")), "application/octet-stream").render_GET(
            request
        )


def _join(headers: Any, name: bytes) -> None:
    """One line for all: the proxy would pass only the last of several on."""
    lines = headers.getRawHeaders(name, [])
    if lines:
        headers.setRawHeaders(name, [b", ".join(lines)])


def _member(settings: dict[str, Any], user: bytes, password: bytes) -> bool:
    return [user.decode(), password.decode()] == [settings["user"], settings["password"]]


def _refused(request: Any, status: int, why: str) -> bytes:
    request.setResponseCode(status)
    return why.encode()


async def _serve(reactor: Any, settings: dict[str, Any]) -> None:
    secret = secrets.token_bytes(32)
    resources = {
        "realm": Realm(settings),
        "front": Front(settings, secret),
        "store": Store(settings, secret),
    }
    pem = settings["certificate"]
    for name, resource in resources.items():
        address, port = settings[name]
        text = f"ssl:{port}:interface={address}:privateKey={pem}:certKey={pem}"
        site = Site(resource, logPath=str(Path(settings["logs"]) / f"{name}.access"))
        await endpoints.serverFromString(reactor, text).listen(site)


async def _run(reactor: Any, settings: str, ready: str) -> None:
    await _serve(reactor, json.loads(_read(settings)))
    Path(ready).touch()  # noqa: ASYNC240 (nothing else runs yet)
    await Deferred[None]()


def _read(path: str) -> str:
    return Path(path).read_text()


if __name__ == "__main__":
    task.react(lambda reactor, *words: ensureDeferred(_run(reactor, *words)), sys.argv[1:])
