"""The figures of all rounds of dfdaemon's benchmark, and their tables."""

from __future__ import annotations

import statistics
from collections import defaultdict

from asking import Times, middle, slowest
from rounds import Sample

Figures = dict[tuple[str, str], list[float]]


class Results:
    """All figures of all rounds."""

    def __init__(self, gib: float) -> None:
        self.gib = gib
        self.samples: dict[str, list[Sample]] = defaultdict(list)
        self.small: dict[str, Figures] = defaultdict(lambda: defaultdict(list))
        self.shares: list[float] = []
        self.memory: dict[str, list[float]] = defaultdict(list)

    def add_times(self, what: str, times: Times) -> None:
        """Keep the median and the 99th percentile of a round."""
        for name, values in times.items():
            self.small[name][what, "p50"].append(middle(values))
            self.small[name][what, "p99"].append(slowest(values))

    def show(self) -> None:
        """Print all tables."""
        self._layers()
        shares = spread([100 * share for share in self.shares], 0)
        print(f"\nPart of it that the other host sent, in percent: {shares}")
        kinds = ["manifest, keep-alive", "manifest, new connection"]
        self._small(kinds)
        self._small(["blob, first time", "blob, again"])
        rows = [[name, spread(values, 0)] for name, values in self.memory.items()]
        show_table(["process", "peak MiB"], rows)

    def _layers(self) -> None:
        cached = self._seconds("nginx, from its cache")
        rows = []
        for what, samples in self.samples.items():
            cpu = {
                name: statistics.median(sample.cpu[name] for sample in samples) / self.gib
                for name in samples[0].cpu
            }
            used = ", ".join(f"{name} {value:.2f}" for name, value in cpu.items() if value >= 0.02)
            seconds = spread([sample.seconds for sample in samples], 2)
            ratio = f"{self._seconds(what) / cached:.2f}"
            rows.append([what, seconds, ratio, f"{sum(cpu.values()):.2f}", used])
        show_table(["what", "s", "x nginx's cache", "CPU s/GiB", "of it"], rows)

    def _seconds(self, what: str) -> float:
        return statistics.median(sample.seconds for sample in self.samples[what])

    def _small(self, kinds: list[str]) -> None:
        columns = [(kind, figure) for kind in kinds for figure in ("p50", "p99")]
        head = ["ms"] + [f"{kind}: {figure}" for kind, figure in columns]
        rows = [
            [name] + [spread(figures[column], 2) for column in columns]
            for name, figures in self.small.items()
        ]
        show_table(head, rows)


def spread(values: list[float], places: int) -> str:
    """Least, median and most."""
    three = (min(values), statistics.median(values), max(values))
    return " / ".join(f"{value:.{places}f}" for value in three)


def show_table(head: list[str], rows: list[list[str]]) -> None:
    """Print a table in reStructuredText."""
    print("\n.. list-table::\n   :header-rows: 1\n")
    for row in [head, *rows]:
        for number, cell in enumerate(row):
            print("   *" if number == 0 else "    ", "-", cell)
