"""What is told of the runs: a table, JSON, and a plot."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from labrig.figures import Run, copies, percentile, steps
from labrig.scenario import Scenario
from labrig.svg import COLOURS, Chart, Line
from labrig.table import grid, list_table

__all__ = ["HEAD", "Report", "row"]

HEAD = (
    "what",
    "s",
    "ratio",
    "p50 s",
    "p99 s",
    "origin copies",
    "CDN copies",
    "CPU s/GiB",
    "machine CPU",
    "peak MiB",
    "drops",
)


def row(run: Run) -> list[str]:
    """One run as a row under :data:`HEAD`."""
    done = run.finished
    return [
        f"{run.adapter} {run.number}",
        f"{run.makespan_s:.2f}",
        f"{run.ratio:.3f}",
        f"{percentile(done, 0.5):.2f}" if done else "-",
        f"{percentile(done, 0.99):.2f}" if done else "-",
        f"{copies(run.origin_bytes, run.size):.2f}",
        f"{copies(run.cdn_bytes, run.size):.2f}",
        f"{run.cpu_per_gib:.1f}",
        f"{run.machine_cpu:.0%}",
        ", ".join(f"{name} {mib:.0f}" for name, mib in run.peak_mib.items() if name != "origin"),
        str(run.dropped),
    ]


@attrs.define(kw_only=True)
class Report:
    """All runs of one scenario.

    :ivar conditions: machine, date, links, settings: whatever a reader needs besides.
    :ivar refused: runs that are not reported, and why.
    :ivar computed: (what, seconds) of what was not run.
    """

    scenario: Scenario
    conditions: dict[str, Any]
    runs: list[Run] = attrs.field(factory=list)
    refused: list[str] = attrs.field(factory=list)
    computed: list[tuple[str, float]] = attrs.field(factory=list)

    @property
    def rows(self) -> list[list[str]]:
        """The rows of the table."""
        bound_s = self.runs[0].bound_s if self.runs else None
        computed = [
            [what, f"{seconds:.2f}", f"{seconds / bound_s:.3f}" if bound_s else "-"]
            + ["-"] * (len(HEAD) - 3)
            for what, seconds in self.computed
        ]
        return [*computed, *map(row, self.runs)]

    def text(self) -> str:
        """For the terminal."""
        lines = [grid(HEAD, self.rows)] if self.runs else []
        lines += [_slow(run) for run in self.runs if run.last("slow")]
        lines += [_trouble(run) for run in self.runs if _trouble(run)]
        return "\n".join([*lines, *self.refused])

    def save(self, directory: Path) -> None:
        """Write ``result.json``, ``table.rst`` and ``curves.svg``."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "table.rst").write_text(list_table(HEAD, self.rows))
        (directory / "curves.svg").write_text(self.chart().render())
        (directory / "result.json").write_text(json.dumps(self.data(), indent=1) + "\n")

    def data(self) -> Mapping[str, Any]:
        """Everything."""
        return {
            "scenario": attrs.asdict(self.scenario),
            "conditions": self.conditions,
            "computed": dict(self.computed),
            "refused": self.refused,
            "runs": [{"summary": run.summary(), **attrs.asdict(run)} for run in self.runs],
        }

    def chart(self) -> Chart:
        """Hosts that are done, and thinner what all have together, beside the bound."""
        names = list(dict.fromkeys(run.adapter for run in self.runs))
        lines: list[Line] = []
        for run in self.runs:
            colour = COLOURS[names.index(run.adapter) % len(COLOURS)]
            lines += _curves(run, colour, labelled=run.adapter not in _labels(lines))
        if self.runs:
            bound_s = self.runs[0].bound_s
            points = [(bound_s, 0.0), (bound_s, 1.0)]
            lines.append(Line(points=points, colour="black", label="bound", dashes="5 4"))
        return Chart(
            title=f"{self.scenario.name}: hosts that are done (thin: bytes delivered)",
            lines=lines,
        )


def _labels(lines: Sequence[Line]) -> set[str]:
    return {line.label for line in lines}


def _curves(run: Run, colour: str, *, labelled: bool) -> list[Line]:
    ends = [
        each.starts_s + each.seconds
        for each in run.hosts
        if each.counted and each.seconds is not None
    ]
    return [
        Line(points=run.progress, colour=colour, width=1.0),
        Line(
            points=steps(ends),
            colour=colour,
            staircase=True,
            label=run.adapter if labelled else "",
        ),
    ]


def _slow(run: Run) -> str:
    full, slow = run.last("full"), run.last("slow")
    return f"{run.adapter} {run.number}: last with the full rate {full:.2f} s, slow {slow:.2f} s"


def _trouble(run: Run) -> str:
    """Who is not done, or says something, and how the liar fared."""
    told = []
    for each in run.hosts:
        if each.error and (each.counted or each.role == "lying"):
            told.append(f"{each.name} ({each.role}): {each.error}")
        told += [f"{each.name}: {text}" for text in each.extra.get("notices", ())]
    return "\n".join(f"{run.adapter} {run.number}, {line}" for line in told)
