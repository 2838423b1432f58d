"""Links in answers lead to what the registry meant, however the client came."""

from __future__ import annotations

from urllib.parse import urljoin

from hypothesis import given
from hypothesis import strategies as st

from dragonfly.daemon.http.messages import Headers
from dragonfly.daemon.routing.registries import Registries
from dragonfly.daemon.routing.registry import parse_registry
from dragonfly.daemon.routing.route import Route
from dragonfly.daemon.routing.router import Router
from dragonfly.daemon.routing.rules import Rules
from dragonfly.daemon.straight.links import with_links_back
from tests.doubles.responding import request

ROUTER = Router(
    Registries(
        parse_registry("https://mirror.example"),
        [parse_registry("http://plain.example:5000"), parse_registry("https://known.example")],
    ),
    Rules(),
    hosts_in_paths=True,
)
HERE = "http://localhost:65001"

targets = st.sampled_from(
    [
        b"/v2/a/b/blobs/uploads/?x=1",
        b"/v2/_catalog?n=1",
        b"/v2/a/b/blobs/x?ns=h.example",
        b"/v2/a/b?ns=h.example%3A5000&q=1",
        b"/v2/x/y?ns=docker.io",
        b"/v2/x/y?ns=plain.example:5000",
        b"/v2/h.example/a/b/manifests/x",
        b"/v2/plain.example_5000/a/b/manifests/x",
        b"/v2/plain.example:5000/a/b/manifests/x",
        b"/v2/mirror.example/a/b/manifests/x",
        b"/hub/https://h.example/a/b",
        b"/https://h.example:8443/a/b?c=d",
        b"/x/http://plain.example:5000/a",
    ]
)
headers: st.SearchStrategy[Headers] = st.sampled_from(
    [
        (),
        ((b"X-Dragonfly-Registry", b"https://h.example"),),
        ((b"X-Dragonfly-Registry", b"http://plain.example:5000"),),
        ((b"X-Dragonfly-Registry", b"known.example"),),
    ]
)
hosts = st.sampled_from(
    ["", "", "own", "own", "https://cdn.example", "//cdn.example", "http://h.example"]
)
paths = st.sampled_from(
    [
        *("/", "/v2/", "/v2", "/v2/c?d=e", "/v2/c?d=e/f", "/v2/a/b/blobs/uploads/1?_state=x=&y"),
        *("/up/x", "/z?q#r", "/v2/a/?b", "/v2//c", "//y/z", "/x/https://q.example/y"),
    ]
)
relative = st.sampled_from(
    ["y", "y/z?a", "?last=z", "#q", "./c", "../d?e", "../../../../../f", "", "t:u"]
)


@given(targets, headers, hosts, paths)
def test_where_they_lead(target: bytes, headers: Headers, host: str, path: str) -> None:
    """There, through us or directly; also a client that does not say its header again."""
    route = ROUTER.route(request(b"GET", target, *headers))
    _leads_there(target, route, (str(route.registry) if host == "own" else host) + path)


@given(targets, headers, relative)
def test_where_relative_ones_lead(target: bytes, headers: Headers, link: str) -> None:
    """The same; an empty one leads to where the client is already, as it said it."""
    headers = headers if link else ()
    _leads_there(target, ROUTER.route(request(b"GET", target, *headers)), link)


def _leads_there(target: bytes, route: Route, link: str) -> None:
    ((_, said),) = with_links_back(((b"Location", link.encode()),), route)
    reached = urljoin(HERE + target.decode(), said.decode())
    if reached.startswith(f"{HERE}/"):
        back = reached[len(HERE) :].partition("#")[0].encode()
        reached = ROUTER.route(request(b"GET", back)).url
    meant = urljoin(route.url, link)
    assert reached.partition("#")[0] == meant.partition("#")[0]
