"""What an origin answered, apart from the bytes: a value that can be passed around."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Protocol

import attrs
from twisted.web.iweb import IResponse

from dragonfly.errors import OriginChanged, OriginRefused
from dragonfly.net.urls import redact

__all__ = ["ContentRange", "OriginReply", "Validating", "read_headers", "read_reply", "strong"]

_CONTENT_RANGE = re.compile(r"bytes\s+(?:(\d{1,18})-(\d{1,18})|\*)/(\d{1,18}|\*)", re.IGNORECASE)
# Eighteen digits are more bytes than there are on disks; of thousands Python makes no number.
_LENGTH = re.compile(r"[0-9]{1,18}")


class Validating(Protocol):
    """What is known of the version that a transfer began with; ``None`` is unknown."""

    @property
    def etag(self) -> str | None: ...  # noqa: D102

    @property
    def last_modified(self) -> str | None: ...  # noqa: D102

    @property
    def length(self) -> int | None: ...  # noqa: D102


def strong(etag: str | None) -> str | None:
    """Return *etag* if it is a strong entity tag, else ``None``."""
    if etag is not None and len(etag) >= 2 and etag[0] == etag[-1] == '"':
        return etag
    return None


@attrs.frozen
class ContentRange:
    """A parsed ``Content-Range``: ``first``..``last`` inclusive of ``total`` bytes.

    ``first`` and ``last`` are ``None`` in the form that goes with 416, ``total``
    is ``None`` where the origin does not know it.
    """

    first: int | None
    last: int | None
    total: int | None

    @classmethod
    def parse(cls, header: str | None) -> ContentRange | None:
        """Return what *header* says, ``None`` if it is absent or makes no sense."""
        match = _CONTENT_RANGE.fullmatch((header or "").strip())
        if match is None:
            return None
        first, last, total = (None if g in (None, "*") else int(g) for g in match.groups())
        if first is None or last is None:
            return cls(None, None, total)
        if last < first or (total is not None and last >= total):
            return None
        return cls(first, last, total)


@attrs.frozen(kw_only=True)
class OriginReply:
    """Status and headers of an origin's answer, after redirects.

    ``url`` is the URL that answered (it may hold a signature: use
    :attr:`shown_url` in texts), ``length`` the length of the whole content, if
    known, ``start`` the offset at which the body begins, ``end`` the one behind
    its last byte where that is not the content's end.  ``passed`` holds the
    headers of the redirects that led there, oldest first.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = attrs.field(repr=False)
    url: str = attrs.field(repr=False)
    length: int | None = None
    start: int = 0
    end: int | None = None
    passed: tuple[tuple[str, str], ...] = attrs.field(default=(), repr=False)

    def header(self, name: str) -> str | None:
        """Return the last header of that name, in any case of letters."""
        values = self.headers_all(name)
        return values[-1] if values else None

    def headers_all(self, name: str) -> list[str]:
        """Return all headers of that name."""
        name = name.lower()
        return [value for key, value in self.headers if key == name]

    def passed_header(self, name: str) -> str | None:
        """Return the last header of that name that a redirect had."""
        name = name.lower()
        values = [value for key, value in self.passed if key == name]
        return values[-1] if values else None

    @property
    def shown_url(self) -> str:
        """The URL without what may be secret."""
        return redact(self.url)

    @property
    def etag(self) -> str | None:
        """The entity tag, weak or strong."""
        return self.header("etag")

    @property
    def last_modified(self) -> str | None:
        """The ``Last-Modified`` date as sent."""
        return self.header("last-modified")

    @property
    def content_type(self) -> str | None:
        """The media type as sent."""
        return self.header("content-type")

    @property
    def accepts_ranges(self) -> bool:
        """True if the origin answered a range, or says that it would."""
        units = (self.header("accept-ranges") or "").lower()
        return self.status == 206 or "bytes" in units

    def check_version(self, known: Validating) -> None:
        """Raise :class:`~dragonfly.errors.OriginChanged` if this contradicts *known*.

        Only what both sides know is compared: another entity tag, or, where a
        tag is missing, another date; and another length.
        """
        ours, theirs = strong(self.etag), strong(known.etag)
        if ours is not None and theirs is not None:
            changed = ours != theirs
        else:
            dates = self.last_modified, known.last_modified
            changed = None not in dates and dates[0] != dates[1]
        if not changed and None not in (self.length, known.length):
            changed = self.length != known.length
        if changed:
            raise OriginChanged(f"{self.shown_url} changed at the origin", self.status)


def read_headers(response: IResponse) -> tuple[tuple[str, str], ...]:
    """The headers of a response, names in lower case."""
    return tuple(_texts(response))


def read_reply(response: IResponse, url: str) -> OriginReply:
    """Turn a Twisted response into a reply; ``length`` and ``start`` from its headers.

    A ``Content-Encoding`` is left as it is: who sends one although identity was
    asked for has stored it so (``.tar.gz`` files are often served like that), and
    any other client would get these bytes, too.

    :raises OriginRefused: a range that makes no sense.
    """
    headers = read_headers(response)
    reply = OriginReply(status=response.code, headers=headers, url=url)
    if response.code in (206, 416):
        return _ranged(reply)
    return attrs.evolve(reply, length=_length(response, reply))


def _texts(response: IResponse) -> Iterable[tuple[str, str]]:
    for name, values in response.headers.getAllRawHeaders():
        for value in values:
            yield name.decode("latin-1").lower(), value.decode("utf-8", "replace")


def _length(response: IResponse, reply: OriginReply) -> int | None:
    # In the answer to a HEAD it is an ordinary header; otherwise Twisted keeps
    # it to itself and tells the length.
    header = reply.header("content-length")
    if header is not None:
        return int(header) if _LENGTH.fullmatch(header) else None
    if response.request.method == b"HEAD":  # has no body, whatever the content's length
        return None
    return response.length if isinstance(response.length, int) else None


def _ranged(reply: OriginReply) -> OriginReply:
    found = ContentRange.parse(reply.header("content-range"))
    if reply.status == 416:
        return attrs.evolve(reply, length=found.total if found is not None else None)
    if found is None or found.first is None:
        raise OriginRefused(f"{reply.shown_url}: 206 without a usable Content-Range", 206)
    last = None if found.last is None else found.last + 1
    end = None if last == found.total else last
    return attrs.evolve(reply, length=found.total, start=found.first, end=end)
