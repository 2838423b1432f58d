"""SIGHUP to a real supernode: the cap on reading origins changes, nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

TWISTD = Path(sys.executable).with_name("twistd")


def wait_for(ready: Callable[[], bool], what: str) -> None:
    """Poll, but not for ever."""
    deadline = time.monotonic() + 60
    while not ready():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def test_a_supernode_takes_over_another_rate(tmp_path: Path) -> None:
    """It says so; a file that is wrong leaves it as it is."""
    config, home, log = tmp_path / "supernode.yml", tmp_path / "home", tmp_path / "log"
    home.mkdir()
    config.write_text("base: {maxBandwidth: 2M}\n")
    command = ["-n", "--pidfile=", "supernode", "--config", str(config), "--home-dir", str(home)]
    with log.open("wb") as out:
        child = subprocess.Popen(
            [str(TWISTD), *command, "--port", "0", "--download-port", "0"],
            stdout=out,
            stderr=out,
            cwd=tmp_path,
            env=dict(os.environ),
        )
    try:
        wait_for((home / "ports.json").exists, "it does not start")
        for text, said in (
            ("base: {maxBandwidth: 3M, systemReservedBandwidth: 1M}\n", "2097152 bytes per second"),
            ("base: {maxBandwidth: wrong}\n", "nothing is changed"),
            ("base: {peerUpLimit: 3}\n", "not before a restart: up_limit"),
        ):
            config.write_text(text)
            child.send_signal(signal.SIGHUP)
            wait_for(lambda said=said: said in log.read_text(), said)
        assert child.poll() is None
    finally:
        child.terminate()
        child.wait()
