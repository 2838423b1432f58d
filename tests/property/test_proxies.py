"""``NO_PROXY`` and proxy URLs: no crash, no password told, and suffixes end at dots."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from hypothesis import given
from hypothesis import strategies as st

from dragonfly.errors import ConfigError
from dragonfly.net.proxies import Proxies

LABELS = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
DOMAINS = st.lists(LABELS, min_size=2, max_size=4).map(".".join)


def direct(no_proxy: str, host: str, port: int = 80) -> bool:
    """Whether that place is asked without a proxy."""
    proxies = Proxies.of({"HTTP_PROXY": "http://proxy", "NO_PROXY": no_proxy})
    return proxies.proxy_for("http", host, port) is None


@given(DOMAINS, LABELS)
def test_suffixes_end_at_dots(domain: str, label: str) -> None:
    """A domain is itself and what is below it, never what only ends in the same letters."""
    assert direct(domain, domain)
    assert direct(domain, f"{label}.{domain}")
    assert not direct(domain, f"{label}{domain}")
    assert not direct(f".{domain}", domain)
    assert direct(f".{domain}", f"{label}.{domain}")


@given(st.ip_addresses(v=4), st.ip_addresses(v=4), st.integers(0, 32))
def test_networks(one: IPv4Address, other: IPv4Address, bits: int) -> None:
    """As the address arithmetic says, loopback apart."""
    network = IPv4Network(f"{one}/{bits}", strict=False)
    expected = other in network or other.is_loopback
    assert direct(f"{one}/{bits}", str(other)) == expected


@given(st.text(max_size=40), st.text("abc.:[]/*0123456789", max_size=20))
def test_no_text_breaks_it(no_proxy: str, host: str) -> None:
    """Whatever stands in the variable, and whatever host is asked for."""
    direct(no_proxy, host)


@given(st.text(max_size=30).filter(lambda text: "\0" not in text))
def test_errors_tell_no_password(rest: str) -> None:
    """Wherever the mistake is."""
    told = ""
    try:
        told = repr(Proxies.of({"HTTP_PROXY": f"http://user:Pa55{rest}@proxy"}))
    except ConfigError as error:
        told = str(error)
    assert "Pa55" not in told
