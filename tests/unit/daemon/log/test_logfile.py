"""The log in a file of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.logger import Logger, LogPublisher

from dragonfly.daemon.log.logfile import LogFile
from dragonfly.errors import ConfigError


def logged(path: Path, *, verbose: bool) -> str:
    """What stands there after two lines, one of them for debugging."""
    publisher = LogPublisher()
    log = Logger("dragonfly.x", observer=publisher)
    file = LogFile(str(path), verbose=verbose, publisher=publisher)
    file.privilegedStartService()
    file.startService()
    log.info("an info")
    log.debug("a detail")
    file.stopService()
    log.info("after the end")
    return path.read_text()


def test_lines_are_appended(tmp_path: Path) -> None:
    """What an earlier run wrote stays."""
    path = tmp_path / "log"
    path.write_text("earlier\n")
    text = logged(path, verbose=False)
    assert text.startswith("earlier\n")
    assert "an info" in text
    assert "detail" not in text
    assert "after" not in text


def test_verbose(tmp_path: Path) -> None:
    """Then everything is there."""
    assert "a detail" in logged(tmp_path / "log", verbose=True)


def test_without_a_file_there_is_none() -> None:
    """The default."""
    file = LogFile(None, verbose=False)
    file.startService()
    file.stopService()


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """Before anything else starts."""
    with pytest.raises(ConfigError, match=r"logConfig path .*absent") as raised:
        LogFile(str(tmp_path / "absent" / "log"), verbose=False).privilegedStartService()
    assert isinstance(raised.value, SystemExit)  # ends twistd with that text, not a traceback
    assert raised.value.code == str(raised.value)
