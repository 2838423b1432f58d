"""The flags of ``twistd supernode``: each one reaches the configuration, or says what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.python.usage import UsageError

from dragonfly.config import SupernodeConfig
from dragonfly.taps.supernode import Options, makeService

EMPTY = "base: {}\n"


def parsed(tmp_path: Path, *flags: str, file: str = EMPTY) -> SupernodeConfig:
    """What ``twistd supernode`` makes of these flags, and of a file."""
    path = tmp_path / "supernode.yml"
    path.write_text(file)
    options = Options()
    options.parseOptions(["--config", str(path), *flags])
    return options.parsed


def test_defaults(tmp_path: Path) -> None:
    """Nothing need be said."""
    assert parsed(tmp_path) == SupernodeConfig()


def test_every_flag(tmp_path: Path) -> None:
    """Under the names of version 1, with its units."""
    given = parsed(
        tmp_path,
        *("--port", "9002", "--download-port", "9001", "--home-dir", "/srv/df"),
        *("--advertise-ip", "2001:db8::1", "--up-limit", "5", "--down-limit", "4"),
        *("--max-bandwidth", "200M", "--system-bandwidth", "20M"),
        *("--fail-access-interval", "3m", "--task-expire-time", "1m30s"),
        *("--peer-gc-delay", "500ms", "-D"),
    )
    assert given == SupernodeConfig(
        port=9002,
        download_port=9001,
        home_dir="/srv/df",
        advertise_ip="2001:db8::1",
        up_limit=5,
        down_limit=4,
        max_bandwidth=200 << 20,
        system_bandwidth=20 << 20,
        fail_access_interval_s=180.0,
        task_expire_time_s=90.0,
        peer_gc_delay_s=0.5,
        debug=True,
    )


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    """What is not said on the command line is read there."""
    file = "base: {listenPort: 1, downloadPort: 2}\n"
    given = parsed(tmp_path, "--port", "3", file=file)
    assert (given.port, given.download_port) == (3, 2)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--port", "x"], "--port"),
        (["--max-bandwidth", "20X"], "20X"),
        (["--no-such-flag"], "no-such-flag"),
        (["--config", "/no/such/file"], "/no/such/file"),
    ],
)
def test_what_is_wrong_is_said_at_once(tmp_path: Path, flags: list[str], said: str) -> None:
    """Before the process becomes a daemon."""
    with pytest.raises(UsageError, match=said):
        parsed(tmp_path, *flags)


def test_a_proxy_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    """The variable is named; nothing was begun."""
    options = Options()
    options.parsed = parsed(tmp_path)
    environment = {"https_proxy": "socks5://user:s3cret@proxy"}
    with pytest.raises(SystemExit, match=r"^supernode: HTTPS_PROXY: a socks5 proxy") as caught:
        makeService(options, reactor=object(), environment=environment)
    assert "s3cret" not in str(caught.value)
