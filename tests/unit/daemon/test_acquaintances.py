"""Who is known to a registry: by his credentials, and not by what he accepts."""

from __future__ import annotations

from dragonfly.daemon.acquaintances import Acquaintances
from dragonfly.daemon.registry import parse_registry

HUB = parse_registry("https://hub.example")
OTHER = parse_registry("https://other.example")
ME = (("Authorization", "Bearer me"), ("Accept", "a/b"))
ALSO_ME = (("User-Agent", "x/1"), ("Authorization", "Bearer me"))
YOU = (("Authorization", "Bearer you"),)


def test_who_is_known() -> None:
    """At that registry, with these credentials, until he is not."""
    known = Acquaintances()
    assert not known.know(HUB, ME)
    known.add(HUB, ME)
    assert known.know(HUB, ALSO_ME)
    assert not known.know(OTHER, ME)
    assert not known.know(HUB, YOU)
    assert not known.know(HUB, ())
    known.drop(HUB, ALSO_ME)
    known.drop(HUB, YOU)
    assert not known.know(HUB, ME)


def test_so_many() -> None:
    """The newest, among them who was seen again."""
    known = Acquaintances(2)
    for who in (ME, YOU, ME, ()):
        known.add(HUB, who)
    assert [known.know(HUB, who) for who in (ME, YOU, ())] == [True, False, True]
