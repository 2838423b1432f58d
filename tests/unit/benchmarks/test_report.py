"""Tables and plots."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from labrig.figures import HostFigures, Run
from labrig.report import HEAD, Report, row
from labrig.scenario import SCENARIOS
from labrig.svg import Chart, Line, ticks
from labrig.table import grid, list_table

MIB = 1 << 20


def run(adapter: str = "ours", **more: Any) -> Run:
    """A run with a liar and a slow host."""

    def host(name: str, seconds: float | None, **rest: Any) -> HostFigures:
        return HostFigures(name=name, starts_s=0.0, seconds=seconds, **rest)

    values: dict[str, Any] = {
        "adapter": adapter,
        "number": 1,
        "size": 64 * MIB,
        "bound_s": 10.0,
        "hosts": [
            host("h0", 11.0, role="full", counted=True),
            host("h1", 40.0, role="slow", counted=True, extra={"notices": ["hm"]}),
            host("h2", None, role="lying", counted=False, error="banned"),
        ],
        "origin_bytes": 0,
        "cdn_bytes": 64 * MIB,
        "dropped": 3,
        "cpu_s": {"peers": 1.0, "seed": 0.5},
        "peak_mib": {"peers": 57.4, "seed": 63.0, "origin": 5.0},
        "machine_cpu": 0.5,
        "busiest": 0.6,
        "stolen": 0.0,
        "driver_cpu_s": 0.1,
        "progress": [(0.0, 0.0), (40.0, 1.0)],
    }
    return Run(**{**values, **more})


def report(*runs: Run) -> Report:
    """A report of these runs."""
    return Report(
        scenario=SCENARIOS["small"],
        conditions={"machine": "m"},
        runs=list(runs),
        computed=[("native, computed", 70.0)],
    )


def test_a_grid_lines_up() -> None:
    """Numbers to the right, under each other."""
    lines = grid(("what", "s"), [("a & b", "1.0"), ("c", "10.0")]).splitlines()
    assert lines[1] == "| what  |    s |"
    assert lines[3] == "| a & b |  1.0 |"
    assert len({len(line) for line in lines}) == 1


def test_a_list_table_has_a_cell_for_each_column() -> None:
    """As the manual has it."""
    text = list_table(("what", "s"), [("a", "1")])
    assert text.splitlines()[-4:] == ["   * - what", "     - s", "   * - a", "     - 1"]


def test_a_row_fits_the_head() -> None:
    """Each cell under its heading; the origin's memory is nobody's concern."""
    cells = row(run())
    assert len(cells) == len(HEAD)
    assert cells[:3] == ["ours 1", "40.00", "4.000"]
    assert "origin" not in cells[HEAD.index("peak MiB")]


def test_a_row_of_failures_has_dashes() -> None:
    """There is no percentile of nothing."""
    nobody = [HostFigures(name="a", role="full", counted=True, starts_s=0.0, seconds=None)]
    assert "-" in row(run(hosts=nobody))


def test_the_text_tells_of_trouble_and_of_the_slow() -> None:
    """What a table cannot say."""
    text = report(run()).text()
    assert "native, computed" in text
    assert "last with the full rate 11.00 s, slow 40.00 s" in text
    assert "h2 (lying): banned" in text
    assert "h1: hm" in text


def test_nothing_but_refusals_is_no_table() -> None:
    """They are said all the same."""
    refused = Report(scenario=SCENARIOS["small"], conditions={}, refused=["not so"])
    assert refused.text() == "not so"


def test_all_files_are_written(tmp_path: Path) -> None:
    """Into a directory that is made; JSON and XML can be read again."""
    report(run(), run("native")).save(tmp_path / "deep")
    data = json.loads((tmp_path / "deep" / "result.json").read_text())
    assert data["runs"][0]["summary"]["makespan_s"] == 40.0
    assert (tmp_path / "deep" / "table.rst").read_text().startswith(".. list-table::")
    root = ET.parse(tmp_path / "deep" / "curves.svg").getroot()
    lines = root.findall("{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == 5


def test_each_adapter_has_one_place_in_the_legend() -> None:
    """However many runs it has."""
    labels = [line.label for line in report(run(), run(), run("native")).chart().lines]
    assert sorted(filter(None, labels)) == ["bound", "native", "ours"]


@pytest.mark.parametrize(
    ("most", "expected"),
    [(0, [0.0]), (1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]), (16, list(range(0, 17, 2))), (0.5, None)],
)
def test_ticks_are_round(most: float, expected: list[float] | None) -> None:
    """And not too many, and all within."""
    found = ticks(most)
    assert found == (expected if expected is not None else found)
    assert len(found) <= 11
    assert found[-1] <= most


def test_text_in_charts_is_escaped() -> None:
    """It is XML."""
    line = Line(points=[(0.0, 0.0), (1.0, 1.0)], colour="red", label="a < b", staircase=True)
    svg = Chart(title="x & y", lines=[line]).render()
    assert "a &lt; b" in svg
    assert "x &amp; y" in svg
    ET.fromstring(svg)


def test_an_empty_chart_is_a_chart() -> None:
    """All runs may have been refused."""
    ET.fromstring(Chart(title="nothing", lines=[]).render())
