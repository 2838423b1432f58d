"""Listening: at which addresses one is reached, and what is said where that cannot be."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest

from dragonfly.errors import ListenError
from dragonfly.net.listen import bind


def reached(listening: socket.socket, address: str) -> bool:
    """Whether a connection to that address of this machine comes there."""
    try:
        with closing(socket.create_connection((address, listening.getsockname()[1]), 5)):
            return True
    except ConnectionRefusedError:
        return False


@pytest.mark.parametrize(
    ("interface", "addresses"),
    [
        ("", {"127.0.0.1", "::1"}),
        ("::", {"127.0.0.1", "::1"}),
        ("0.0.0.0", {"127.0.0.1"}),
        ("::1", {"::1"}),
        ("127.0.0.1", {"127.0.0.1"}),
    ],
)
def test_addresses(interface: str, addresses: set[str]) -> None:
    """All addresses are those of both kinds."""
    with closing(bind(0, interface=interface)) as listening:
        there = {address for address in ("127.0.0.1", "::1") if reached(listening, address)}
    assert there == addresses


def test_a_port_that_is_taken() -> None:
    """The text says so."""
    with closing(bind(0)) as first, pytest.raises(ListenError, match=r"port \d+ is taken"):
        bind(first.getsockname()[1])
