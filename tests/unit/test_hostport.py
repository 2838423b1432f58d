"""``host:port`` as it is written."""

from __future__ import annotations

import pytest

from dragonfly.errors import ConfigError
from dragonfly.hostport import authority, host_port, parse_host_port


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("host", "host", None),
        ("Host.example:1", "Host.example", 1),
        ("10.0.0.1:65535", "10.0.0.1", 65535),
        ("bücher.example:5000", "bücher.example", 5000),
        ("[::1]", "::1", None),
        ("[2001:DB8::7]:443", "2001:DB8::7", 443),
        ("[::ffff:10.0.0.1]:443", "::ffff:10.0.0.1", 443),
    ],
)
def test_taken_apart(text: str, host: str, port: int | None) -> None:
    """The host is as it was written; and back."""
    assert parse_host_port("key", text) == (host, port)
    if port is not None:
        assert host_port(host, port) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not of the form host:port"),
        (":80", "not of the form host:port"),
        ("host:", "not of the form host:port"),
        ("host:x", "not of the form host:port"),
        ("host:²", "not of the form host:port"),
        ("host:999999", "not of the form host:port"),
        ("host:80\n", "not of the form host:port"),
        ("http://host", "not of the form host:port"),
        ("host/path", "not of the form host:port"),
        ("a,b", "not of the form host:port"),
        ("a b", "not of the form host:port"),
        ("::1", r"an IPv6 address \[address\]:port"),
        ("::1:80", r"an IPv6 address \[address\]:port"),
        ("[::1", r"an IPv6 address \[address\]:port"),
        ("[::1]:", r"an IPv6 address \[address\]:port"),
        ("[::1]80", r"an IPv6 address \[address\]:port"),
        ("[1:2]:80", r"an IPv6 address \[address\]:port"),
        ("[host]:80", r"an IPv6 address \[address\]:port"),
        ("host:0", "'host:0': port '0' is not a number from 1 to 65535"),
        ("host:65536", "port '65536' is not a number from 1 to 65535"),
        ("user:secret@host", "credentials do not belong here"),
    ],
)
def test_malformed(text: str, said: str) -> None:
    """It is said what of, and how it is written; a password is not shown."""
    with pytest.raises(ConfigError, match=f"^key: .*{said}") as caught:
        parse_host_port("key", text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("scheme", "host", "port", "text"),
    [
        ("http", "host", 80, "host"),
        ("http", "host", 443, "host:443"),
        ("https", "::1", 443, "[::1]"),
        ("https", "::1", 80, "[::1]:80"),
    ],
)
def test_in_urls(scheme: str, host: str, port: int, text: str) -> None:
    """The port of the scheme is left out."""
    assert authority(scheme, host, port) == text
