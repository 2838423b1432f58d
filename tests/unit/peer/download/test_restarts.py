"""A download begins again when the content changed, but not for ever."""

from __future__ import annotations

import pytest

from dragonfly.errors import OriginChanged, OriginTruncated, VersionUnknown
from dragonfly.peer.download.restarts import CHANGES_IN_SWARM, MAX_CUTS, MAX_RESTARTS, Restarts


def test_so_many_changes_and_no_more() -> None:
    """The last error is the download's."""
    restarts, last = Restarts(), OriginChanged("last")
    for _ in range(MAX_RESTARTS):
        restarts.count(OriginChanged("again"))
    with pytest.raises(OriginChanged) as caught:
        restarts.count(last)
    assert caught.value is last


def test_cuts_and_changes_are_counted_apart() -> None:
    """A transfer that is cut again is not going to end."""
    restarts = Restarts()
    for _ in range(MAX_CUTS):
        restarts.count(OriginTruncated("cut"))
    restarts.count(OriginChanged("changed"))
    with pytest.raises(OriginTruncated):
        restarts.count(OriginTruncated("cut"))


def test_the_swarm_is_left_before_the_download_is_given_up() -> None:
    """An unknown version counts as a change; a cut does not."""
    restarts = Restarts()
    restarts.count(OriginTruncated("cut"))
    for _ in range(CHANGES_IN_SWARM - 1):
        restarts.count(VersionUnknown("which"))
    assert not restarts.hopeless_in_swarm
    restarts.count(OriginChanged("changed"))
    assert restarts.hopeless_in_swarm
