"""Whom a request is for: all forms in which clients ask."""

from __future__ import annotations

import attrs
import pytest

from dragonfly.daemon.http.messages import RequestHead
from dragonfly.daemon.routing.misrouted import Misrouted
from dragonfly.daemon.routing.registries import Registries
from dragonfly.daemon.routing.registry import parse_registry
from dragonfly.daemon.routing.route import Mode, Route
from dragonfly.daemon.routing.router import Router
from dragonfly.daemon.routing.rules import Rule, Rules
from tests.doubles.responding import request

MIRROR = parse_registry("https://mirror.example")
PLAIN = parse_registry("http://plain.example:5000")
BLOB = b"/v2/x/blobs/sha256:" + b"0" * 64


def router(*rules: Rule, hosts_in_paths: bool = True) -> Router:
    """A mirror of one, and one that is described."""
    return Router(Registries(MIRROR, [PLAIN]), Rules(rules), hosts_in_paths=hosts_in_paths)


def ask(
    target: bytes, *lines: tuple[bytes, bytes], method: bytes = b"GET", client: str = "127.0.0.1"
) -> RequestHead:
    """One request."""
    return attrs.evolve(request(method, target, *lines), client=client)


def way(route: Route) -> tuple[Mode, str, bytes]:
    """What of it is looked at."""
    return route.mode, str(route.registry), route.head.target


@pytest.mark.parametrize(
    ("target", "mode", "registry", "asked"),
    [
        (b"/v2/", Mode.MIRROR, "https://mirror.example", b"/v2/"),
        (
            b"/v2/a/manifests/1?ns=plain.example%3A5000",
            Mode.MIRROR,
            "http://plain.example:5000",
            b"/v2/a/manifests/1",
        ),
        (b"/v2/?x=1&ns=docker.io&y", Mode.MIRROR, "https://registry-1.docker.io", b"/v2/?x=1&y"),
        (b"/v2/plain.example:5000/a/b/tags/list", Mode.MIRROR, str(PLAIN), b"/v2/a/b/tags/list"),
        (b"/v2/plain.example_5000/a/tags/list", Mode.MIRROR, str(PLAIN), b"/v2/a/tags/list"),
        (b"/v2/team_2024/a/manifests/1", Mode.MIRROR, str(MIRROR), b"/v2/team_2024/a/manifests/1"),
        (b"/v2/ghcr.io/a/manifests/1", Mode.MIRROR, "https://ghcr.io", b"/v2/a/manifests/1"),
        (b"/v2/library/a.b/manifests/1", Mode.MIRROR, str(MIRROR), b"/v2/library/a.b/manifests/1"),
        (b"/x/http://h.example/p?q=1", Mode.PREFIX, "http://h.example", b"/p?q=1"),
        (b"/x/https:/h.example:8443", Mode.PREFIX, "https://h.example:8443", b"/"),
        (b"/HTTPS://H.example/p", Mode.PREFIX, "https://h.example", b"/p"),
        (b"http://h.example", Mode.PROXY, "http://h.example", b"/"),
        (b"http://h.example?q", Mode.PROXY, "http://h.example", b"/?q"),
        (b"HTTPS://[::1]:99/p#f", Mode.PROXY, "https://[::1]:99", b"/p"),
    ],
)
def test_forms(target: bytes, mode: Mode, registry: str, asked: bytes) -> None:
    """Paths, paths with a registry in them, absolute URLs behind a prefix or alone."""
    assert way(router().route(ask(target))) == (mode, registry, asked)


def test_the_order_in_which_a_registry_is_named() -> None:
    """The header before the query, that before the path; the header goes no further."""
    head = ask(b"/v2/c.example/d/tags/list?ns=b", (b"X-Dragonfly-Registry", b"http://a.example"))
    route = router().route(head)
    assert way(route)[1:] == ("http://a.example", b"/v2/c.example/d/tags/list")
    assert all(b"dragonfly" not in name.lower() for name, _ in route.head.headers)


def test_dots_in_names() -> None:
    """Where the mirror's own images may have dots, only described registries are in paths."""
    found = router(hosts_in_paths=False).route(ask(b"/v2/my.project/a/manifests/1"))
    assert str(found.registry) == str(MIRROR)
    found = router(hosts_in_paths=False).route(ask(b"/v2/plain.example:5000/a/manifests/1"))
    assert str(found.registry) == str(PLAIN)


def test_inside_an_opened_connection() -> None:
    """It is to one place; who asks for another there is told so."""

    def opened(target: bytes, host: bytes = b"r.example") -> RequestHead:
        head = RequestHead(method=b"GET", target=target, version=b"1.1", headers=((b"Host", host),))
        return attrs.evolve(head, tunnel="r.example:443")

    expected = (Mode.INTERCEPT, "https://r.example", BLOB)
    assert way(router().route(opened(BLOB))) == expected
    assert way(router().route(opened(BLOB, b"R.example:443"))) == expected
    assert way(router().route(opened(b"https://r.example" + BLOB))) == expected
    for head in (opened(BLOB, b"other.example"), opened(b"https://other.example/")):
        with pytest.raises(Misrouted) as caught:
            router().route(head)
        assert caught.value.status == 421


def test_what_goes_through_the_swarm() -> None:
    """GET and HEAD of what a rule names, or of anything when the client says so."""
    rules = router(Rule(regx=r"\.whl$"), Rule(regx="/secret/", direct=True))
    assert rules.route(ask(BLOB)).swarm
    assert rules.route(ask(BLOB, method=b"HEAD")).swarm
    assert not rules.route(ask(BLOB, method=b"PUT")).swarm
    assert rules.route(ask(b"http://h.example/a.whl")).swarm
    assert not rules.route(ask(b"http://h.example/a.txt")).swarm
    assert not rules.route(ask(b"http://h.example/secret" + BLOB)).swarm
    assert rules.route(ask(b"/a", (b"X-Dragonfly-Use-P2P", b"true"))).swarm
    assert not rules.route(ask(b"/a", (b"X-Dragonfly-Use-P2P", b"false"))).swarm


def test_sent_elsewhere() -> None:
    """Over TLS, to another host, or both; also what goes straight on."""
    rules = router(
        Rule(regx="^http://a", use_https=True, direct=True),
        Rule(regx="^http://b", redirect="other.example:99"),
        Rule(regx="^http://c", redirect="https://other.example"),
    )
    assert str(rules.route(ask(b"http://a.example/")).registry) == "https://a.example"
    assert str(rules.route(ask(b"http://a.example:81/")).registry) == "https://a.example:81"
    assert str(rules.route(ask(b"http://b.example/")).registry) == "http://other.example:99"
    assert str(rules.route(ask(b"http://c.example/")).registry) == "https://other.example"


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"*", 501),
        (b"ftp://h.example/", 400),
        (b"http:///p", 400),
        (b"http://u:secret@h.example/", 400),
        (b"http://h.example:25/", 403),
        (b"http://h.example:0/", 403),
        (b"http://h.example:99999/", 400),
        (b"/v2/?ns=%00", 400),
        (b"/x/http://a b/", 400),
        (b"nonsense", 400),
        (b"h.example:443", 400),
    ],
)
def test_what_is_refused(target: bytes, status: int) -> None:
    """With a reason, which shows no password."""
    with pytest.raises(Misrouted) as caught:
        router().route(ask(target))
    assert caught.value.status == status
    assert "secret" not in str(caught.value)


def test_who_may_reach_this_machine() -> None:
    """Somebody elsewhere cannot have us ask what only this machine reaches."""
    here, there = ask(b"http://h.example/"), ask(b"http://h.example/", client="10.0.0.7")
    assert router().route(here).registry.local
    assert not router().route(there).registry.local
    assert router().route(ask(b"/v2/", client="10.0.0.7")).registry.local


def test_wishes() -> None:
    """What a client says to us alone."""
    route = router().route(
        ask(
            BLOB,
            (b"X-Dragonfly-Filtered-Query-Params", b"a, b,"),
            (b"x-dragonfly-prefetch", b"True"),
            (b"X-Dragonfly-Tag", b"t"),
            (b"X-Dragonfly-Application", b"app"),
            (b"X-Dragonfly-Priority", b"6"),
        )
    )
    assert route.wishes.filters == ("a", "b")
    assert route.wishes.prefetch is True
    assert route.wishes.tag == "t/app"
    assert router().route(ask(BLOB)).wishes.prefetch is None


def test_repositories() -> None:
    """As in paths of requests, rules included: a token is for where the image comes from."""
    head = ask(b"/dragonfly/token")
    rules = router(Rule(regx="^https://ghcr.io/", redirect="http://inside.example"))
    for name, registry, there in (
        ("library/alpine", "https://mirror.example", "library/alpine"),
        ("plain.example_5000/a/b", "http://plain.example:5000", "a/b"),
        ("ghcr.io/a", "http://inside.example", "a"),
        ("", "https://mirror.example", ""),
    ):
        found = rules.repository(name, head)
        assert (str(found[0]), found[1]) == (registry, there)
    with pytest.raises(Misrouted):
        rules.repository("h.example:25/a", head)


@pytest.mark.parametrize(
    ("target", "lines"),
    [
        (b"/x/http://10.0.0.1/secret", ()),
        (b"/latest/?ns=10.0.0.1:80", ()),
        (b"/v2/a/manifests/1?ns=r.example", ((b"Origin", b"http://evil.example"),)),
        (b"/v2/r.example/a/manifests/1", ((b"User-Agent", b"Mozilla/5.0"),)),
        (b"/secret", ((b"X-Dragonfly-Registry", b"http://10.0.0.1"),)),
    ],
)
def test_pages_of_others(target: bytes, lines: tuple[tuple[bytes, bytes], ...]) -> None:
    """A page whose name leads to us must not choose what is asked."""
    head = ask(target, *lines)
    assert router().route(head)
    stranger = attrs.evolve(head, headers=((b"Host", b"evil.example:65001"), *lines))
    with pytest.raises(Misrouted) as caught:
        router().route(stranger)
    assert caught.value.status == 421


def test_engines_under_any_name() -> None:
    """Of a mirror nothing is demanded, nor of an engine that names a registry."""
    for target in (b"/v2/a/manifests/1", b"/v2/a/manifests/1?ns=r.example", b"/any", BLOB):
        head = ask(target)
        assert router().route(attrs.evolve(head, headers=((b"Host", b"dfdaemon.example.com"),)))


def test_realms_for_tokens_of_others() -> None:
    """A page must not have another registry asked for one, either."""
    name = "r.example/a"
    assert str(router().repository(name, ask(b"/dragonfly/token"))[0]) == "https://r.example"
    lines = ((b"Host", b"evil.example"), (b"User-Agent", b"Mozilla/5.0"))
    with pytest.raises(Misrouted):
        router().repository(name, attrs.evolve(ask(b"/dragonfly/token"), headers=lines))


def test_a_name_with_a_number() -> None:
    """What is described counts as it is written; a port stands behind it else."""
    known = [parse_registry("http://lab_registry_1"), parse_registry("http://my_registry:5000")]
    found = Router(Registries(MIRROR, known), Rules(), hosts_in_paths=True)
    for said, registry in zip(("lab_registry_1", "my_registry_5000"), known, strict=True):
        target = b"/v2/%b/a/manifests/1" % said.encode()
        assert str(found.route(ask(target)).registry) == str(registry)
