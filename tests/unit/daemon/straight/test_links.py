"""Links in answers: behind a prefix, and of a mirror."""

from __future__ import annotations

import pytest

from dragonfly.daemon.routing.registries import Registries
from dragonfly.daemon.routing.registry import parse_registry
from dragonfly.daemon.routing.route import Mode, Route
from dragonfly.daemon.routing.router import Router
from dragonfly.daemon.routing.rules import Rule, Rules
from dragonfly.daemon.straight.links import with_links_back
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
        (b"//h.example/c", b"/hub/https://h.example/c"),
        (b"//cdn.example/c", b"https://cdn.example/c"),
        (b"http://h.example/c", b"http://h.example/c"),
        (b"https://cdn.example/c?sig=1", b"https://cdn.example/c?sig=1"),
        (b"https://a b/", b"https://a b/"),
    ],
)
def test_locations(link: bytes, becomes: bytes) -> None:
    """Those to the same origin come back through the prefix."""
    assert with_links_back(((b"Location", link),), BEHIND) == ((b"Location", becomes),)


def test_links() -> None:
    """Absolute ones: not all clients resolve others."""
    value = b'<https://h.example/api?cursor=x>; rel="next", <https://o.example/>; rel="xet-auth"'
    (line,) = with_links_back(((b"Link", value),), BEHIND)
    assert line[1] == (
        b'<http://localhost:65001/hub/https://h.example/api?cursor=x>; rel="next", '
        b'<https://o.example/>; rel="xet-auth"'
    )


def test_others() -> None:
    """Other headers, and a proxy's, are left alone."""
    headers = ((b"Location", b"/c"), (b"ETag", b"/d"))
    assert with_links_back(headers, route(b"http://h.example/v2/")) == headers
    assert with_links_back(headers[1:], BEHIND) == headers[1:]


UPLOAD = b"/v2/a/b/blobs/uploads/1?_state=x"


@pytest.mark.parametrize(
    ("target", "link", "becomes"),
    [
        (b"/v2/a/b/blobs/uploads/", UPLOAD, UPLOAD),
        (b"/v2/a/b/blobs/uploads/", b"https://mirror.example" + UPLOAD, UPLOAD),
        (b"/v2/a/b/blobs/uploads/", b"https://mirror.example", b"/"),
        (b"/v2/a/b/blobs/uploads/", b"https://mirror.example?a", b"/?a"),
        (
            b"/v2/a/b/blobs/uploads/",
            b"http://mirror.example" + UPLOAD,
            b"http://mirror.example" + UPLOAD,
        ),
        (b"/v2/a/b/blobs/x", b"https://cdn.example/y?sig=1", b"https://cdn.example/y?sig=1"),
        (b"/v2/a/b/blobs/x", b"https://mirror.example//y/z", b"https://mirror.example//y/z"),
        (b"/v2/a/b/blobs/x?ns=h.example", b"https://h.example//y", b"https://h.example//y"),
        (b"/v2/a/b/blobs/x?ns=h.example", UPLOAD, UPLOAD + b"&ns=h.example"),
        (b"/v2/a/b/blobs/x?ns=h.example", b"y?z", b"/v2/a/b/blobs/y?z&ns=h.example"),
        (b"/v2/a/b/blobs/x?ns=h.example", b"ftp://[", b"ftp://["),
        (b"/v2/a/b/blobs/x?ns=h.example", b"ftp://f", b"ftp://f"),
        (b"/v2/a/b/blobs/x", b"y?z", b"y?z"),
        (
            b"/v2/a/b/blobs/x?ns=h.example%3A5000",
            b"https://h.example:5000/v2/c#d",
            b"/v2/c?ns=h.example%3A5000#d",
        ),
        (
            b"/v2/a/b/blobs/x?ns=h.example",
            b"https://mirror.example" + UPLOAD,
            b"https://mirror.example" + UPLOAD,
        ),
        (
            b"/v2/h.example_5000/a/b/blobs/uploads/",
            b"https://h.example:5000" + UPLOAD,
            b"/v2/h.example_5000/a/b/blobs/uploads/1?_state=x",
        ),
        (
            b"/v2/h.example/a/b/blobs/uploads/",
            UPLOAD,
            b"/v2/h.example/a/b/blobs/uploads/1?_state=x",
        ),
        (b"/v2/h.example/a/b/blobs/uploads/", b"/uploads/1", b"https://h.example/uploads/1"),
    ],
)
def test_locations_of_a_mirror(target: bytes, link: bytes, becomes: bytes) -> None:
    """Those to the same registry come back as the client named it, where that can be said."""
    assert with_links_back(((b"Location", link),), route(target)) == ((b"Location", becomes),)


def test_a_registry_that_a_header_names() -> None:
    """The link names it as well: some clients that are sent on do not say that header again."""
    head = request(
        b"GET", b"/v2/a?ns=x.example", (b"X-Dragonfly-Registry", b"http://h.example:5000")
    )
    registries = Registries(parse_registry("https://mirror.example"))
    router = Router(registries, Rules(), hosts_in_paths=True)
    headers = ((b"Location", b"http://h.example:5000" + UPLOAD),)
    ((_, link),) = with_links_back(headers, router.route(head))
    assert link == UPLOAD + b"&ns=http%3A%2F%2Fh.example%3A5000"
    back = router.route(request(b"PATCH", link))
    assert (str(back.registry), back.head.target) == ("http://h.example:5000", UPLOAD)


@pytest.mark.parametrize("link", [b"/token/there?a", b"https://h.example/token/there?a"])
def test_where_no_path_of_ours_leads(link: bytes) -> None:
    """A realm that a client was given a token of: it goes on there by itself."""
    head = request(b"GET", b"/token")
    realm = Route(mode=Mode.MIRROR, registry=parse_registry("https://h.example"), head=head)
    said = with_links_back(((b"Location", link),), realm)
    assert said == ((b"Location", b"https://h.example/token/there?a"),)


def test_links_of_a_mirror() -> None:
    """They keep their form; cookies are as they are."""
    following = (b"Link", b'</v2/a/tags/list?n=1&last=x>; rel="next"')
    absolute = (b"Link", b'<https://h.example/v2/a/tags/list?last=x>; rel="next"')
    cookie = (b"Set-Cookie", b"a=b; Path=/c")
    said = with_links_back((following, absolute, cookie), route(b"/v2/h.example/a/tags/list"))
    assert said == (
        (b"Link", b'</v2/h.example/a/tags/list?n=1&last=x>; rel="next"'),
        (b"Link", b'<http://localhost:65001/v2/h.example/a/tags/list?last=x>; rel="next"'),
        cookie,
    )
    assert with_links_back((following,), route(b"/v2/a/tags/list")) == (following,)


def test_cookies() -> None:
    """They are for that origin alone."""
    value = b"a=b; Path=/c; Domain=h.example; Secure"
    (line,) = with_links_back(((b"Set-Cookie", value),), BEHIND)
    assert line[1] == b"a=b; Secure; Path=/hub/https://h.example/c"
    (line,) = with_links_back(((b"Set-Cookie", b"a=b"),), BEHIND)
    assert line[1] == b"a=b; Path=/hub/https://h.example/"


def test_an_origin_that_is_elsewhere() -> None:
    """A rule sends it there; the client knows nothing of that."""
    rules = Rules([Rule(regx="h.example", redirect="other.example")])
    registries = Registries(parse_registry("https://mirror.example"))
    found = Router(registries, rules, hosts_in_paths=True).route(
        request(b"GET", b"/hub/https://h.example/a")
    )
    for link in (b"/c", b"https://h.example/c", b"https://other.example/c"):
        assert with_links_back(((b"Location", link),), found)[0][1] == b"/hub/https://h.example/c"
