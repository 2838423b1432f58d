"""What servers say of how to log in."""

from __future__ import annotations

import pytest

from dragonfly.daemon.straight.challenge import parse_challenge


@pytest.mark.parametrize(
    ("text", "scheme", "said"),
    [
        (
            'Bearer realm="https://a.test/t?x=y",service="r, one",scope="repository:a:pull,push"',
            "bearer",
            {
                "realm": "https://a.test/t?x=y",
                "service": "r, one",
                "scope": "repository:a:pull,push",
            },
        ),
        (' BASIC Realm="r" ', "basic", {"realm": "r"}),
        ("Bearer realm=https://a.test", "bearer", {"realm": "https://a.test"}),
        ('Bearer realm=,service="r"', "bearer", {"service": "r"}),
        ("Negotiate abc", "negotiate", {}),
        ("Bearer", "bearer", {}),
        ("", "", {}),
    ],
)
def test_taken_apart(text: str, scheme: str, said: dict[str, str]) -> None:
    """With quotes and without; commas in quotes divide nothing."""
    assert parse_challenge(text) == (scheme, said)
