"""How much of a disk stays free."""

from __future__ import annotations

import pytest

from dragonfly.store.space import FREE_BYTES, lacking

GB = 1024**3


@pytest.mark.parametrize(
    ("free", "total", "short"),
    [
        (11 * GB, 1000 * GB, 0),
        (FREE_BYTES, 1000 * GB, 0),
        (4 * GB, 1000 * GB, 6 * GB),
        (2 * GB, 20 * GB, 0),
        (1 * GB, 20 * GB, 1 * GB),
        (0, 0, 0),
    ],
)
def test_ten_gigabytes_or_a_tenth(free: int, total: int, short: int) -> None:
    """The smaller of both stays free."""
    assert lacking(free, total) == short
