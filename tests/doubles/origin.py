"""A real HTTP server whose behaviour, and misbehaviour, a test decides.

::

    origin = FakeOrigin(reactor)
    await origin.start()
    page = origin.put("/file", b"..." , ranges=False)
    ... origin.url("/file") ...
    page.cut_after = 1000
    assert origin.sent("/file") < 2000
    await origin.stop()

Every switch of :class:`Page` may be changed while the server runs.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IPushProducer
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site
from zope.interface import implementer

__all__ = ["FakeOrigin", "Logged", "Page"]

BLOCK = 64 * 1024
_RANGE = re.compile(r"bytes=(\d*)-(\d*)$")


@attrs.define(eq=False, kw_only=True)
class Page:
    """What one path answers."""

    body: bytes = b""
    etag: str | None = '"v1"'
    """``None`` for none; write ``W/"x"`` for a weak one."""
    last_modified: str | None = None
    headers: dict[str, str] = attrs.field(factory=dict)
    """More response headers: Cache-Control, Set-Cookie, Vary, Location ..."""

    status: int | None = None
    """Answer this status to everything, with the body as an error page."""
    redirect: str | None = None
    """Answer 302 (or ``status``) with this Location."""
    basic: tuple[str, str] | None = None
    """Ask for this user and password."""
    token: str | None = None
    """Ask for ``Authorization: Bearer`` with this token."""
    open_head: bool = False
    """Ask nobody for anything who sends a HEAD."""
    realm: str = "https://auth.example/token"
    """Where that is to be had."""

    head: bool = True
    """``False``: answer HEAD with ``head_status``."""
    head_status: int = 405
    head_length: int | None = None
    """Content-Length in answers to HEAD, true or not."""
    head_tells_length: bool = True
    """``False``: send no Content-Length in answers to HEAD."""
    head_etag: str | None = None
    """Another entity tag in answers to HEAD."""
    head_hangs_up: bool = False
    """Close the connection instead of answering HEAD."""
    head_hangs: bool = False
    """Do not answer HEAD at all."""
    ranges: bool = True
    """``False``: ignore Range and announce none."""
    range_total: bool = True
    """``False``: ``Content-Range: bytes a-b/*``."""
    range_shift: int = 0
    """Answer ranges from this many bytes beside what was asked."""
    chunked: bool = False
    """Send no Content-Length; the end is the last chunk."""
    close_delimited: bool = False
    """Send no Content-Length; the end is the end of the connection."""
    gzip: bool = False
    """Send gzip, whatever was asked for."""

    announce: int | None = None
    """Content-Length, true or not."""
    cut_after: int | None = None
    """Close the connection after this many body bytes of a response."""
    cuts: int | None = None
    """How many responses are cut; ``None`` for all."""
    stall_after: int | None = None
    """Send this many body bytes of a response and nothing after."""
    change_after: int | None = None
    """When this many body bytes of a response were sent, become ``change_to``."""
    change_to: Page | None = None
    hold: Deferred[Any] | None = None
    """Answer nothing until this fires (its result goes on as it is)."""


@attrs.define(eq=False)
class Logged:
    """One request, as the server saw it."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    lines: dict[str, list[str]] = attrs.field(factory=dict)
    """All values of each header, where a client repeats it."""
    status: int = 0
    sent: int = 0
    """Body bytes written."""
    finished: bool = False
    """The whole response was written."""
    gone: Deferred[None] = attrs.field(factory=Deferred)
    """Fires when the response is finished or the client left."""


class FakeOrigin:
    """The server, on 127.0.0.1 and a port of the kernel's choice.

    :param tls: key and certificate (a context factory) for https.
    """

    def __init__(self, reactor: Any, *, tls: Any = None) -> None:
        self.pages: dict[str, Page] = {}
        self.log: list[Logged] = []
        self.connections = 0
        """How many connections were accepted."""
        self._reactor = reactor
        self._tls = tls
        self._port: Any = None
        self._channels: set[Any] = set()

    async def start(self, port: int = 0) -> None:
        """Listen."""
        site = Site(_Everything(self), reactor=self._reactor)
        build: Callable[[Any], Any] = site.buildProtocol

        def remember(addr: Any) -> Any:
            channel = build(addr)
            self._channels.add(channel)
            self.connections += 1
            return channel

        site.buildProtocol = remember  # type: ignore[method-assign]
        factory: Any = site
        if self._tls is not None:
            factory = TLSMemoryBIOFactory(self._tls, False, site, self._reactor)
        self._port = self._reactor.listenTCP(port, factory, interface="127.0.0.1")

    async def stop(self) -> None:
        """Stop listening and drop every connection."""
        port, self._port = self._port, None
        if port is not None:
            await port.stopListening()
        for channel in self._channels:
            transport = getattr(channel, "transport", None)
            if transport is not None:
                transport.abortConnection()
        self._channels.clear()
        open_ones = [entry.gone for entry in self.log if not entry.gone.called]
        await DeferredList(open_ones)

    @property
    def port(self) -> int:
        """The port's number."""
        number: int = self._port.getHost().port
        return number

    def url(self, path: str, *, host: str = "127.0.0.1", userinfo: str = "") -> str:
        """Return a URL of this server; ``localhost`` as *host* is another origin."""
        scheme = "http" if self._tls is None else "https"
        at = f"{userinfo}@" if userinfo else ""
        return f"{scheme}://{at}{host}:{self.port}{path}"

    def put(self, path: str, body: bytes = b"", **switches: Any) -> Page:
        """Answer *path* with *body* and return the page; without a query it is for all."""
        page = self.pages[path] = Page(body=body, **switches)
        return page

    def requests(self, path: str, method: str | None = None) -> list[Logged]:
        """Return the requests for *path*, oldest first."""
        return [
            entry
            for entry in self.log
            if entry.path == path and (method is None or entry.method == method)
        ]

    def reads(self, path: str) -> list[Logged]:
        """Return the GETs for *path* but those that only check who may have it, for one byte."""
        return [entry for entry in self.requests(path, "GET") if not _is_check(entry)]

    @property
    def content_bytes(self) -> int:
        """How many bytes were sent, but for those checks."""
        return sum(entry.sent for entry in self.log if not _is_check(entry))

    def count(self, path: str, method: str | None = None) -> int:
        """Return how many requests for *path* came."""
        return len(self.requests(path, method))

    def sent(self, path: str) -> int:
        """Return how many body bytes were sent for *path*; a check for one byte is not counted."""
        return sum(each.sent for each in self.requests(path) if not _is_check(each))


def _is_check(entry: Logged) -> bool:
    return entry.headers.get("range") == "bytes=0-0"


class _Everything(Resource):
    isLeaf = True

    def __init__(self, origin: FakeOrigin) -> None:
        super().__init__()
        self._origin = origin

    def render(self, request: Request) -> int:
        path, _, query = request.uri.decode("latin-1").partition("?")
        lines = {
            name.decode("latin-1").lower(): [value.decode("utf-8", "replace") for value in values]
            for name, values in request.requestHeaders.getAllRawHeaders()
        }
        headers = {name: values[-1] for name, values in lines.items()}
        entry = Logged(request.method.decode("ascii"), path, query, headers, lines)
        self._origin.log.append(entry)
        request.notifyFinish().addBoth(lambda _: entry.gone.callback(None))
        pages = self._origin.pages
        page = pages.get(f"{path}?{query}") or pages.get(path)
        if page is None:
            page = Page(status=404, body=b"not here\n", etag=None)
        answer = _Answer(page, request, entry)
        if page.hold is not None:
            page.hold.addBoth(answer.begin_late)
        else:
            answer.begin()
        return NOT_DONE_YET


@implementer(IPushProducer)
class _Answer:
    """One response: headers, then the body as fast as the client takes it."""

    def __init__(self, page: Page, request: Request, entry: Logged) -> None:
        self._page = page
        self._request = request
        self._entry = entry
        self._body = b""
        self._paused = False
        self._over = False

    def begin_late(self, result: Any) -> Any:
        if not self._entry.gone.called:
            self.begin()
        return result

    def begin(self) -> None:
        page, request = self._page, self._request
        if page.head_hangs_up and self._entry.method == "HEAD":
            request.channel.forceAbortClient()
            return
        if page.head_hangs and self._entry.method == "HEAD":
            return
        for name, value in page.headers.items():
            request.setHeader(name, value)
        refusal = self._refusal()
        if refusal is not None:
            self._finish(refusal, page.body if page.status else b"no\n")
            return
        if page.redirect is not None:
            request.setHeader("Location", page.redirect)
            self._finish(page.status or 302, page.body)
            return
        self._serve()

    def _refusal(self) -> int | None:
        page, request = self._page, self._request
        authorization = self._entry.headers.get("authorization")
        admitted = page.open_head and self._entry.method == "HEAD"
        if page.basic is not None and not admitted:
            given = request.getUser().decode(), request.getPassword().decode()
            if given != page.basic:
                request.setHeader("WWW-Authenticate", 'Basic realm="files"')
                return 401
        if page.token is not None and not admitted and authorization != f"Bearer {page.token}":
            request.setHeader("WWW-Authenticate", f'Bearer realm="{page.realm}"')
            return 401
        if self._entry.method == "HEAD" and not page.head:
            return page.head_status
        if page.redirect is None:
            return page.status
        return None

    def _serve(self) -> None:
        page, request = self._page, self._request
        whole = gzip.compress(page.body) if page.gzip else page.body
        if page.gzip:
            request.setHeader("Content-Encoding", "gzip")
        if page.etag is not None:
            other = page.head_etag if self._entry.method == "HEAD" else None
            request.setHeader("ETag", other or page.etag)
        if page.last_modified is not None:
            request.setHeader("Last-Modified", page.last_modified)
        begin, end, status = 0, len(whole), 200
        if page.ranges:
            request.setHeader("Accept-Ranges", "bytes")
            begin, end, status = self._range(len(whole))
        self._body = whole[begin:end]
        self._entry.status = status
        request.setResponseCode(status)
        if status == 416:
            request.setHeader("Content-Range", f"bytes */{len(whole)}")
        elif status == 206:
            total = len(whole) if page.range_total else "*"
            request.setHeader("Content-Range", f"bytes {begin}-{end - 1}/{total}")
        self._frame()

    def _frame(self) -> None:
        page, request = self._page, self._request
        if page.close_delimited:
            request.clientproto = b"HTTP/1.0"  # twisted.web would send chunks
            request.setHeader("Connection", "close")
        elif not page.chunked or (self._entry.method == "HEAD" and page.head_length is not None):
            length = len(self._body) if page.announce is None else page.announce
            if self._entry.method == "HEAD" and page.head_length is not None:
                length = page.head_length
            if self._entry.method != "HEAD" or page.head_tells_length:
                request.setHeader("Content-Length", str(length))
        if self._entry.method == "HEAD":
            self._entry.finished = True
            request.finish()
            return
        request.registerProducer(self, True)
        self.resumeProducing()

    def _range(self, size: int) -> tuple[int, int, int]:
        asked = self._entry.headers.get("range")
        match = _RANGE.match(asked or "")
        wanted = self._entry.headers.get("if-range")
        if match is None or wanted not in (None, self._page.etag, self._page.last_modified):
            return 0, size, 200
        first, last = match.groups()
        if not first:
            return max(0, size - int(last)), size, 206
        begin = int(first) + self._page.range_shift
        if begin >= size:
            return 0, 0, 416
        end = min(size, int(last) + 1) if last else size
        return begin, end, 206

    def _finish(self, status: int, body: bytes) -> None:
        self._entry.status = status
        self._request.setResponseCode(status)
        self._request.setHeader("Content-Length", str(len(body)))
        if self._entry.method != "HEAD":
            self._request.write(body)
            self._entry.sent += len(body)
        self._entry.finished = True
        self._request.finish()

    # -- the body -----------------------------------------------------------------

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        while not self._paused and not self._over:
            self._step()

    def stopProducing(self) -> None:
        self._over = True

    def _step(self) -> None:
        page, entry = self._page, self._entry
        end = min(len(self._body), entry.sent + BLOCK)
        cutting = page.cut_after is not None and page.cuts != 0
        stops = (
            page.cut_after if cutting else None,
            page.stall_after,
            page.change_after if page.change_to is not None else None,
        )
        for stop in stops:
            if stop is not None and entry.sent < stop:
                end = min(end, stop)
        block = self._body[entry.sent : end]
        entry.sent = end  # before the write, which may call us again
        if block:
            self._request.write(block)
        if self._over:
            return
        if page.change_to is not None and entry.sent == page.change_after:
            self._change()
        if cutting and entry.sent == page.cut_after:
            if page.cuts is not None:
                page.cuts -= 1
            self._close()
        elif page.stall_after is not None and entry.sent == page.stall_after:
            self._paused = True
            self._over = True
        elif entry.sent == len(self._body):
            self._end()

    def _change(self) -> None:
        """Become another version in the middle of this response."""
        new = self._page.change_to
        assert new is not None
        sent = self._entry.sent
        self._body = self._body[:sent] + new.body[sent : len(self._body)]
        for field in attrs.fields(Page):
            setattr(self._page, field.name, getattr(new, field.name))

    def _end(self) -> None:
        self._entry.finished = True
        page = self._page
        if page.announce is not None or page.close_delimited:
            self._close()
        else:
            self._over = True
            self._request.unregisterProducer()
            self._request.finish()

    def _close(self) -> None:
        """Let out what was written, then close the connection."""
        self._over = True
        self._request.unregisterProducer()
        self._request.channel.loseConnection()
