"""Which proxy leads where, by the variables of a process."""

from __future__ import annotations

import pytest

from dragonfly.errors import ConfigError
from dragonfly.net.proxies import Proxies

PROXY = "http://proxy.example:3128"


def through(host: str, port: int = 80, scheme: str = "http", **environment: str) -> str | None:
    """The proxy for that place, as text."""
    proxy = Proxies.of(environment).proxy_for(scheme, host, port)
    return None if proxy is None else str(proxy)


def test_none_by_default() -> None:
    """Without variables, and with empty ones."""
    assert through("origin.example") is None
    assert through("origin.example", http_proxy="", HTTP_PROXY=" ", ALL_PROXY="") is None
    assert Proxies().all == ()


@pytest.mark.parametrize(
    ("environment", "http", "https"),
    [
        ({"HTTP_PROXY": "http://a"}, "a:80", None),
        ({"HTTPS_PROXY": "http://a"}, None, "a:80"),
        ({"HTTP_PROXY": "http://a", "http_proxy": "http://b:1"}, "b:1", None),
        ({"HTTPS_PROXY": "http://a", "https_proxy": ""}, None, "a:80"),
        ({"ALL_PROXY": "http://a"}, "a:80", "a:80"),
        ({"all_proxy": "http://a", "HTTPS_PROXY": "http://b"}, "a:80", "b:80"),
        ({"HTTP_PROXY": "proxy.example:3128"}, "proxy.example:3128", None),
        ({"HTTP_PROXY": "10.1.2.3"}, "10.1.2.3:80", None),
        ({"HTTP_PROXY": "[fd00::1]:3128"}, "[fd00::1]:3128", None),
        ({"HTTP_PROXY": "https://a/"}, "a:443", None),
    ],
)
def test_which_one(environment: dict[str, str], http: str | None, https: str | None) -> None:
    """By scheme; lower case wins, an empty value is none, ALL_PROXY comes last."""
    assert through("origin.example", **environment) == http
    assert through("origin.example", 443, "https", **environment) == https


def test_a_login() -> None:
    """Becomes a header, and shows nowhere."""
    proxy = Proxies.of({"HTTP_PROXY": "http://us%40er:p%3Ass@proxy.example:3128"}).http
    assert proxy is not None
    assert proxy.authorization == "Basic dXNAZXI6cDpzcw=="
    assert "dXNA" not in f"{proxy!r} {proxy}"
    assert not proxy.secure


@pytest.mark.parametrize("scheme", ["socks5", "SOCKS5h", "socks4"])
def test_socks(scheme: str) -> None:
    """Is said to be unsupported, where it would count."""
    value = f"{scheme}://user:s3cret@proxy.example:1080"
    with pytest.raises(ConfigError, match=f"^ALL_PROXY: a {scheme.lower()} proxy is not") as caught:
        Proxies.of({"ALL_PROXY": value})
    assert "s3cret" not in str(caught.value)
    Proxies.of({"ALL_PROXY": value, "http_proxy": PROXY, "https_proxy": PROXY})


@pytest.mark.parametrize(
    "value",
    ["http://", "ftp://u:s3cret@p", "http://u:s3cret@p:99999", "http://u:s3/cret@p:1", "a b"],
)
def test_no_url(value: str) -> None:
    """The variable is named; its value may hold a password, wherever the mistake is."""
    with pytest.raises(ConfigError, match=r"^HTTPS_PROXY: its value is not") as caught:
        Proxies.of({"https_proxy": value})
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST", "localhost.", "127.0.0.1", "127.9.9.9", "::1", "0x7f.1"]
)
def test_loopback(host: str) -> None:
    """Is asked directly, always: a proxy has another one."""
    assert through(host, ALL_PROXY=PROXY) is None


@pytest.mark.parametrize(
    ("no_proxy", "host", "port", "direct"),
    [
        ("example.com", "example.com", 80, True),
        ("example.com", "a.b.example.com", 80, True),
        ("example.com", "EXAMPLE.com.", 80, True),
        ("Example.COM.", "a.example.com", 80, True),
        ("example.com", "badexample.com", 80, False),
        ("example.com", "example.com.evil", 80, False),
        (".example.com", "a.example.com", 80, True),
        (".example.com", "example.com", 80, False),
        ("*.example.com", "a.example.com", 80, True),
        ("*.example.com", "example.com", 80, False),
        ("other, example.com", "example.com", 80, True),
        ("other example.com", "example.com", 80, True),
        ("*", "example.com", 80, True),
        ("a,*", "example.com", 80, True),
        ("example.com:5000", "example.com", 5000, True),
        ("example.com:5000", "a.example.com", 5000, True),
        ("example.com:5000", "example.com", 80, False),
        (".example.com:5000", "a.example.com", 5000, True),
        ("10.1.2.3", "10.1.2.3", 80, True),
        ("10.1.2.3", "10.1.2.30", 80, False),
        ("10.1.2.3", "0x0a.1.2.3", 80, True),
        ("10.1.2.3:81", "10.1.2.3", 81, True),
        ("10.1.2.3:81", "10.1.2.3", 80, False),
        ("10.0.0.0/8", "10.200.0.1", 80, True),
        ("10.0.0.0/8", "11.0.0.1", 80, False),
        ("10.0.0.1/8", "10.200.0.1", 80, True),
        ("10.0.0.0/8", "ten.example.com", 80, False),
        ("10.0.0.0/8", "::ffff:10.0.0.1", 80, True),
        ("0.1", "10.0.0.1", 80, False),
        ("fd00::/8", "fd12::1", 80, True),
        ("fd00::/8", "fe80::1", 80, False),
        ("fd00::1", "fd00::1", 80, True),
        ("[fd00::1]", "fd00:0::1", 80, True),
        ("[fd00::1]:81", "fd00::1", 81, True),
        ("[fd00::1]:81", "fd00::1", 80, False),
        ("bücher.example", "xn--bcher-kva.example", 80, True),
        (",, . *. :80 /8 [", "example.com", 80, False),
    ],
)
def test_no_proxy(no_proxy: str, host: str, port: int, direct: bool) -> None:
    """As Go reads it, so that we and the engine beside us agree."""
    expected = None if direct else "proxy.example:3128"
    assert through(host, port, ALL_PROXY=PROXY, NO_PROXY=no_proxy) == expected
    assert through(host, port, "https", ALL_PROXY=PROXY, no_proxy=no_proxy) == expected


def test_what_the_log_says() -> None:
    """Which scheme goes where, without the login."""
    assert str(Proxies()) == "directly"
    both = Proxies.of({"ALL_PROXY": "http://u:s3cret@p:1", "https_proxy": "http://q:2"})
    assert str(both) == "http through the proxy p:1, https through the proxy q:2"
    assert [str(each) for each in both.all] == ["p:1", "q:2"]
    assert len(Proxies.of({"ALL_PROXY": PROXY}).all) == 1
