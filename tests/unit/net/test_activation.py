"""Sockets that are handed in: under which names, and what is no use."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from dragonfly.errors import ConfigError
from dragonfly.net.activation import environment_at_start, inherited

NAMES = ("front", "status", "peer")


class Handed:
    """Listening sockets whose numbers follow each other."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            probe.listen()
            # Behind all that are open: a number that somebody else has would be taken from him.
            self.first = max(int(number) for number in os.listdir("/proc/self/fd")) + 1
            for number in range(self.first, self.first + 3):
                os.dup2(probe.fileno(), number)

    def take(self, pid: int = 1, **environment: str) -> dict[str, socket.socket]:
        """As a process with number 1."""
        return inherited(environment, NAMES, pid=pid, first=self.first)

    def close(self) -> None:
        """Those that are left."""
        os.closerange(self.first, self.first + 3)


@pytest.fixture
def handed() -> Iterator[Handed]:
    """Three of them."""
    found = Handed()
    yield found
    found.close()


def numbers(found: dict[str, socket.socket]) -> dict[str, int]:
    """Take only the numbers, from sockets that are not to be closed twice."""
    return {name: sock.detach() for name, sock in found.items()}


def test_by_name(handed: Handed) -> None:
    """In whatever order."""
    found = handed.take(LISTEN_PID="1", LISTEN_FDS="2", LISTEN_FDNAMES="peer:front")
    assert not any(sock.getblocking() or sock.get_inheritable() for sock in found.values())
    assert numbers(found) == {"peer": handed.first, "front": handed.first + 1}


@pytest.mark.parametrize("names", ["", "x.socket:x.socket", "unknown:unknown"])
def test_in_order(handed: Handed, names: str) -> None:
    """Without names, or with those that systemd makes up."""
    found = handed.take(LISTEN_PID="1", LISTEN_FDS="2", LISTEN_FDNAMES=names)
    assert numbers(found) == {"front": handed.first, "status": handed.first + 1}


def test_none() -> None:
    """Usually; and what is meant for another process is left alone."""
    assert inherited({}, NAMES, pid=1) == {}
    meant = {"LISTEN_PID": "2", "LISTEN_FDS": "1"}
    assert inherited(meant, NAMES, pid=1) == {}


@pytest.mark.parametrize(
    ("count", "names", "words"),
    [
        ("x", "", "'x' is not a number"),
        ("99", "", "'99' is not a number from 0 to 16"),
        ("4", "", "4 sockets without names, 3 have a use"),
        ("2", "front", "1 names for 2 sockets"),
        ("2", "front:other", "'other' is none of front, status, peer"),
        ("2", "front:front", "one socket for each name"),
    ],
)
def test_what_does_not_fit(count: str, names: str, words: str) -> None:
    """Said in words."""
    environment = {"LISTEN_PID": "1", "LISTEN_FDS": count, "LISTEN_FDNAMES": names}
    with pytest.raises(ConfigError, match=words):
        inherited(environment, NAMES, pid=1)


def test_what_is_no_socket(tmp_path: Path) -> None:
    """Or none that is listened on."""
    environment = {"LISTEN_PID": "1", "LISTEN_FDS": "1"}
    words = r"front, cannot be used: .*non-socket"
    with (tmp_path / "file").open("w") as file, pytest.raises(ConfigError, match=words):
        inherited(environment, NAMES, pid=1, first=file.fileno())
    for sock in (socket.socket(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)):
        with sock, pytest.raises(ConfigError, match="no TCP socket that is listened on"):
            inherited(environment, NAMES, pid=1, first=sock.fileno())


def test_the_environment_at_the_start(tmp_path: Path) -> None:
    """Whatever was removed from it since."""
    path = tmp_path / "environ"
    path.write_bytes(b"A=1\0B=x=y\0odd\0C=\xff\0")
    assert environment_at_start(str(path)) == {"A": "1", "B": "x=y", "C": "\udcff"}
    assert environment_at_start(str(tmp_path / "absent")) == {}
    assert "PATH" in environment_at_start()
