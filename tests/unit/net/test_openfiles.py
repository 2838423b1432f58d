"""The limit of open files goes up, never down."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

from dragonfly.net.openfiles import allow_open_files


@pytest.fixture
def limits() -> Iterator[tuple[int, int]]:
    """What this process has, put back afterwards."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize(("soft", "most", "then"), [(200, 300, 300), (300, 200, 300)])
def test_soft_limit(limits: tuple[int, int], soft: int, most: int, then: int) -> None:
    """It is raised to what is asked for, and left where it is higher."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, limits[1]))
    assert allow_open_files(most) == then


def test_hard_limit(limits: tuple[int, int]) -> None:
    """More than the system allows is not asked for."""
    soft, hard = limits
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 200), hard))
    assert allow_open_files(2**62) == hard
