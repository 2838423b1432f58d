"""A pull as engines do it, through dfdaemon: a manifest, and the smallest blob of it."""

from __future__ import annotations

import json
import platform
import ssl
from collections.abc import Mapping
from urllib.parse import quote, urlencode, urlsplit

import attrs

from dragonfly.daemon.log.note import DOCTOR
from dragonfly.daemon.straight.challenge import parse_challenge
from dragonfly.errors import OriginError, OriginRefused, OriginUnreachable
from dragonfly.setup.finding import Finding, fail, ok, skipped, warn
from dragonfly.setup.image import ACCEPT, Image, smallest, submanifest
from dragonfly.setup.running import Running
from dragonfly.setup.web import Reply, get

__all__ = ["TrialPull"]

LARGEST_BLOB = 64 << 20
"""Bytes; the smallest blob of an image is its configuration, nearly always some KiB."""

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_NO_ANSWER = (502, 503, 504)


@attrs.define(eq=False)
class TrialPull:
    """One pull of an image.

    :ivar mirror: URL of dfdaemon's mirror.
    :ivar named: tell dfdaemon which registry is meant; it needs no telling for its own.
    :ivar chosen: the user chose the image, so that it cannot be pulled is a failure.
    """

    mirror: str
    image: Image
    running: Running
    named: bool
    chosen: bool
    context: ssl.SSLContext | None = None
    _token: str = attrs.field(default="", init=False, repr=False)

    def check(self) -> Finding:
        """Pull, and say from where the bytes came."""
        what = f"pull of {self.image}"
        try:
            before = self.running.counters("bytes_total", "source")
            size = self._pull()
            after = self.running.counters("bytes_total", "source")
        except OriginRefused as error:
            remedy = "name an image that anybody may pull: --image HOST/NAME"
            return fail(what, str(error), remedy) if self.chosen else skipped(what, str(error))
        except OriginUnreachable as error:
            if self.chosen or not error.status:
                return fail(what, str(error), "look into dfdaemon's log")
            return skipped(what, f"the registry does not answer: {error}")
        except OriginError as error:
            return fail(what, str(error), "look into dfdaemon's log")
        came = {name: int(after[name] - before.get(name, 0)) for name in after}
        return self._verdict(what, size, {name: count for name, count in came.items() if count})

    def _verdict(self, what: str, size: int, came: Mapping[str, int]) -> Finding:
        listed = ", ".join(f"{name}={count}" for name, count in came.items()) or "nowhere"
        text = f"manifest and a blob of {size} bytes have the right digests, from {listed}"
        shared = set(came) & {"cache", "peers", "cdn"}
        if size and self.running.supernodes and not shared:
            remedy = "dfdaemon's access log says why=... for it"
            return warn(what, f"{text}: the swarm gave nothing", remedy)
        return ok(what, text)

    # -- the steps -------------------------------------------------------------------------

    def _pull(self) -> int:
        """Give the size of the blob.

        :raises OriginError: it did not work; the classes below it say how.
        """
        manifest = self._manifest(self.image.reference)
        digest = submanifest(manifest.body, _architecture())
        if digest is not None:
            manifest = self._manifest(digest)
        blob = smallest(manifest.body)
        if blob is None or blob.size > LARGEST_BLOB:
            return 0
        reply = self._asked(f"blobs/{blob.digest}", most=LARGEST_BLOB)
        _right(f"blob {blob.digest}", reply, blob.digest)
        return reply.size

    def _manifest(self, reference: str) -> Reply:
        reply = self._asked(f"manifests/{reference}")
        digest = reference if reference.startswith("sha256:") else ""
        _right(f"manifest {reference}", reply, digest or reply.headers.get("docker-content-digest"))
        return reply

    def _asked(self, path: str, *, most: int = LARGEST_BLOB) -> Reply:
        reply = self._get(path, most)
        if reply.status == 401 and not self._token:
            self._token = self._fetched(reply.headers.get("www-authenticate", ""))
            reply = self._get(path, most)
        if reply.status in _NO_ANSWER:
            text = reply.body.decode("utf-8", "replace").strip().partition("\n")[0][:200]
            raise OriginUnreachable(f"{path}: {reply.status} {text}".strip(), reply.status)
        if reply.status != 200:
            raise OriginRefused(f"{path}: the answer is {reply.status}", reply.status)
        return reply

    def _get(self, path: str, most: int) -> Reply:
        headers = {"Accept": f"{ACCEPT}, */*", "User-Agent": DOCTOR}
        if self.named:
            headers["X-Dragonfly-Registry"] = self.image.registry.server
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        url = f"{self.mirror}/v2/{quote(self.image.name)}/{path}"
        return get(url, headers, context=self.context, most=most)

    def _fetched(self, challenge: str) -> str:
        """A token as for anybody, from where the registry says; not through dfdaemon, as engines
        do it."""
        scheme, said = parse_challenge(challenge)
        realm = urlsplit(said.get("realm", "") if scheme == "bearer" else "")
        if realm.scheme not in ("http", "https") or not realm.netloc:
            raise OriginRefused("the registry wants credentials", 401)
        fields = {"scope": f"repository:{self.image.name}:pull", **said}
        asked = [(key, fields[key]) for key in ("service", "scope") if key in fields]
        query = "&".join(part for part in (realm.query, urlencode(asked)) if part)
        reply = get(realm._replace(query=query, fragment="").geturl())
        if reply.status != 200:
            raise OriginRefused(f"{realm.netloc} gives no token: {reply.status}", reply.status)
        try:
            found = json.loads(reply.body)
            return str(found.get("token") or found["access_token"])
        except (ValueError, KeyError, AttributeError):
            raise OriginRefused(f"{realm.netloc} gives no token") from None


def _architecture() -> str:
    machine = platform.machine()
    return _ARCHITECTURES.get(machine, machine)


def _right(what: str, reply: Reply, digest: str | None) -> None:
    """Compare; another digest algorithm is not looked at."""
    if digest and digest.startswith("sha256:") and digest != f"sha256:{reply.sha256}":
        raise OriginError(f"{what}: got sha256:{reply.sha256} ({reply.size} bytes)")
