"""What goes straight on is checked, too: a blob must have the digest that its path names."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from dragonfly.daemon.http.messages import Headers, Responder, find, find_all
from dragonfly.daemon.http.overlay import Overlay
from dragonfly.daemon.log.note import Note
from dragonfly.daemon.routing.route import Route
from dragonfly.errors import ConfigError
from dragonfly.net.ranges import ByteRange, Unsatisfiable, parse_range
from dragonfly.net.reply import ContentRange
from dragonfly.task.digest import Digest, Hasher, new_hasher
from dragonfly.task.identity import name_of

__all__ = ["NameCheck", "StraightOn"]

StraightOn = Callable[[Responder, Route, Note], Awaitable[None]]
"""Answers a request with what the registry answers."""

_OK, _PARTIAL = 200, 206


class NameCheck:
    """Answers as ``answer`` does, but cuts a whole blob off before its end if it is another;
    a range that is all of it counts as whole. Who asks for a range of a blob gets that range,
    also from a registry that knows none: clients that had one do not look whether the next is.

    Parts of a blob cannot be checked, nor what the registry encoded on the way.
    """

    def __init__(self, answer: StraightOn) -> None:
        self._answer = answer

    async def answer(self, responder: Responder, route: Route, note: Note) -> None:
        """Answer one request. Errors and cancelling are those of the answer itself."""
        digest = _named(route)
        if digest is None:
            await self._answer(responder, route, note)
            return
        checked = _Checked(responder, digest)
        await self._answer(checked, route, note)
        if checked.wrong:
            note.ending = "aborted"
            note.then(checked.wrong)


def _named(route: Route) -> Digest | None:
    if route.head.method != b"GET":
        return None
    try:
        return name_of(route.url).digest
    except ConfigError:
        return None


class _Checked(Overlay):
    """A way back that holds the newest slice of a whole body until more comes, or its digest
    is known to be right.

    :ivar wrong: what is wrong with the body; empty: nothing yet.
    """

    def __init__(self, responder: Responder, digest: Digest) -> None:
        super().__init__(responder)
        self.wrong = ""
        self._digest = digest
        self._hasher: Hasher | None = None
        self._span: ByteRange | None = None
        self._at = 0
        self._held = b""

    def start(self, status: int, headers: Headers, *, reason: bytes = b"") -> None:
        """Begin, and see whether all of the blob will follow as it is."""
        if _is_whole(status, headers):
            self._hasher = new_hasher(self._digest.algorithm)
            self._span = _left_to_us(status, self.head.headers, headers)
        if self._span is None:
            self._responder.start(status, headers, reason=reason)
        else:
            self._responder.start(_PARTIAL, _of_part(headers, self._span))

    def write(self, data: bytes) -> None:
        """Pass on what came before."""
        if self._hasher is None:
            self._responder.write(data)
            return
        self._hasher.update(data)
        before, self._held = self._held, data
        if before:
            self._give(before)

    def _give(self, data: bytes) -> None:
        """Pass on what of it is wanted."""
        at, self._at = self._at, self._at + len(data)
        if self._span is not None:
            data = data[max(0, self._span.begin - at) : max(0, self._span.end - at)]
        if data:
            self._responder.write(data)

    def finish(self) -> None:
        """Give the end out, or cut it off."""
        if self._hasher is not None and self._hasher.digest() != self._digest.value:
            self.wrong = f"the registry's bytes do not have {self._digest}"
            self._responder.abort()
            return
        if self._held:
            self._give(self._held)
        self._responder.finish()


def _left_to_us(status: int, asked: Headers, headers: Headers) -> ByteRange | None:
    """The range that was asked for, and that the registry did not look at."""
    ranges, length = find_all(asked, b"range"), find(headers, b"content-length") or b""
    conditional = find(asked, b"if-range") is not None
    if status != _OK or conditional or len(ranges) != 1 or not length.isdigit():
        return None
    try:
        return parse_range(ranges[0].decode("latin-1").strip(), int(length))
    except Unsatisfiable:
        return None


def _of_part(headers: Headers, span: ByteRange) -> Headers:
    length = find(headers, b"content-length") or b""
    kept = tuple(line for line in headers if line[0].lower() != b"content-length")
    place = b"bytes %d-%d/%b" % (span.begin, span.end - 1, length)
    size = b"%d" % (span.end - span.begin)
    return (*kept, (b"Content-Range", place), (b"Content-Length", size))


def _is_whole(status: int, headers: Headers) -> bool:
    """Whether the body that follows is all of a blob, as it is stored."""
    if b",".join(find_all(headers, b"content-encoding")) not in (b"", b"identity"):
        return False
    if status != _PARTIAL:
        return status == _OK
    span = ContentRange.parse((find(headers, b"content-range") or b"").decode("latin-1"))
    return span is not None and span.first == 0 and span.last == (span.total or 0) - 1
