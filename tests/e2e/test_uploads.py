"""What programs send goes through dfdaemon as it comes: whole, and kept nowhere on the way.

Engines that push images are in ``test_pushes.py``.
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from tests.e2e.rig.backpressure import held_up
from tests.e2e.rig.cells import DOWNLOADS, FULL, Cell
from tests.e2e.rig.deliveries import Deliveries
from tests.e2e.rig.downloaders import Errand
from tests.e2e.rig.files import MIB, random_file
from tests.e2e.rig.goods import Good
from tests.e2e.rig.page import Results
from tests.e2e.rig.senders import SENDERS
from tests.e2e.rig.town import Town, User

SMALL = 3 * MIB
MIDDLING = 48 * MIB
"""More than the kernel keeps on the way."""


class Desk:
    """Makes errands to the server, each with a file that nobody else has."""

    def __init__(self, town: Town, user: User) -> None:
        self.server = Deliveries(town.network, town.authority, town.sites)
        self._town = town
        self._user = user
        self._numbers = itertools.count(1)

    def good(self, size: int) -> Good:
        """A file to send."""
        name = f"sent{next(self._numbers)}"
        return Good(base="", name=name, path="", hex=random_file(self.file(name), size))

    def file(self, name: str) -> Path:
        """Where it is."""
        return self._town.scene.root / name

    def errand(self, good: Good, cell: Cell, what: str, *, around: bool = False) -> Errand:
        """By way of dfdaemon, or around it, so that one sees what happens natively.

        :param what: what it is about; if it begins with a slash: where on the server.
        """
        way = self._user.way(cell)
        return Errand(
            host=self._user.host,
            good=good,
            url=Deliveries.URLS[DOWNLOADS[cell.mode]] + (what if what.startswith("/") else ""),
            proxy="" if around else way.through,
            trust=way.trust,
            work=self._town.scene.directory(f"{good.name}-{what.strip('/')}"),
        )


@pytest.fixture(scope="module")
def desk(shared_town: Town, user: User) -> Desk:
    """The server, and what is sent to it."""
    return Desk(shared_town, user)


def sent() -> list[tuple[str, str]]:
    """What this run does: everything, or each program in one of the modes."""
    if FULL:
        return list(itertools.product(SENDERS, DOWNLOADS))
    return list(zip(SENDERS, itertools.cycle(DOWNLOADS), strict=False))


@pytest.mark.parametrize(("name", "mode"), sent())
def test_arrives(user: User, desk: Desk, results: Results, name: str, mode: str) -> None:
    """It comes back as it was sent, and neither way leads around dfdaemon."""
    sender, cell = SENDERS[name], Cell(name, "tls", mode)
    sender.needed()
    good = desk.good(SMALL)
    errand = desk.errand(good, cell, "there")
    outcome = sender.send(errand, desk.file(good.name))
    if outcome.good:
        outcome = sender.fetched(desk.errand(good, cell, "back"))
    results.uploads[name, mode] = outcome.why or "arrives"
    results.versions.setdefault(sender.tools[-1], errand.version(*sender.version))
    assert outcome.good, outcome.why
    passed = {one.method for one in desk.server.heard(sender.path(good))}
    seen = {line.method for line in user.daemon(cell).requests(sender.path(good))}
    assert passed <= seen
    assert "PUT" in seen


def heavy() -> list[tuple[str, str]]:
    """The same, of what is large: in the slice curl stands for all."""
    return sent() if FULL else [("curl", mode) for mode in DOWNLOADS]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("name", "mode"), heavy())
def test_server_that_stops_reading(
    user: User, desk: Desk, results: Results, name: str, mode: str
) -> None:
    """dfdaemon reads no more from the client then: nothing piles up in its memory or on a disk."""
    sender, cell = SENDERS[name], Cell(name, "tls", mode)
    sender.needed()
    size = sender.size if FULL else MIDDLING
    good = desk.good(size)
    errand = desk.errand(good, cell, "slowly")
    outcome, footprint = held_up(
        lambda: sender.send(errand, desk.file(good.name)),
        through=user.daemon(cell),
        on=user.host,
        to=desk.server.program,
        arriving=lambda: desk.server.arriving,
    )
    footprint.check()
    if outcome.good:
        outcome = sender.fetched(desk.errand(good, cell, "back"))
    results.slow[f"{name}, {size // MIB} MiB", mode] = outcome.why or "arrives"
    assert outcome.good, outcome.why


AT_ONCE, MIDWAY = "before the body", "in its middle"
REFUSALS = {
    (401, AT_ONCE): "/refuse-401-0",
    (401, MIDWAY): "/refuse-401-1000000",
    (413, AT_ONCE): "/refuse-413-0",
    (413, MIDWAY): "/refuse-413-1000000",
}
"""Where on the server what happens; only curl waits for ``100 Continue``."""


def refused() -> list[tuple[str, tuple[int, str], str]]:
    """What this run does."""
    light = [name for name in SENDERS if FULL or name.startswith("curl")]
    every = list(itertools.product(light, REFUSALS, DOWNLOADS))
    return every if FULL else every[::3]  # both modes in turn


@pytest.mark.parametrize(("name", "what", "mode"), refused())
def test_refused(desk: Desk, results: Results, name: str, what: tuple[int, str], mode: str) -> None:
    """The client hears, and then does, what it hears and does without dfdaemon."""
    sender, cell = SENDERS[name], Cell(name, "tls", mode)
    sender.needed()
    natively, through = (behaviour(desk, cell, what, around=around) for around in (True, False))
    same = through == natively
    text = "as without dfdaemon" if same else f"{through} instead of {natively}"
    key = name, f"{what[0]} {what[1]}"
    results.refusals[key] = text if not same else results.refusals.get(key, text)
    assert through == natively
    assert any(status == what[0] for _, _, status in through[1]) or "npm" in name


def behaviour(
    desk: Desk, cell: Cell, what: tuple[int, str], *, around: bool
) -> tuple[list[str], list[tuple[str, str, int]]]:
    """What the client says of the status, and what the server was asked and answered."""
    good, before = desk.good(MIDDLING), len(desk.server.heard())
    errand = desk.errand(good, cell, REFUSALS[what], around=around)
    outcome = SENDERS[cell.client].send(errand, desk.file(good.name))
    own = re.compile(f"{good.name}|{good.hex}")
    plain = re.sub(r"\S*/\S*", "...", own.sub("it", outcome.why))  # without URLs and paths
    said = [line for line in plain.splitlines() if re.search(rf"\b{what[0]}\b", line)]
    heard = desk.server.heard()[before:]
    return (
        said,
        [(one.method, own.sub("it", one.path), one.status) for one in heard],
    )
