"""Whom to believe at each step of a way: what is said of a place, and what follows from it."""

from __future__ import annotations

import pytest

from dragonfly.net.origintrusts import OriginTrusts, WayTrusts
from dragonfly.net.trust import Trust
from dragonfly.net.urls import parse_target

HOME = parse_target("https://registry.example/v2/x")
SAME_HOST = parse_target("https://registry.example:8443/x")
STORAGE = parse_target("https://storage.example/x")
OWN = Trust(cacerts="/own.pem", client_cert="/me.pem")
ANYBODY = Trust(insecure=True)


def test_the_ordinary_one() -> None:
    """The system's authorities, everywhere."""
    for there in (HOME, SAME_HOST, STORAGE):
        assert WayTrusts(Trust()).at(HOME, there) == Trust()


def test_own_authorities() -> None:
    """They alone count at home, besides the system's elsewhere; who we are stays at home."""
    way = WayTrusts(OWN)
    assert way.at(HOME, HOME) == OWN
    for there in (SAME_HOST, STORAGE):
        assert way.at(HOME, there) == Trust(cacerts="/own.pem", system=True)


def test_anybody() -> None:
    """Is believed on that host, at any port and scheme, and nowhere else."""
    way = WayTrusts(ANYBODY)
    plain = parse_target("http://registry.example/v2/x")
    for home, there in ((HOME, HOME), (HOME, SAME_HOST), (plain, HOME)):
        assert way.at(home, there) == ANYBODY
    assert way.at(HOME, STORAGE) == Trust()


@pytest.mark.parametrize("first", [Trust(), OWN, ANYBODY])
@pytest.mark.parametrize("said", [Trust(), OWN, ANYBODY, Trust(cacerts="/other.pem")])
def test_what_is_said_of_a_place(first: Trust, said: Trust) -> None:
    """Counts there, wherever the way began, but where it began."""
    places = {("storage.example", 443): said, ("registry.example", 8443): said}
    way = WayTrusts(first, lambda host, port: places.get((host, port)))
    assert way.at(HOME, HOME) == first
    shared = first == OWN and said == Trust()  # of its authorities nothing is said
    expected = Trust(cacerts=OWN.cacerts, system=True) if shared else said
    assert way.at(HOME, STORAGE) == expected
    assert way.at(HOME, SAME_HOST) == expected


def test_the_whole_way() -> None:
    """A user's word is for all of it, but the certificate."""
    assert WayTrusts(OWN, None).at(HOME, STORAGE) == Trust(cacerts="/own.pem")
    assert WayTrusts(ANYBODY, None).at(HOME, STORAGE) == ANYBODY


def test_places_only() -> None:
    """At a supernode nothing follows from what is said of another place."""
    trusts = OriginTrusts({("registry.example", 443): OWN})
    assert trusts.at(HOME, HOME) == OWN
    assert trusts.at(STORAGE, HOME) == OWN
    assert trusts.at(HOME, STORAGE) == Trust()
