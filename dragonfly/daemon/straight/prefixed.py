"""Links in the answers behind a prefix: who asked through it must come back through it; pure.

``GET /x/https://host/a`` is answered by ``host``, whose links are about its own paths: a client
that follows ``Location: /b`` would end at the mirror's registry, one that follows an absolute link
would go past us from there on. Links to other hosts stay as they are: there the client must not
send what it sends to this one. Cookies are kept to the origin that set them.
"""

from __future__ import annotations

import re

from dragonfly.daemon.http.messages import Headers, find
from dragonfly.daemon.routing.registry import parse_registry
from dragonfly.daemon.routing.route import Mode, Route
from dragonfly.errors import ConfigError

__all__ = ["with_prefix"]

_ABSOLUTE = re.compile(rb"(https?)://([^/?#]+)(.*)", re.IGNORECASE | re.DOTALL)
_SCOPE = (b"path", b"domain")
_LINK = re.compile(rb"<([^<>]*)>")


def with_prefix(headers: Headers, route: Route) -> Headers:
    """The headers of an answer to *route*; those of other modes as they are."""
    if route.mode is not Mode.PREFIX:
        return headers
    return tuple((name, _rewritten(name.lower(), value, route)) for name, value in headers)


def _rewritten(name: bytes, value: bytes, route: Route) -> bytes:
    if name == b"location":
        return _link(value, route)
    if name == b"set-cookie":
        return _cookie(value, route)
    if name == b"link":
        scheme = b"https" if route.head.secure else b"http"
        host = scheme + b"://" + (find(route.head.headers, b"host") or b"localhost")
        return _LINK.sub(lambda found: b"<%b>" % _from_host(found[1], route, host), value)
    return value


def _cookie(value: bytes, route: Route) -> bytes:
    """For this origin only: to the client all that are behind the prefix are one host."""
    parts = [part.strip() for part in value.split(b";")]
    kept = [part for part in parts if part.partition(b"=")[0].lower() not in _SCOPE]
    path = next((part[5:] for part in parts if part.lower().startswith(b"path=/")), b"/")
    return b"; ".join((*kept, b"Path=" + _place(route) + path))


def _from_host(link: bytes, route: Route, host: bytes) -> bytes:
    """A link in a form that needs no base: not all clients resolve these."""
    there = _link(link, route)
    return host + there if there.startswith(b"/") else there


def _link(link: bytes, route: Route) -> bytes:
    absolute = _ABSOLUTE.fullmatch(link)
    if absolute is not None:
        scheme, netloc, rest = absolute.groups()
        if not _same(scheme, netloc, route):
            return link
    elif link.startswith(b"/") and not link.startswith(b"//"):
        rest = link
    else:  # relative to the path, which has the prefix in it, or to the scheme
        return link
    return _place(route) + (rest or b"/")


def _place(route: Route) -> bytes:
    """The prefix with the origin, as the client knows it."""
    return route.prefix + str(route.named or route.registry).encode("ascii")


def _same(scheme: bytes, netloc: bytes, route: Route) -> bool:
    try:
        there = parse_registry(f"{scheme.lower().decode()}://{netloc.decode('latin-1')}")
    except ConfigError:
        return False
    ours = {(each.scheme, each.place) for each in (route.registry, route.named) if each}
    return (there.scheme, there.place) in ours
