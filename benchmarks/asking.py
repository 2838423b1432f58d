"""Small requests one after another, to several servers in turn: how long each answer took."""

from __future__ import annotations

import http.client
import statistics
import sys
import time
from collections.abc import Iterable, Mapping

Times = dict[str, list[float]]
"""Milliseconds of each answer, by the name of the server."""


class Asker:
    """Asks one server, over one connection or a new one each time."""

    def __init__(self, port: int, *, keep: bool, accept: str) -> None:
        self.keep = keep
        self.headers = {"Accept": accept}
        if not keep:
            self.headers["Connection"] = "close"
        self.link = http.client.HTTPConnection("127.0.0.1", port)

    def ask(self, target: str) -> float:
        """Milliseconds to the end of the answer, with the connecting if it is a new one."""
        before = time.perf_counter()
        self.link.request("GET", target, headers=self.headers)
        answer = self.link.getresponse()
        body = answer.read()
        if not self.keep:
            self.link.close()
        spent = time.perf_counter() - before
        if answer.status != 200:
            sys.exit(f"{self.link.port} answers {answer.status} to {target}: {body[:200]!r}")
        return 1000 * spent


def ask_in_turn(
    ports: Mapping[str, int], targets: Iterable[str], *, keep: bool, accept: str = "*/*"
) -> Times:
    """Ask all servers for the first target, then all for the second, and so on.

    So that whatever else the machine does falls on all of them alike.
    """
    askers = {name: Asker(port, keep=keep, accept=accept) for name, port in ports.items()}
    times: Times = {name: [] for name in ports}
    for target in targets:
        for name, asker in askers.items():
            times[name].append(asker.ask(target))
    for asker in askers.values():
        asker.link.close()
    return times


def middle(times: list[float]) -> float:
    """The median."""
    return statistics.median(times)


def slowest(times: list[float]) -> float:
    """The 99th percentile."""
    return sorted(times)[int(len(times) * 0.99)]
