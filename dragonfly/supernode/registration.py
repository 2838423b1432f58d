"""What a registration asks for: read from the message, checked, credentials apart."""

from __future__ import annotations

import re
from collections.abc import Iterator

import attrs

from dragonfly.control.messages import RegisterRequest
from dragonfly.errors import TrackerError
from dragonfly.net.addresses import is_loopback
from dragonfly.supernode.admission import HARMLESS
from dragonfly.task.digest import Digest
from dragonfly.task.identity import Name, name_of, split_userinfo

__all__ = [
    "FILTERS_MAX",
    "HEADERS_BYTES_MAX",
    "HEADERS_MAX",
    "TEXT_MAX",
    "URL_MAX",
    "Caller",
    "Wish",
    "read_wish",
]

URL_MAX = 8192
"""Bytes of a URL; signed ones have some 2 KiB."""

HEADERS_MAX = 100
HEADERS_BYTES_MAX = 16 * 1024
"""What servers accept of headers; they are kept in memory for as long as they are needed."""

FILTERS_MAX = 64
TEXT_MAX = 256
"""Characters of an identifier, a filter, a host name, a label."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_ABOUT_PARTS = frozenset({"range", "if-range", "if-match", "if-none-match"}) | {
    "if-modified-since",
    "if-unmodified-since",
}


@attrs.frozen(kw_only=True)
class Caller:
    """Where a call came from.

    :ivar reached: the address of ours at which the caller reached us.
    :ivar secure: it came over TLS.
    """

    address: str
    reached: str
    secure: bool

    @property
    def loopback(self) -> bool:
        """Whether it comes from this very host."""
        return is_loopback(self.address)


@attrs.frozen(kw_only=True)
class Wish:
    """One caller's way to one content.

    :ivar keyed: the URL has parameters that the filters took out of the name; they may be
        what the origin admits the caller by, so a yes to them is no yes to everybody.
    """

    name: Name
    url: str = attrs.field(repr=False)
    headers: tuple[tuple[str, str], ...] = attrs.field(repr=False)
    keyed: bool = False


def read_wish(message: RegisterRequest, caller: Caller) -> Wish:
    """Read what is asked for; ``user:password@`` of a URL becomes an Authorization header.

    :raises ConfigError: the URL or the digest is malformed.
    :raises TrackerError: something is too long, a header cannot be passed on (400), or there
        are credentials on a connection that everybody can read (403).
    """
    _check_sizes(message)
    headers = tuple((name, value.strip()) for name, value in message.headers)
    for pair in headers:
        _check_header(*pair)
    url, authorization = split_userinfo(message.url)
    if authorization is not None and not any(n.lower() == "authorization" for n, _ in headers):
        headers += (("Authorization", authorization),)
    if not (caller.secure or caller.loopback):
        _refuse_credentials(headers)
    digest = Digest.parse(message.digest) if message.digest is not None else None
    name = name_of(url, filters=message.filters, identifier=message.identifier, digest=digest)
    keyed = bool(message.filters) and name_of(url).url != name.url
    return Wish(name=name, url=url, headers=headers, keyed=keyed)


def _check_sizes(message: RegisterRequest) -> None:
    for what, number, most in _sizes(message):
        if number > most:
            raise TrackerError(f"{what}: {number}, at most {most} are accepted", 400)
    if not 0 <= message.peer.port <= 65535:
        raise TrackerError(f"port {message.peer.port} is none", 400)


def _sizes(message: RegisterRequest) -> Iterator[tuple[str, int, int]]:
    yield "characters of the URL", len(message.url), URL_MAX
    yield "headers", len(message.headers), HEADERS_MAX
    total = sum(len(name) + len(value) for name, value in message.headers)
    yield "characters in headers", total, HEADERS_BYTES_MAX
    yield "filters", len(message.filters), FILTERS_MAX
    yield "characters of a filter", max(map(len, message.filters), default=0), TEXT_MAX
    yield "characters of the identifier", len(message.identifier), TEXT_MAX


def _check_header(name: str, value: str) -> None:
    """Refuse what could not be sent, and what would be answered with something else than
    the content that the URL names: that would be given to others under its name."""
    if not _TOKEN.fullmatch(name):
        raise TrackerError(f"{name[:40]!r} is no name of a header", 400)
    if _CONTROL.search(value):
        raise TrackerError(f"header {name} has a control character in it", 400)
    if name.lower() == "host" or name.lower() in _ABOUT_PARTS:
        raise TrackerError(
            f"header {name} changes which content the URL names and cannot be sent through "
            "a supernode; leave it out, or read from the origin",
            400,
        )


def _refuse_credentials(headers: tuple[tuple[str, str], ...]) -> None:
    secret = sorted({name for name, _ in headers if name.lower() not in HARMLESS})
    if secret:
        raise TrackerError(
            f"{', '.join(secret)}: what may be a credential is accepted over TLS or from this "
            "host only; call https:// on the same port",
            403,
        )
