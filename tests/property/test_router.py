"""The router, fed with anything that a client may send: a way, or a refusal with a status."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from dragonfly.daemon.http.messages import RequestHead
from dragonfly.daemon.routing.misrouted import Misrouted
from dragonfly.daemon.routing.registries import Registries
from dragonfly.daemon.routing.registry import parse_registry
from dragonfly.daemon.routing.route import Route
from dragonfly.daemon.routing.router import Router
from dragonfly.daemon.routing.rules import Rules
from dragonfly.daemon.straight.links import with_links_back

ROUTER = Router(
    Registries(
        parse_registry("https://index.docker.io"), [parse_registry("http://plain.example:5000")]
    ),
    Rules(),
    hosts_in_paths=True,
)
# Bytes that h11 lets pass in a target and in a header's value.
TARGETS = st.binary(min_size=1, max_size=60).map(lambda b: bytes(c for c in b if 0x21 <= c != 0x7F))
WORDS = b"/ // v2 http: https:// h.example :5000 :99999 [::1] [ @ ?ns= &ns= %00 %2F % # .. \xff"
PIECES = st.sampled_from([*WORDS.split(), b"blobs/sha256:", b"_5000", b"ftp://"])
WOVEN = st.lists(PIECES, min_size=1, max_size=8).map(b"".join)
NAMES = st.sampled_from([b"X-Dragonfly-Registry", b"Host", b"X-Dragonfly-Use-P2P", b"Via"])
LINES = st.lists(st.tuples(NAMES, TARGETS | WOVEN), max_size=3)


@given(
    TARGETS | WOVEN,
    LINES,
    st.sampled_from([b"GET", b"HEAD", b"PUT", b"OPTIONS"]),
    st.sampled_from(["", "127.0.0.1", "10.0.0.7"]),
    st.sampled_from(["", "r.example:443", "[::1]:5000"]),
)
@example(b"/x/https:/", [], b"GET", "", "")
@example(b"/v2/:/a/b", [], b"GET", "", "")
def test_anything(
    target: bytes, lines: list[tuple[bytes, bytes]], method: bytes, client: str, tunnel: str
) -> None:
    """A target in origin-form and a registry with a port; or what is wrong, in text."""
    head = RequestHead(
        method=method,
        target=target,
        version=b"1.1",
        headers=tuple(lines),
        client=client,
        tunnel=tunnel,
    )
    try:
        route = ROUTER.route(head)
    except Misrouted as caught:
        refusal = caught
    else:
        check(route, target)
        return
    assert 400 <= refusal.status < 600
    assert str(refusal)


def check(route: Route, target: bytes) -> None:
    """It can be asked for."""
    assert route.head.target.startswith(b"/")
    assert 0 < route.registry.port < 65536
    assert str(route.registry).isascii()
    assert all(not name.lower().startswith(b"x-dragonfly-") for name, _ in route.head.headers)
    with_links_back(((b"Location", target), (b"Link", b"<%b>" % target)), route)
