"""Who is known to a registry: by his credentials, and not by what he accepts."""

from __future__ import annotations

from twisted.internet.task import Clock

from dragonfly.daemon.blobs.acquaintances import KEEP_S, SUSPECTED_S, Acquaintances
from dragonfly.daemon.routing.registry import parse_registry
from tests.doubles.reader import make_reply

HUB = parse_registry("https://hub.example")
OTHER = parse_registry("https://other.example")
URL = "https://hub.example/f"
ME = (("Authorization", "Bearer me"), ("Accept", "a/b"))
ALSO_ME = (("User-Agent", "x/1"), ("Authorization", "Bearer me"))
YOU = (("Authorization", "Bearer you"),)
REPLY = make_reply(length=7, url=URL, etag='"v1"')


def test_who_is_known() -> None:
    """At that registry, with these credentials, until he is not."""
    known = Acquaintances(Clock().seconds)
    assert not known.know(HUB, URL, ME)
    known.add(HUB, URL, ME, REPLY)
    assert known.know(HUB, URL, ALSO_ME)
    assert not known.know(OTHER, URL, ME)
    assert not known.know(HUB, URL, YOU)
    assert not known.know(HUB, URL, ())
    for other in ("https://hub.example/secret", f"{URL}?token=", f"{URL}?Signature="):
        assert not known.know(HUB, other, ME)
    known.drop(HUB, URL, ALSO_ME)
    known.drop(HUB, URL, YOU)
    assert not known.know(HUB, URL, ME)


def test_what_was_told() -> None:
    """Of that thing, to him; and whatever was told in these five minutes."""
    known = Acquaintances(Clock().seconds)
    known.add(HUB, URL, ME, REPLY)
    assert known.heard(HUB, URL, ALSO_ME, REPLY)
    assert not known.heard(HUB, URL, YOU, REPLY)
    others = (
        make_reply(length=None, url=URL, etag='"v1"'),
        make_reply(length=8, url=URL, etag='"v1"'),
        make_reply(length=7, url=URL, etag='"v2"'),
        make_reply(length=7, url=URL),
    )
    for other in others:
        assert not known.heard(HUB, URL, ME, other)
        known.add(HUB, URL, ME, other)
    assert all(known.heard(HUB, URL, ME, each) for each in (REPLY, *others))


def test_so_many() -> None:
    """The newest, among them who was seen again."""
    known = Acquaintances(Clock().seconds, 2)
    for who in (ME, YOU, ME, ()):
        known.add(HUB, URL, who, REPLY)
    assert [known.know(HUB, URL, who) for who in (ME, YOU, ())] == [True, False, True]


def test_not_for_ever() -> None:
    """What is known and what is suspected may have changed."""
    clock = Clock()
    known = Acquaintances(clock.seconds)
    known.add(HUB, URL, ME, REPLY)
    known.suspect(HUB)
    clock.advance(KEEP_S)
    assert not known.know(HUB, URL, ME)
    assert (known.suspects(HUB), known.suspects(OTHER)) == (True, False)
    clock.advance(SUSPECTED_S - KEEP_S)
    assert not known.suspects(HUB)
