"""Signed control calls: for one path, one body, one key."""

from __future__ import annotations

import pytest

from dragonfly.control.signing import SIGNATURE_HEADER, check_body, sign_body
from dragonfly.signatures import SigningKey

KEY = SigningKey.from_bytes(bytes(range(32)))
OTHER = SigningKey.from_bytes(bytes(range(1, 33)))
BODY = b'{"url":"http://host/f"}\n'


def test_what_was_signed_is_believed() -> None:
    """The value is plain ASCII, fit for a header."""
    value = sign_body(KEY, "/swarm/register", BODY)
    assert value.isascii()
    assert len(value) == 128
    assert check_body(KEY.public, "/swarm/register", BODY, value)
    assert SIGNATURE_HEADER == "X-Dragonfly-Signature"


def test_nothing_else_is() -> None:
    """Not another body, path or key: a call cannot be replayed as another one."""
    value = sign_body(KEY, "/swarm/register", BODY)
    assert not check_body(KEY.public, "/swarm/register", BODY + b" ", value)
    assert not check_body(KEY.public, "/swarm/leave", BODY, value)
    assert not check_body(OTHER.public, "/swarm/register", BODY, value)
    assert not check_body(KEY.public, "/swarm/register", BODY, sign_body(OTHER, "/x", BODY))


def test_path_and_body_do_not_run_together() -> None:
    """Moving bytes from one to the other is another call."""
    value = sign_body(KEY, "/ab", b"c")
    assert not check_body(KEY.public, "/a", b"bc", value)


@pytest.mark.parametrize("value", ["", "zz", "ab", "ä" * 128, "00" * 64, "0" * 127])
def test_malformed(value: str) -> None:
    """Whatever stands in the header, the answer is no and never an exception."""
    assert not check_body(KEY.public, "/swarm/register", BODY, value)


def test_malformed_key() -> None:
    """Nor is a key of the wrong size one."""
    assert not check_body(b"short", "/x", BODY, sign_body(KEY, "/x", BODY))
