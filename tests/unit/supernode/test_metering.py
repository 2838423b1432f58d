"""What the connections of the piece port carried: to the byte, though they are not wrapped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doubles.seedwork import PIECE, Scene
from tests.doubles.threads import direct_disk


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A seed whose disk answers at once."""
    made = Scene(tmp_path, direct_disk())
    yield made
    made.close()


def told(scene: Scene) -> tuple[float, float]:
    """What the metrics say now, in and out."""
    scene.seed.tell_traffic()
    sample, name = scene.metrics.registry.get_sample_value, "dragonfly_supernode_wire_bytes_total"
    got = [sample(name, {"port": "pieces", "direction": way}) for way in ("in", "out")]
    assert got[0] is not None
    assert got[1] is not None
    return got[0], got[1]


def carried(scene: Scene) -> tuple[int, int]:
    """What the pipes say: what came out at the seed's ends, and what was put in there."""
    heard = sum(far.delivered for far, _ in scene.pipes)
    return heard, sum(near.written for _, near in scene.pipes)


def test_nothing_is_told_of_nobody(scene: Scene) -> None:
    """Both directions are there from the beginning."""
    assert told(scene) == (0, 0)


def test_every_byte_is_told_once(scene: Scene) -> None:
    """Of connections that are open, that ended since the last look, or began since then."""
    content = scene.stock(4 * PIECE)
    first = scene.join(content)
    assert told(scene) == carried(scene)
    assert told(scene) == carried(scene)
    first.show(1)
    first.peer.close()
    scene.run()
    assert first.closed
    scene.join(content)
    assert told(scene) == carried(scene)
    assert told(scene)[1] > 2 * 4 * PIECE


def test_bytes_behind_a_goodbye_are_told(scene: Scene) -> None:
    """They were on the wire, though nobody reads them."""
    leecher = scene.join(scene.stock(PIECE))
    far, _ = scene.pipes[0]
    far.write(b"nonsense" * 100)
    far.write(b"more of it")
    scene.run()
    assert leecher.closed
    assert told(scene) == carried(scene)


def test_the_transport_is_the_connections_own(scene: Scene) -> None:
    """A wrapper would keep it from sending at once."""
    scene.join(scene.stock(PIECE))
    (peer,) = scene.seed._callers
    assert peer.transport is scene.pipes[0][1]
