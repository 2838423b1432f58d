"""Under which names a request may choose its target."""

from __future__ import annotations

import pytest

from dragonfly.daemon.http.messages import RequestHead
from dragonfly.daemon.routing.misrouted import Misrouted
from dragonfly.daemon.routing.ownnames import OwnNames

OWN = OwnNames(["Node7.corp.example", "dfdaemon.example.com."])
PAGE = (b"Host", b"evil.example:65001")


def ask(*lines: tuple[bytes, bytes], target: bytes = b"/v2/a/manifests/1?ns=b") -> RequestHead:
    """One request."""
    return RequestHead(method=b"GET", target=target, version=b"1.1", headers=lines)


@pytest.mark.parametrize(
    "host",
    [
        b"127.0.0.1:65001",
        b"10.1.2.3",
        b"[::1]:65001",
        b"[fd00::7]",
        b"localhost:65001",
        b"a.localhost",
        b"node7",
        b"my_dfdaemon:65001",
        b"node7.corp.example",
        b"DFDAEMON.example.com:65001",
        b"dfdaemon.example.com.",
        b"printer.local",
        b"dfdaemon.lan.",
        b"a.internal",
        b"a.home.arpa",
        b"dfdaemon.kube-system.svc:65001",
        b"dfdaemon.kube-system.svc.cluster.local",
        b"",
    ],
)
def test_ours(host: bytes) -> None:
    """Nobody else's page is served there."""
    OWN.check(ask((b"Host", host)))


def test_no_host() -> None:
    """Browsers always send one."""
    OWN.check(ask())


@pytest.mark.parametrize(
    "host",
    [
        b"evil.example:65001",
        b"127.0.0.1.evil.example",
        b"localhost.evil.example",
        b"local.evil.example",
        b"evil.arpa",
        b"evillocal.example",
        b"x.dfdaemon.example.com",
        b"0x7f.1",
        b"evil.ex\xc3\xa4mple",
    ],
)
def test_not_ours(host: bytes) -> None:
    """The text says which key to set."""
    with pytest.raises(Misrouted, match="hostNames") as caught:
        OWN.check(ask((b"Host", host)))
    assert caught.value.status == 421
    assert str(caught.value).isascii()


@pytest.mark.parametrize(
    "line",
    [
        (b"User-Agent", b"Mozilla/5.0 (X11)"),
        (b"Origin", b"http://evil.example:65001"),
        (b"Referer", b"http://evil.example:65001/"),
        (b"sec-fetch-site", b"same-origin"),
    ],
)
def test_a_browser(line: tuple[bytes, bytes]) -> None:
    """It is told by what it sends; under a name of ours it may ask."""
    with pytest.raises(Misrouted):
        OWN.check_page(ask(PAGE, line))
    OWN.check_page(ask((b"Host", b"localhost:65001"), line))


def test_an_engine() -> None:
    """It may know us by any name, and asks for nothing but the API."""
    agent = (b"User-Agent", b"containerd/1.6.20")
    OWN.check_page(ask(PAGE, agent))
    with pytest.raises(Misrouted):
        OWN.check_page(ask(PAGE, agent, target=b"/latest/meta-data/?ns=b"))
