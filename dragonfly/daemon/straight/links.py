"""Links in answers: who asked through us comes back the same way; pure.

``GET /x/https://host/a`` is answered by ``host``, whose links are about its own paths: a client
that follows ``Location: /b`` would end at the mirror's registry, one that follows an absolute link
would go past us from there on. So it is with a registry that the request to the mirror named by
``?ns=`` or in its path; and the upload of a push begins with a link, absolute as a rule, where the
client may lack what we have: a proxy, a client certificate, an authority, a token's meaning.

Links to other hosts stay as they are: there the client must not send what it sends to this one.
Behind a prefix cookies are kept to the origin that set them.
"""

from __future__ import annotations

import re
from urllib.parse import urljoin

from dragonfly.daemon.http.messages import Headers, find
from dragonfly.daemon.routing.registry import parse_registry
from dragonfly.daemon.routing.route import Mode, Route
from dragonfly.errors import ConfigError

__all__ = ["with_links_back"]

_ABSOLUTE = re.compile(rb"(https?)://([^/?#]+)(.*)", re.IGNORECASE | re.DOTALL)
_SCOPE = (b"path", b"domain")
_LINK = re.compile(rb"<([^<>]*)>")
_API = b"/v2/"
# What is a path there, and to our clients a host, or a URL behind a prefix.
_MISTAKEN = re.compile(rb"//|/(?:[^/?]+/)?https?:/", re.IGNORECASE)
# Where the path names the registry, more than one word has to follow it.
_OF_REPOSITORY = re.compile(rb"/v2/[^/?#]*/")


def with_links_back(headers: Headers, route: Route) -> Headers:
    """The headers of an answer to *route*; those of a client that knows where it asks, a proxy's,
    as they are."""
    if route.mode not in (Mode.PREFIX, Mode.MIRROR):
        return headers
    return tuple((name, _rewritten(name.lower(), value, route)) for name, value in headers)


def _rewritten(name: bytes, value: bytes, route: Route) -> bytes:
    if name == b"location":
        return _link(value, route)
    if name == b"set-cookie" and route.mode is Mode.PREFIX:
        return _cookie(value, route)
    if name == b"link":
        return _LINK.sub(lambda found: b"<%b>" % _from_host(found[1], route), value)
    return value


def _link(link: bytes, route: Route) -> bytes:
    if link.startswith(b"//"):  # by the registry's scheme, which need not be the client's
        link = route.registry.scheme.encode("ascii") + b":" + link
    absolute = _ABSOLUTE.fullmatch(link)
    if absolute is not None:
        scheme, netloc, rest = absolute.groups()
        if not _same(scheme, netloc, route):
            return link
    elif link.startswith(b"/"):
        rest = link
    else:
        rest = _joined(link, route)
        if not rest:
            return link
    rest = rest if rest.startswith(b"/") else b"/" + rest
    return _mirrored(rest, route) if route.mode is Mode.MIRROR else _place(route) + rest


def _joined(link: bytes, route: Route) -> bytes:
    """The path that a relative link leads to, where the client would find another; else empty.

    What is relative keeps the path, which may tell where to, unless it goes up too far; and it
    loses the query.
    """
    if not link or not (route.ns or b".." in link):
        return b""
    origin = str(route.registry)
    try:
        joined = urljoin(route.url, link.decode("latin-1"))
    except ValueError:  # no URL, of which a client may make what it likes
        return b""
    return joined.removeprefix(origin).encode("latin-1") if joined.startswith(f"{origin}/") else b""


def _mirrored(link: bytes, route: Route) -> bytes:
    """A path of the registry's as one of ours; where none leads there, the registry's URL."""
    if _MISTAKEN.match(link):
        return _origin(route) + link
    if route.ns:
        path, sharp, fragment = link.partition(b"#")
        mark = b"&" if b"?" in path else b"?"
        return path + mark + b"ns=" + route.ns + sharp + fragment
    if route.prefix == _API:
        return link
    if route.prefix and _OF_REPOSITORY.match(link):
        return route.prefix + link[len(_API) :]
    return _origin(route) + link


def _from_host(link: bytes, route: Route) -> bytes:
    """A link in a form that needs no base, where it was one or has to be one: not all clients
    resolve these."""
    there = _link(link, route)
    if not there.startswith(b"/") or there == link:
        return there
    if route.mode is Mode.MIRROR and link.startswith(b"/"):
        return there
    scheme = b"https" if route.head.secure else b"http"
    return scheme + b"://" + (find(route.head.headers, b"host") or b"localhost") + there


def _cookie(value: bytes, route: Route) -> bytes:
    """For this origin only: to the client all that are behind the prefix are one host."""
    parts = [part.strip() for part in value.split(b";")]
    kept = [part for part in parts if part.partition(b"=")[0].lower() not in _SCOPE]
    path = next((part[5:] for part in parts if part.lower().startswith(b"path=/")), b"/")
    return b"; ".join((*kept, b"Path=" + _place(route) + path))


def _place(route: Route) -> bytes:
    """The prefix with the origin, as the client knows it."""
    return route.prefix + _origin(route)


def _origin(route: Route) -> bytes:
    return str(route.named or route.registry).encode("ascii")


def _same(scheme: bytes, netloc: bytes, route: Route) -> bool:
    try:
        there = parse_registry(f"{scheme.lower().decode()}://{netloc.decode('latin-1')}")
    except ConfigError:
        return False
    ours = {(each.scheme, each.place) for each in (route.registry, route.named) if each}
    return (there.scheme, there.place) in ours
