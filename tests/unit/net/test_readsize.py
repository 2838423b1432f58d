"""How much one read brings: said to the transport that reads, wherever it is."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from dragonfly.net.readsize import read_at_most


@pytest.mark.parametrize("wrappers", [[], ["transport"], ["_producer", "transport"]])
def test_the_transport_that_reads_is_told(wrappers: list[str]) -> None:
    """Also through what HTTP clients and TLS wrap around it."""
    socket = SimpleNamespace(bufferSize=65536)
    outer = socket
    for name in wrappers:
        outer = SimpleNamespace(**{name: outer})
    read_at_most(outer, 4096)
    assert socket.bufferSize == 4096


def test_others_are_left_alone() -> None:
    """One in memory reads nothing."""
    transport = SimpleNamespace()
    read_at_most(transport, 4096)
    assert not hasattr(transport, "bufferSize")
