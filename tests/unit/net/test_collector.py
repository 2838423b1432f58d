"""Collections pass over what was there at the start, and over nothing else."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from dragonfly.net.collector import pass_over_what_is_there


class Knot:
    """Garbage that only the collector finds."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture
def unfrozen() -> Iterator[None]:
    """Leave the collector of this process as it was."""
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("unfrozen")
def test_what_comes_later_is_collected() -> None:
    """And what was there is not looked at."""
    gc.collect()
    before = len(gc.get_objects())
    pass_over_what_is_there()
    assert gc.get_freeze_count() >= before
    assert len(gc.get_objects()) < before / 10
    knot = weakref.ref(Knot())
    assert knot() is not None
    gc.collect()
    assert knot() is None
