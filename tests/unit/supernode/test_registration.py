"""A registration is read with care: nothing too long, nothing secret in the clear."""

from __future__ import annotations

from typing import Any

import pytest

from dragonfly.control.messages import Announced, RegisterRequest
from dragonfly.errors import ConfigError, TrackerError
from dragonfly.supernode.registration import Caller, Wish, read_wish

TLS = Caller(address="192.0.2.7", reached="192.0.2.1", secure=True)
PLAIN = Caller(address="192.0.2.7", reached="192.0.2.1", secure=False)
HERE = Caller(address="127.0.0.1", reached="127.0.0.1", secure=False)


def _wish(
    url: str = "http://o.example/f", caller: Caller = TLS, *, port: int = 1, **fields: Any
) -> Wish:
    request = RegisterRequest(url=url, key=b"k" * 32, peer=Announced(port=port), **fields)
    return read_wish(request, caller)


def test_user_and_password_become_a_header() -> None:
    """They leave the URL, and with it every name, log and answer."""
    wish = _wish("http://user:pa%3Ass@o.example/f")
    assert wish.url == "http://o.example/f"
    assert wish.headers == (("Authorization", "Basic dXNlcjpwYTpzcw=="),)
    assert wish.name.url == "http://o.example:80/f"
    assert "dXNlcj" not in repr(wish)
    explicit = _wish("http://u:p@o.example/f", headers=[("authorization", "Bearer t")])
    assert explicit.headers == (("authorization", "Bearer t"),)


@pytest.mark.parametrize(
    "fields",
    [
        {"headers": [("Authorization", "Bearer geheim")]},
        {"headers": [("Cookie", "geheim=1")]},
        {"headers": [("X-Auth-Token", "geheim")]},
        {"url": "http://me:geheim@o.example/f"},
    ],
)
def test_credentials_need_tls_or_this_host(fields: dict[str, Any]) -> None:
    """In the clear they are refused, with what to do instead, and not repeated."""
    with pytest.raises(TrackerError, match="https://") as caught:
        _wish(caller=PLAIN, **fields)
    assert caught.value.status == 403
    assert "geheim" not in str(caught.value)
    assert _wish(caller=HERE, **fields).headers == _wish(caller=TLS, **fields).headers


def test_harmless_headers_may_come_in_the_clear() -> None:
    """They say nothing of who asks."""
    wish = _wish(caller=PLAIN, headers=[("Accept", " text/plain "), ("User-Agent", "x")])
    assert wish.headers == (("Accept", "text/plain"), ("User-Agent", "x"))


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (("Host", "other.example"), "Host changes which content"),
        (("Range", "bytes=0-1"), "Range changes which content"),
        (("If-None-Match", '"1"'), "If-None-Match changes"),
        (("a b", "x"), "no name of a header"),
        (("", "x"), "no name of a header"),
        (("X", "a\r\nY: b"), "control character"),
        (("X", "a\0"), "control character"),
    ],
)
def test_headers_that_cannot_go_along_are_refused(header: tuple[str, str], words: str) -> None:
    """What they bring would be given to others under the name of the whole content."""
    with pytest.raises(TrackerError, match=words) as caught:
        _wish(headers=[header])
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "fields",
    [
        {"url": "http://o.example/" + "x" * 9000},
        {"headers": [("X", "")] * 101},
        {"headers": [("X", "y" * 17000)]},
        {"filters": ["x"] * 65},
        {"filters": ["x" * 257]},
        {"identifier": "x" * 257},
        {"port": 65536},
        {"port": -1},
    ],
)
def test_everything_is_bounded(fields: dict[str, Any]) -> None:
    """What is kept for each peer has a limit, and the refusal names it."""
    with pytest.raises(TrackerError) as caught:
        _wish(**fields)
    assert caught.value.status == 400
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("url", ["ftp://o.example/f", "o.example/f", "http://", "http://a b/"])
def test_malformed_urls_are_refused(url: str) -> None:
    """With the error that names what is wrong."""
    with pytest.raises(ConfigError):
        _wish(url)


def test_filtered_parameters_are_kept_in_mind() -> None:
    """They are no part of the name, but may be what the origin admits by."""
    signed = _wish("http://o.example/f?sig=abc&v=1", filters=["sig"])
    assert signed.keyed
    assert signed.url == "http://o.example/f?sig=abc&v=1"
    assert signed.name == _wish("http://o.example/f?sig=other&v=1", filters=["sig"]).name
    assert not _wish("http://o.example/f?v=1", filters=["sig"]).keyed
