"""Whose credentials are tried at the origin: one after another, and all again in the end."""

from __future__ import annotations

from typing import Any, cast

import attrs

from dragonfly.peer.origin.originsources import OriginSources
from dragonfly.peer.origin.originstream import OriginSource


@attrs.define
class Reading:
    """A client that reads the origin as somebody; empty: it must not."""

    who: str

    def origin_source(self) -> OriginSource | None:
        """A new one each time."""
        return _source(self.who) if self.who else None


def _source(who: str) -> OriginSource:
    return OriginSource(cast("Any", None), "http://o/f", (("Authorization", who),))


def _sources(*clients: Reading) -> OriginSources:
    return OriginSources(cast("Any", clients))


def test_the_first_client_that_may_read_is_chosen() -> None:
    """Nobody may: there is nothing to choose."""
    assert _sources(Reading(""), Reading("a"), Reading("b")).choose() == _source("a")
    assert _sources(Reading("")).choose() is None
    assert _sources().choose() is None


def test_who_was_refused_makes_room_for_the_next() -> None:
    """And is not asked again while others are left."""
    sources = _sources(Reading("a"), Reading("b"))
    assert sources.refuse(_source("a"))
    assert sources.choose() == _source("b")


def test_when_all_were_refused_all_may_try_again() -> None:
    """The supernode may bring it meanwhile."""
    sources = _sources(Reading("a"), Reading("b"))
    assert sources.refuse(_source("a"))
    assert not sources.refuse(_source("b"))
    assert sources.choose() == _source("a")
    assert sources.refuse(_source("a"))


def test_clients_come_and_go() -> None:
    """Who came after a refusal is tried; one that nobody has any more does not count."""
    clients = [Reading("a")]
    sources = OriginSources(cast("Any", clients))
    assert sources.refuse(_source("gone"))
    clients.append(Reading("b"))
    assert sources.refuse(_source("a"))
    clients.remove(Reading("b"))
    assert sources.choose() == _source("a")
