"""Figures of a run."""

from __future__ import annotations

import math
from typing import Any

import pytest
from labrig.bound import GOODPUT
from labrig.figures import GIB, HostFigures, Run, copies, merged, percentile, steps


def host(name: str, seconds: float | None, **more: Any) -> HostFigures:
    """One host's figures."""
    values = {"role": "full", "counted": True, "starts_s": 0.0, **more}
    return HostFigures(name=name, seconds=seconds, **values)


def run(*hosts: HostFigures, **more: Any) -> Run:
    """A run with these hosts."""
    values: dict[str, Any] = {
        "adapter": "ours",
        "number": 1,
        "size": GIB,
        "bound_s": 10.0,
        "origin_bytes": 0,
        "cdn_bytes": 0,
        "dropped": 0,
        "cpu_s": {"peers": 8.0, "seed": 2.0},
        "peak_mib": {},
        "machine_cpu": 0.5,
        "busiest": 0.6,
        "stolen": 0.0,
        "driver_cpu_s": 0.1,
    }
    return Run(hosts=hosts, **{**values, **more})


@pytest.mark.parametrize(
    ("share", "value"), [(0.5, 2), (0.99, 4), (1.0, 4), (0.25, 1), (0.26, 2), (0.0, 1)]
)
def test_percentiles_are_values_that_were_measured(share: float, value: int) -> None:
    """Nothing is interpolated between hosts."""
    assert percentile([4, 2, 3, 1], share) == value


def test_a_copy_in_full_segments_is_one() -> None:
    """Headers are no copies."""
    assert copies(round(GIB / GOODPUT), GIB) == pytest.approx(1.0)


def test_steps_end_at_all() -> None:
    """In the order of time, whatever the order of hosts."""
    assert steps([3.0, 1.0]) == [(1.0, 0.5), (3.0, 1.0)]


def test_progress_of_all_is_merged() -> None:
    """A host that has not said anything has nothing."""
    points = merged([[(0.1, 50), (0.4, 100)], [(0.5, 100)], []], 100, step_s=0.25)
    assert points == [(0.0, 0.0), (0.25, 50 / 300), (0.5, 200 / 300)]


def test_nobody_counts_twice_what_came_twice() -> None:
    """Duplicates are no progress."""
    assert merged([[(0.0, 150)]], 100) == [(0.0, 1.0)]


def test_no_progress_is_no_share() -> None:
    """One point, at the start."""
    assert merged([[]], 100) == [(0.0, 0.0)]


def test_makespan_counts_from_the_first_start() -> None:
    """Hosts' own seconds count from their own; who is not waited for does not count."""
    done = run(host("a", 12.0), host("b", 3.0, starts_s=10.0), host("c", 99.0, counted=False))
    assert done.makespan_s == 13.0
    assert done.ratio == pytest.approx(1.3)
    assert done.finished == [12.0, 3.0]
    assert done.cpu_per_gib == pytest.approx(5.0)


def test_who_is_not_done_is_named() -> None:
    """And makes no figures of its own."""
    done = run(host("a", None), host("b", None, counted=False))
    assert [each.name for each in done.failed] == ["a"]
    assert math.isnan(done.makespan_s)
    assert done.summary()["unfinished"] == ["a"]
    assert done.summary()["p50_s"] is None


def test_the_last_of_a_role_is_found() -> None:
    """Slow hosts are told apart."""
    done = run(host("a", 12.0), host("b", 40.0, role="slow"))
    assert (done.last("full"), done.last("slow"), done.last("lying")) == (12.0, 40.0, None)
