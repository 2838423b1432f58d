"""Names of hosts: how they are asked for, and which can be."""

from __future__ import annotations

import pytest

from dragonfly.hostnames import ascii_host, is_host_name


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("Registry.Example", "registry.example"),
        ("My_Registry", "my_registry"),
        ("r.example.", "r.example."),
        ("::1", "::1"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER_1.example", None),
        ("straße.example", "xn--strae-oqa.example"),  # by IDNA 2003 it was strasse
        ("my_lab.bücher.example.", "my_lab.xn--bcher-kva.example."),
        ("bücher\u3002example", "xn--bcher-kva.example"),
        ("\uff52egistry.example", "registry.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("xn--53h.example", "xn--53h.example"),  # a symbol: names in ASCII are not judged
        ("\u2615.example", None),
        ("ä..b", None),
        ("a\u2100b.example", None),  # "a/c" to some
        ("ä" * 60 + ".example", None),
        ("\ud800", None),
    ],
)
def test_as_it_is_asked_for(written: str, asked: str | None) -> None:
    """As Go's clients and curl write it, or refused."""
    if asked is None:
        with pytest.raises(UnicodeError):
            ascii_host(written)
    else:
        assert ascii_host(written) == asked


@pytest.mark.parametrize(
    ("name", "possible"),
    [
        ("r", True),
        ("my_registry", True),
        ("_srv._tcp.example", True),
        ("-a-.example.", True),
        ("a" * 63 + ".b", True),
        ("a" * 64 + ".b", False),
        (".".join(["a" * 49] * 5) + ".abc", True),
        (".".join(["a" * 49] * 5) + ".abc.", True),
        (".".join(["a" * 49] * 5) + ".abcd", False),
        ("", False),
        (".", False),
        ("a..b", False),
        ("a.b..", False),
        ("a b", False),
        ("a/b", False),
        ("a%41", False),
        ("ä", False),
        ("a\n", False),
    ],
)
def test_what_a_resolver_can_be_asked_for(name: str, possible: bool) -> None:
    """Its characters, and how long it is."""
    assert is_host_name(name) is possible
