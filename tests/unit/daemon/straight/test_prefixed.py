"""Links in answers behind a prefix."""

from __future__ import annotations

import pytest

from dragonfly.daemon.routing.registries import Registries
from dragonfly.daemon.routing.registry import parse_registry
from dragonfly.daemon.routing.route import Route
from dragonfly.daemon.routing.router import Router
from dragonfly.daemon.routing.rules import Rule, Rules
from dragonfly.daemon.straight.prefixed import with_prefix
from tests.doubles.responding import request


def route(target: bytes) -> Route:
    """Of a request to a mirror."""
    registries = Registries(parse_registry("https://mirror.example"))
    return Router(registries, Rules(), hosts_in_paths=True).route(request(b"GET", target))


BEHIND = route(b"/hub/https://h.example/a/b")


@pytest.mark.parametrize(
    ("link", "becomes"),
    [
        (b"/c?d=1", b"/hub/https://h.example/c?d=1"),
        (b"https://h.example/c", b"/hub/https://h.example/c"),
        (b"https://H.example:443/c", b"/hub/https://h.example/c"),
        (b"https://h.example", b"/hub/https://h.example/"),
        (b"c/d", b"c/d"),
        (b"//h.example/c", b"//h.example/c"),
        (b"http://h.example/c", b"http://h.example/c"),
        (b"https://cdn.example/c?sig=1", b"https://cdn.example/c?sig=1"),
        (b"https://a b/", b"https://a b/"),
    ],
)
def test_locations(link: bytes, becomes: bytes) -> None:
    """Those to the same origin come back through the prefix."""
    assert with_prefix(((b"Location", link),), BEHIND) == ((b"Location", becomes),)


def test_links() -> None:
    """Absolute ones: not all clients resolve others."""
    value = b'<https://h.example/api?cursor=x>; rel="next", <https://o.example/>; rel="xet-auth"'
    (line,) = with_prefix(((b"Link", value),), BEHIND)
    assert line[1] == (
        b'<http://localhost:65001/hub/https://h.example/api?cursor=x>; rel="next", '
        b'<https://o.example/>; rel="xet-auth"'
    )


def test_others() -> None:
    """Other headers, and other modes, are left alone."""
    headers = ((b"Location", b"/c"), (b"ETag", b"/d"))
    assert with_prefix(headers, route(b"/v2/")) == headers
    assert with_prefix(headers[1:], BEHIND) == headers[1:]


def test_cookies() -> None:
    """They are for that origin alone."""
    value = b"a=b; Path=/c; Domain=h.example; Secure"
    (line,) = with_prefix(((b"Set-Cookie", value),), BEHIND)
    assert line[1] == b"a=b; Secure; Path=/hub/https://h.example/c"
    (line,) = with_prefix(((b"Set-Cookie", b"a=b"),), BEHIND)
    assert line[1] == b"a=b; Path=/hub/https://h.example/"


def test_an_origin_that_is_elsewhere() -> None:
    """A rule sends it there; the client knows nothing of that."""
    rules = Rules([Rule(regx="h.example", redirect="other.example")])
    registries = Registries(parse_registry("https://mirror.example"))
    found = Router(registries, rules, hosts_in_paths=True).route(
        request(b"GET", b"/hub/https://h.example/a")
    )
    for link in (b"/c", b"https://h.example/c", b"https://other.example/c"):
        assert with_prefix(((b"Location", link),), found)[0][1] == b"/hub/https://h.example/c"
