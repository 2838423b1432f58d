"""What several of a peer's unit tests begin with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doubles.exchanging import ExchangeLab
from tests.doubles.tasklab import TaskLab


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[ExchangeLab]:
    """Three pieces, all digests known, nothing here."""
    scene = ExchangeLab(TaskLab(tmp_path))
    yield scene
    scene.end()


@pytest.fixture
def lab(tmp_path: Path) -> TaskLab:
    """Three pieces, the last one short."""
    return TaskLab(tmp_path)
