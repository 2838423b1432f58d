"""What the texts of flags mean, one by one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dragonfly.dfget import values
from dragonfly.errors import ConfigError


@pytest.mark.parametrize(
    ("read", "meant"),
    [
        (lambda: values.chosen_url("http://a/b", None), "http://a/b"),
        (lambda: values.chosen_url(None, "HTTPS://a?b"), "HTTPS://a?b"),
        (lambda: values.chosen_url("http://a", "http://a"), "http://a"),
        (lambda: values.chosen_digest(None, None, "i"), None),
        (lambda: values.chosen_digest("A" * 32, None, ""), "md5:" + "a" * 32),
        (lambda: values.header("A:\tb "), ("A", "b")),
        (lambda: values.header("A:"), ("A", "")),
        (lambda: values.nodes(["a, b:8002", "[::1]:8002=2"]), ["a", "b:8002", "[::1]:8002=2"]),
        (lambda: values.address(""), ""),
        (lambda: values.address("[::1]"), "::1"),
        (lambda: values.number("--f", "07", 0, 7), 7),
        (lambda: values.positive_time("1m30s", "--f"), 90.0),
        (lambda: values.optional(values.count, "--f", None), None),
        (lambda: values.optional(values.count, "--f", "1000"), 1000),
    ],
)
def test_meant(read: Callable[[], object], meant: object) -> None:
    """What is right is taken as it is, but for its spelling."""
    assert read() == meant


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (lambda: values.chosen_url(None, None), "which URL"),
        (lambda: values.chosen_url("http://a", "http://b"), "two URLs"),
        (lambda: values.chosen_url("ftp://a", None), "must begin with http"),
        (lambda: values.chosen_digest("a", "b", ""), "give one of them"),
        (lambda: values.chosen_digest(None, "md5:" + "a" * 32, "i"), "cannot go with --digest"),
        (lambda: values.chosen_digest("a", None, ""), "--md5: "),
        (lambda: values.header("no colon"), "'no colon' is not the beginning"),
        (lambda: values.nodes(["a:b:c"]), "--node: "),
        (lambda: values.address("a"), "--ip: 'a'"),
        (lambda: values.number("--f", "8", 0, 7), "--f: '8' is not a number from 0 to 7"),
        (lambda: values.number("--f", "\u0667", 0, 7), "--f: "),
        (lambda: values.positive_time("0", "--f"), "leaves no time"),
    ],
)
def test_refused(read: Callable[[], object], said: str) -> None:
    """What is wrong is named."""
    with pytest.raises(ConfigError) as caught:
        read()
    assert said in str(caught.value)


def test_files_that_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They have an absolute path; a directory is none."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ca.pem").touch()
    assert values.readable("--f", None) is None
    assert values.readable("--f", "ca.pem") == str(tmp_path / "ca.pem")
    for path in ("missing", str(tmp_path)):
        with pytest.raises(ConfigError, match=f"--f: cannot read {path}"):
            values.readable("--f", path)
