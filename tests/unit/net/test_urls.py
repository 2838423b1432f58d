"""URLs on the wire and in logs."""

from __future__ import annotations

import pytest

from dragonfly.errors import ConfigError
from dragonfly.net.urls import parse_target, redact


@pytest.mark.parametrize(
    ("url", "wire"),
    [
        ("http://host", "http://host/"),
        ("HTTP://HOST:80/f", "http://host/f"),
        ("https://host:443/f#part", "https://host/f"),
        ("https://host:80/f", "https://host:80/f"),
        ("http://[::1]:8080/f", "http://[::1]:8080/f"),
        (" http://host/f ", "http://host/f"),
        ("http://host/a b", "http://host/a%20b"),
        ("http://host/a%20b", "http://host/a%20b"),
        ("http://host/ä?ö=ü", "http://host/%C3%A4?%C3%B6=%C3%BC"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://host/a:b@c;d=e,f+g!$&'()*", "http://host/a:b@c;d=e,f+g!$&'()*"),
        ('http://host/"<>\\^`{|}', "http://host/%22%3C%3E%5C%5E%60%7B%7C%7D"),
        ("http://user:pw@host/f", "http://host/f"),
    ],
)
def test_what_is_requested(url: str, wire: str) -> None:
    """ASCII, without user and fragment; what was written as it should be stays."""
    assert parse_target(url).url == wire


@pytest.mark.parametrize(
    "url",
    [
        "",
        "host/f",
        "ftp://host/f",
        "http://",
        "http:///f",
        "http://user:s3cret@:80/f",
        "http://ho st/f",
        "http://s3cret@host:99999/",
        "http://host:x/",
        "http://[::1/",
        "http://ho|st/",
        "http://ä..b/",
        "http://¨/",
        "http://host/\ud800",
        "http://host/?s3cret=\udc80",
    ],
)
def test_what_cannot_be(url: str) -> None:
    """Refused as configuration, and the text has no secret."""
    with pytest.raises(ConfigError, match="malformed URL") as caught:
        parse_target(url)
    assert "s3cret" not in str(caught.value)


def test_parts() -> None:
    """What decides about credentials, and what is shown."""
    target = parse_target("https://us%20er:p%3Aw@[2001:DB8::1]:8443/f?x")
    assert target.origin == ("https", "2001:db8::1", 8443)
    assert target.netloc == "[2001:db8::1]:8443"
    assert target.authorization == "Basic dXMgZXI6cDp3"
    assert "dXMg" not in repr(target)
    assert parse_target("http://host").netloc == "host:80"
    assert parse_target("http://host").authorization is None
    assert parse_target("http://:@host").authorization == "Basic Og=="


@pytest.mark.parametrize(
    ("location", "there"),
    [
        ("/g?y", "http://host:81/g?y"),
        ("g", "http://host:81/a/g"),
        ("../g", "http://host:81/g"),
        ("?y", "http://host:81/a/f?y"),
        ("//other/g", "http://other/g"),
        ("https://other:444/g#x", "https://other:444/g"),
        ("https://user:pw@other/g", "https://other/g"),
        ("/ä b", "http://host:81/%C3%A4%20b"),
    ],
)
def test_redirects(location: str, there: str) -> None:
    """A Location is resolved against the URL, and never brings credentials along."""
    target = parse_target("http://user:pw@host:81/a/f?x").join(location)
    assert target.url == there
    assert target.authorization is None


@pytest.mark.parametrize(
    "location", ["ftp://host/f", "javascript:x()", "http://[::1", "//[", "http://h:0x/"]
)
def test_redirects_that_lead_nowhere(location: str) -> None:
    """Whatever a server sends: an error of ours."""
    with pytest.raises(ConfigError, match="malformed URL"):
        parse_target("http://host/f").join(location)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://host/f", "http://host/f"),
        ("http://user:pw@host/f", "http://host/f"),
        ("http://u@v:pw@host:1/f?sig=1#x", "http://host:1/f?..."),
        ("http://host/f#secret", "http://host/f"),
        ("http://host/f#a?b", "http://host/f?..."),
        ("user:pw@host/f", "host/f"),
        ("/f?x", "/f?..."),
        ("http://user:pw@host", "http://host"),
        ("http://host/@f", "http://host/@f"),
    ],
)
def test_what_may_be_logged(url: str, shown: str) -> None:
    """No user, query or fragment, however malformed the rest is."""
    assert redact(url) == shown
