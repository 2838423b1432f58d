"""The exit code and the last line: what scripts go by."""

from __future__ import annotations

import os
import sys

import pytest

from dragonfly.dfget.cli import _say
from dragonfly.dfget.report import exit_code, failure_line, failure_reason, success_line
from dragonfly.errors import ConfigError, DiskFull, DownloadFailed, OutputError, PeerGone


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("x"), 2),
        (OutputError("x"), 3),
        (DownloadFailed("x", kind="DiskFull"), 3),
        (DownloadFailed("x", kind="OriginUnreachable"), 4),
        (DownloadFailed("x", kind="OriginUntrusted"), 5),
        (DownloadFailed("x", kind="TrustError"), 5),
        (DownloadFailed("x", kind="OriginRefused", status=401), 6),
        (DownloadFailed("x", kind="OriginRefused", status=404), 8),
        (DownloadFailed("x", kind="DigestMismatch"), 9),
        (DownloadFailed("x", kind="FromTheFuture"), 1),
        (PeerGone("x"), 1),
    ],
)
def test_exit_codes(error: Exception, code: int) -> None:
    """As ``dfget --help`` lists them."""
    assert exit_code(error) == code


def test_the_last_line() -> None:
    """In version 1's form, on one line whatever the error says."""
    assert success_line(1.2341, 5, 0) == "download SUCCESS cost:1.234s length:5 reason:0"
    line = failure_line(4, 0.5, 7, 8, "one\n two")
    assert line == "download FAIL(4) cost:0.500s length:7 reason:8 error:one two"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (DiskFull("x"), 4),
        (DownloadFailed("x", kind="DiskFull", reason=3), 4),
        (OutputError("x"), 6),
        (DownloadFailed("x", kind="NoSources", reason=8), 8),
        (ConfigError("x"), 0),
    ],
)
def test_reasons(error: Exception, reason: int) -> None:
    """Version 1's numbers, as far as they say why the origin was read or what is full."""
    assert failure_reason(error) == reason


def test_nobody_need_read_the_last_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """``dfget URL | head -1``: what is printed goes nowhere, now and when Python ends."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        _say("done", None)
        stream.write("more")
