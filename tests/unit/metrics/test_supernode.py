"""The numbers of a supernode: names that dashboards know, labels that stay few."""

from __future__ import annotations

from dragonfly.metrics import CALLSYSTEMS_MAX, BuildInfo, SupernodeMetrics

_V1_NAMES = (
    "build_info",
    "http_requests_total",
    "http_request_duration_seconds",
    "http_request_size_bytes",
    "http_response_size_bytes",
    "peers",
    "tasks",
    "tasks_registered_total",
    "dfgettasks",
    "dfgettasks_registered_total",
    "dfgettasks_failed_total",
    "schedule_duration_milliseconds",
    "cdn_trigger_total",
    "cdn_trigger_failed_total",
    "cdn_cache_hit_total",
    "cdn_download_total",
    "cdn_download_failed_total",
    "pieces_downloaded_size_bytes_total",
    "gc_peers_total",
    "gc_tasks_total",
)


def _metrics() -> SupernodeMetrics:
    return SupernodeMetrics(BuildInfo(version="1.2", python="3.11", arch="x86_64", os="linux"))


def test_the_names_are_those_of_v1() -> None:
    """Dashboards of v1 must go on working."""
    text = _metrics().text().decode()
    for name in _V1_NAMES:
        assert f"# TYPE dragonfly_supernode_{name} " in text


def test_build_info_tells_what_runs() -> None:
    """One line, value 1, everything in labels."""
    line = next(
        line
        for line in _metrics().text().decode().splitlines()
        if line.startswith("dragonfly_supernode_build_info{")
    )
    for part in ('version="1.2"', 'goversion="3.11"', 'arch="x86_64"', 'os="linux"'):
        assert part in line
    assert line.endswith(" 1.0")


def test_two_supernodes_count_apart() -> None:
    """Nothing is global, or tests and embedders would see each other's numbers."""
    first, second = _metrics(), _metrics()
    first.cdn_download.inc()
    assert b"dragonfly_supernode_cdn_download_total 1.0" in first.text()
    assert b"dragonfly_supernode_cdn_download_total 0.0" in second.text()


def test_callers_cannot_make_endless_series() -> None:
    """The label comes from the network: bounded in number, length and form."""
    metrics = _metrics()
    names = {metrics.callsystem(f"system-{i}") for i in range(10 * CALLSYSTEMS_MAX)}
    assert len(names) == CALLSYSTEMS_MAX + 1
    assert "other" in names
    assert metrics.callsystem("system-1") == "system-1"


def test_a_strange_caller_is_other_and_a_silent_one_unknown() -> None:
    """Label values go into text that people and programs read."""
    metrics = _metrics()
    assert metrics.callsystem('x"\n') == "other"
    assert metrics.callsystem("") == "unknown"
    assert metrics.callsystem("a" * 1000) == "a" * 64
