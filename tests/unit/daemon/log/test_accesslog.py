"""The access log: one line that nobody can break, and numbers with few labels."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from twisted.logger import LogLevel, globalLogPublisher

from dragonfly.daemon.log.accesslog import TEXT_CHARS, AccessLog, line_of, reason_of
from dragonfly.daemon.log.note import Note
from dragonfly.metrics import BuildInfo, DaemonMetrics


def note(**fields: object) -> Note:
    """A request for a layer."""
    usual = {"method": "GET", "target": "/v2/a/blobs/sha256:ab", "client": "127.0.0.1"}
    return Note(**{**usual, **fields})  # type: ignore[arg-type]


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """What is logged, at info level."""
    seen: list[str] = []

    def observe(event: dict[str, object]) -> None:
        if event.get("log_namespace") == "dragonfly.access":
            assert event["log_level"] is LogLevel.info
            seen.append(str(event["line"]))

    globalLogPublisher.addObserver(observe)  # type: ignore[arg-type]
    yield seen
    globalLogPublisher.removeObserver(observe)  # type: ignore[arg-type]


@pytest.fixture
def metrics() -> DaemonMetrics:
    """Numbers of their own."""
    return DaemonMetrics(BuildInfo(version="1"))


def value(metrics: DaemonMetrics, name: str, **labels: str) -> float | None:
    """A number as a scraper sees it."""
    return metrics.registry.get_sample_value(f"dragonfly_dfdaemon_{name}", labels)


def test_a_line_says_where_the_bytes_came_from() -> None:
    """All fields, in an order that scripts can rely on."""
    whole = note(
        status=200,
        sent=1048576,
        seconds=0.1234,
        route="swarm",
        task="1f3a",
        registry="https://r.example",
        why="no supernode is configured",
        sources={"cache": 0, "peers": 1000000, "cdn": 48576, "registry": 0},
    )
    assert line_of(whole) == (
        "GET /v2/a/blobs/sha256:ab 200 1048576 B in 0.123 s "
        "from cache=0 peers=1000000 cdn=48576 registry=0 route=swarm task=1f3a "
        'client=127.0.0.1 registry=https://r.example ending=done why="no supernode is configured"'
    )


def test_what_is_not_known_is_left_out() -> None:
    """A request that was refused has neither task nor registry."""
    line = line_of(note(status=400, client=""))
    assert "task=" not in line
    assert "client=" not in line
    assert "why=" not in line


def test_no_query_is_logged() -> None:
    """It may hold a signature."""
    assert "secret" not in line_of(note(target="/v2/a?token=secret"))


@pytest.mark.parametrize("evil", ["/a\r\nGET /b 200", "/a b", "/\x1b[31m", "/\udc80", "/é"])
def test_nobody_can_write_lines_or_fields(evil: str) -> None:
    """Control characters, spaces and what is not ASCII are escaped."""
    line = line_of(note(target=evil, method="G\nT"))
    assert line.isascii()
    assert line.isprintable()
    assert len(line.split(" from ")[0].split()) == 8
    assert "\\x" in line


def test_a_reason_cannot_end_early() -> None:
    """Quotes in it become others."""
    line = line_of(note(why='the "registry" said\nno'))
    assert line.endswith("why=\"the 'registry' said\\x0ano\"")


def test_a_long_target_is_cut() -> None:
    """A line is for people."""
    assert len(line_of(note(target="/" + "a" * 10_000))) < TEXT_CHARS + 200


def test_each_request_is_one_line(lines: list[str], metrics: DaemonMetrics) -> None:
    """At the level that is shown without --verbose."""
    log = AccessLog(metrics)
    log(note(status=200))
    log(note(status=404))
    assert [line.split()[2] for line in lines] == ["200", "404"]


def test_a_request_is_counted(lines: list[str], metrics: DaemonMetrics) -> None:
    """By class of status, by route, by source."""
    log = AccessLog(metrics)
    sources = {"cache": 0, "peers": 7, "cdn": 0, "registry": 3}
    log(note(status=206, route="swarm", sources=sources, seconds=0.3, why="nothing came for 20 s"))
    log(note(status=0, ending="gone", trial=True))
    assert value(metrics, "http_requests_total", code="2xx", route="swarm") == 1
    assert value(metrics, "http_requests_total", code="none", route="direct") == 1
    assert value(metrics, "trial_requests_total") == 1
    assert value(metrics, "bytes_total", source="peers") == 7
    assert value(metrics, "bytes_total", source="registry") == 3
    assert value(metrics, "bytes_total", source="cache") == 0
    assert value(metrics, "fallbacks_total", reason="silence") == 1
    assert value(metrics, "http_endings_total", ending="gone") == 1
    assert value(metrics, "http_request_duration_seconds_sum", route="swarm") == 0.3


@pytest.mark.parametrize(
    ("fields", "counted"),
    [
        ({"status": 200, "route": "direct", "why": "no supernode is configured"}, True),
        ({"status": 200, "route": "swarm", "why": "no peer", "ending": "aborted"}, True),
        ({"status": 401, "route": "direct", "why": "the registry's check: 401"}, False),
        ({"status": 502, "route": "direct", "why": "r.example: refused"}, False),
        ({"status": 200, "route": "direct", "why": "cut", "ending": "aborted"}, False),
        ({"status": 200, "route": "swarm"}, False),
    ],
)
def test_a_refusal_is_no_fall_back(
    metrics: DaemonMetrics, fields: dict[str, object], counted: bool
) -> None:
    """Operators watch the number for the health of the swarm."""
    AccessLog(metrics)(note(**fields))
    assert ("fallbacks_total{" in metrics.text().decode()) is counted


@pytest.mark.parametrize(
    ("why", "label"),
    [
        ("downloading from the origin: no supernode is configured", "supernode"),
        ("not shared: the origin says no-store", "not_shared"),
        ("/srv is full: 5 bytes wanted, 0 free", "disk"),
        ("nothing came for 10 s after 0 bytes", "silence"),
        ("the whole has another digest than sha256:ab", "digest"),
        ("the registry's check: https://r.example/x: the digest of sha256:ab: 401", "registry"),
        ("a conditional request, or one with a body", "request"),
        ("asked for on behalf of a swarm, which would wait for itself", "request"),
        ("something new", "other"),
    ],
)
def test_reasons_are_few(why: str, label: str) -> None:
    """Texts name tasks and hosts; labels must not."""
    assert reason_of(why) == label
