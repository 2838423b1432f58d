"""The numbers of a dfdaemon."""

from __future__ import annotations

from dragonfly.metrics import BuildInfo, DaemonMetrics


def test_build_info_has_the_name_of_v1() -> None:
    """Dashboards join on it."""
    build = BuildInfo(version="1.2", python="3.11", arch="x86_64", os="linux")
    text = DaemonMetrics(build).text().decode()
    line = next(each for each in text.splitlines() if each.startswith("dragonfly_dfdaemon_build"))
    for part in ('version="1.2"', 'goversion="3.11"', 'arch="x86_64"', 'os="linux"'):
        assert part in line


def test_all_sources_are_there_from_the_start() -> None:
    """A rate over a counter that appears later misses its first value."""
    text = DaemonMetrics(BuildInfo(version="1")).text().decode()
    for source in ("cache", "peers", "cdn", "registry"):
        assert f'dragonfly_dfdaemon_bytes_total{{source="{source}"}} 0.0' in text


def test_two_daemons_count_apart() -> None:
    """Nothing is global."""
    first, second = (DaemonMetrics(BuildInfo(version="1")) for _ in range(2))
    first.uploaded_bytes.inc(5)
    assert b"dragonfly_dfdaemon_uploaded_bytes_total 5.0" in first.text()
    assert b"dragonfly_dfdaemon_uploaded_bytes_total 0.0" in second.text()


def test_what_version_shows() -> None:
    """v1's names; what is empty is left out."""
    assert BuildInfo(version="1", os="linux").names() == {"Version": "1", "OS": "linux"}
