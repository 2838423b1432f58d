"""What the next process of the same kind is run with."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from dragonfly.errors import ConfigError
from dragonfly.taps.commandline import next_command, next_twistd_command


def test_the_same_with_takeover() -> None:
    """The interpreter by its path, with its options; the program by the one it had."""
    whole = ["python3", "-X", "dev", "/opt/v/bin/dfdaemon", "--port", "1"]
    expected = ["/opt/v/bin/python", *whole[1:], "--takeover"]
    assert next_command("/opt/v/bin/python", whole, whole[3:]) == expected


def test_takeover_is_said_once() -> None:
    """The next one's next one."""
    whole = ["python3", "dfdaemon", "--takeover", "--port", "1"]
    assert next_command("", whole, whole[1:]) == whole


@pytest.mark.parametrize(
    "words",
    [["--nodaemon", "--pidfile="], ["-n", "--pidfile", ""], ["-no", "--pidfile=", "--uid", "1"]],
)
def test_twistd_in_the_foreground(words: Sequence[str]) -> None:
    """As a service manager starts it."""
    argv = ["/v/bin/twistd", *words, "dfdaemon", "--port", "1"]
    whole = ["/v/bin/python", *argv]
    assert next_twistd_command("/v/bin/python", whole, argv) == [*whole, "--takeover"]


@pytest.mark.parametrize(
    "words",
    [
        ["twistd", "dfdaemon"],
        ["twistd", "-n", "dfdaemon"],
        ["twistd", "--pidfile=", "dfdaemon"],
        ["twistd", "-l/var/n", "--pidfile=", "dfdaemon"],
        ["twistd", "-n", "--pidfile", "/run/d.pid", "dfdaemon", "--pidfile="],
        ["pytest", "-n", "--pidfile="],
    ],
)
def test_others(words: Sequence[str]) -> None:
    """Their pid file would be wrong; another one does not start beside it."""
    with pytest.raises(ConfigError, match="--nodaemon --pidfile="):
        next_twistd_command("/v/bin/python", ["/v/bin/python", *words], words)
