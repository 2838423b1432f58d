"""Texts of the kernel."""

from __future__ import annotations

import json

import pytest
from labrig.counters import Cpu, Sent, parse_cpu, parse_links, parse_memory_mib, parse_qdiscs

STAT = "cpu  100 5 50 800 20 3 2 20 7 0\ncpu0 1 2 3\nintr 5\n"


def test_cpu_ticks_are_read_without_guests() -> None:
    """Guest time is in user time already."""
    assert parse_cpu(STAT) == Cpu(total=1000, idle=820, stolen=20)


def test_busy_is_what_was_not_idle() -> None:
    """Between two looks, not since boot."""
    earlier, later = Cpu(1000, 820, 20), Cpu(1200, 920, 30)
    assert later.busy_since(earlier) == pytest.approx(0.5)
    assert later.stolen_since(earlier) == pytest.approx(0.05)


def test_no_time_is_not_busy() -> None:
    """Two looks may fall into one tick."""
    assert Cpu(5, 1, 0).busy_since(Cpu(5, 1, 0)) == 0.0
    assert Cpu(5, 1, 0).stolen_since(Cpu(5, 1, 0)) == 0.0


def test_available_memory_is_read() -> None:
    """In MiB; nothing known is nothing there."""
    assert parse_memory_mib("MemTotal: 9 kB\nMemAvailable:  2048 kB\n") == 2.0
    assert parse_memory_mib("MemTotal: 9 kB\n") == 0.0


def test_shaped_queues_are_found_by_device() -> None:
    """Only the root counts: what passes it is the whole link."""
    text = json.dumps(
        [
            {"kind": "noqueue", "dev": "lo", "root": True, "bytes": 9, "drops": 9},
            {"kind": "tbf", "dev": "eth0", "root": True, "bytes": 70, "drops": 3},
            {"kind": "tbf", "dev": "eth0", "parent": "1:", "bytes": 1, "drops": 1},
        ]
    )
    assert parse_qdiscs(text) == {"eth0": Sent(70, 3)}


def test_counters_are_subtracted() -> None:
    """They count since the link was made."""
    assert Sent(70, 3) - Sent(50, 1) == Sent(20, 2)


def test_ports_of_the_bridge_are_found() -> None:
    """The namespace has other links, and iproute2 prints empty objects."""
    stats = {"rx": {"bytes": 5}, "tx": {"bytes": 7}}
    text = json.dumps(
        [
            {"ifname": "lo", "stats64": stats},
            {"ifname": "h1", "master": "br0", "stats64": stats},
            {},
        ]
    )
    assert parse_links(text) == {"h1": (5, 7)}
