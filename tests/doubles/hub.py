"""A stand-in that answers as Hugging Face's hub does, with a storage on another host.

::

    hub = await Hub.started(reactor)
    hub.commit("c" * 40, {"config.json": b"{}", "model.bin": weights})
    ... hub.url("/org/model/resolve/main/model.bin") ...
    await hub.stop()

Files above :data:`LARGE` are redirected to signed URLs of the storage, and the redirect has the
headers that tell of them; smaller ones are answered at once.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from tests.doubles.origin import FakeOrigin, Page

__all__ = ["LARGE", "REPO", "Hub"]

REPO = "org/model"
LARGE = 1000


class Hub:
    """The hub with its storage.

    :ivar api: the hub itself.
    :ivar cdn: its storage.
    """

    def __init__(
        self, api: FakeOrigin, cdn: FakeOrigin, *, token: str | None, secure: bool
    ) -> None:
        self.api = api
        self.cdn = cdn
        self._token = token
        # Another host, not only another port: clients look at that.
        self._host, self._storage = "127.0.0.1", "localhost"
        if secure:
            self._host, self._storage = self._storage, self._host
        self._signed = 0

    @classmethod
    async def started(cls, reactor: Any, *, token: str | None = None, tls: Any = None) -> Hub:
        """Without any file; with a *token* its repository is for those who have that.

        :param tls: key and certificate of ``localhost`` for the hub itself.
        """
        api = FakeOrigin(reactor, tls=tls)
        hub = cls(api, FakeOrigin(reactor), token=token, secure=tls is not None)
        await hub.api.start()
        await hub.cdn.start()
        return hub

    async def stop(self) -> None:
        """End both."""
        await self.api.stop()
        await self.cdn.stop()

    def url(self, path: str) -> str:
        """At the hub."""
        return self.api.url(path, host=self._host)

    def commit(self, commit: str, files: dict[str, bytes]) -> None:
        """Make these the files of ``main``, and of that commit."""
        for name, body in files.items():
            for revision in ("main", commit):
                self._put(f"/{REPO}/resolve/{revision}/{name}", self._page(body, commit))
        absent = Page(status=404, body=b"Entry not found", etag=None)
        absent.headers = {"X-Repo-Commit": commit, "X-Error-Code": "EntryNotFound"}
        self._put(f"/{REPO}/resolve/main/absent.bin", absent)
        self._describe(commit, files)

    def rename(self, old: str, name: str) -> None:
        """Have the file of a repository that was called *old* be looked for where it is."""
        there = f"/{REPO}/resolve/main/{name}"
        self._put(f"/{old}/resolve/main/{name}", Page(redirect=there, status=307, etag=None))

    def sign_anew(self) -> None:
        """Redirect to other signatures from now on."""
        self._signed += 1
        for page in self.api.pages.values():
            if page.redirect is not None and "?" in page.redirect:
                page.redirect = page.redirect.partition("?")[0] + self._signature()

    def _put(self, path: str, page: Page) -> None:
        page.token = self._token
        self.api.pages[path] = page

    def _page(self, body: bytes, commit: str) -> Page:
        if len(body) <= LARGE:
            etag = f'"{hashlib.sha1(body, usedforsecurity=False).hexdigest()}"'
            return Page(body=body, etag=etag, headers={"X-Repo-Commit": commit})
        value = hashlib.sha256(body).hexdigest()
        self.cdn.put(f"/repos/{value}", body, etag=f'"{value[:32]}-2"')
        page = Page(redirect=self._stored(value) + self._signature(), etag=None)
        page.headers = {
            "X-Repo-Commit": commit,
            "X-Linked-Etag": f'"{value}"',
            "X-Linked-Size": str(len(body)),
            "X-Xet-Hash": value[::-1],
            "Link": f'<{self.url("/api/xet-token")}>; rel="xet-auth"',
        }
        return page

    def _stored(self, value: str) -> str:
        return self.cdn.url(f"/repos/{value}", host=self._storage)

    def _signature(self) -> str:
        return f"?Expires={1_790_000_000 + self._signed}&Policy=p&Signature=s~&Key-Pair-Id=K"

    def _describe(self, commit: str, files: dict[str, bytes]) -> None:
        """The API: what the revision is, and its files on two pages."""
        described = {
            "id": REPO,
            "sha": commit,
            "private": False,
            "gated": False,
            "disabled": False,
            "tags": [],
            "downloads": 0,
            "likes": 0,
            "siblings": [{"rfilename": name} for name in files],
        }
        for revision in ("main", commit):
            path = f"/api/models/{REPO}"
            self._json(f"{path}/revision/{revision}", described)
            entries = [_entry(name, body) for name, body in files.items()]
            following = f"{path}/tree/{revision}?recursive=True&expand=False&cursor=2"
            self._json(f"{path}/tree/{revision}", entries[:1], following)
            self._json(following, entries[1:])

    def _json(self, path: str, value: Any, following: str = "") -> None:
        page = Page(body=json.dumps(value).encode(), etag=None)
        page.headers["Content-Type"] = "application/json"
        if following:
            page.headers["Link"] = f'<{self.url(following)}>; rel="next"'
        self._put(path, page)


def _entry(name: str, body: bytes) -> dict[str, Any]:
    oid = hashlib.sha1(body, usedforsecurity=False).hexdigest()
    entry: dict[str, Any] = {"type": "file", "path": name, "size": len(body), "oid": oid}
    if len(body) > LARGE:
        value = hashlib.sha256(body).hexdigest()
        entry["lfs"] = {"oid": value, "size": len(body), "pointerSize": 134}
    return entry
