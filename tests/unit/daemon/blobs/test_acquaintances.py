"""Who is known to a registry: by his credentials, and not by what he accepts."""

from __future__ import annotations

from twisted.internet.task import Clock

from dragonfly.daemon.blobs.acquaintances import KEEP_S, SUSPECTED_S, Acquaintances
from dragonfly.daemon.routing.registry import parse_registry

HUB = parse_registry("https://hub.example")
OTHER = parse_registry("https://other.example")
URL = "https://hub.example/f"
ME = (("Authorization", "Bearer me"), ("Accept", "a/b"))
ALSO_ME = (("User-Agent", "x/1"), ("Authorization", "Bearer me"))
YOU = (("Authorization", "Bearer you"),)


def test_who_is_known() -> None:
    """At that registry, with these credentials, until he is not."""
    known = Acquaintances(Clock().seconds)
    assert not known.know(HUB, URL, ME)
    known.add(HUB, URL, ME)
    assert known.know(HUB, URL, ALSO_ME)
    assert not known.know(OTHER, URL, ME)
    assert not known.know(HUB, URL, YOU)
    assert not known.know(HUB, URL, ())
    assert not known.know(HUB, "https://hub.example/secret", ME)
    known.drop(HUB, URL, ALSO_ME)
    known.drop(HUB, URL, YOU)
    assert not known.know(HUB, URL, ME)


def test_so_many() -> None:
    """The newest, among them who was seen again."""
    known = Acquaintances(Clock().seconds, 2)
    for who in (ME, YOU, ME, ()):
        known.add(HUB, URL, who)
    assert [known.know(HUB, URL, who) for who in (ME, YOU, ())] == [True, False, True]


def test_not_for_ever() -> None:
    """What is known and what is suspected may have changed."""
    clock = Clock()
    known = Acquaintances(clock.seconds)
    known.add(HUB, URL, ME)
    known.suspect(HUB)
    clock.advance(KEEP_S)
    assert not known.know(HUB, URL, ME)
    assert (known.suspects(HUB), known.suspects(OTHER)) == (True, False)
    clock.advance(SUSPECTED_S - KEEP_S)
    assert not known.suspects(HUB)
