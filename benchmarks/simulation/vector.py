"""Ten thousand peers and more: the real graph and seed, pickers as arrays.

Needs numpy, which nothing else here does. All peers have equal links. Time goes on in steps of
a quarter of the time that one piece takes on an idle link. In each step every transfer gets its
share by water filling in rounds; what is over when it ends counts for the next one of the same
pair. Of the real picker there is: rarest first among what neighbours have shown, one request at
each neighbour, a request that waits behind the piece which goes the other way on its connection,
HAVEs that come late. Not: slots (there are about as many as neighbours), BUSY, the end game,
silence, cancelling, peers that come later or fail. At 1,000 peers it is to be compared with the
real picker before anything it says is believed.
"""

from __future__ import annotations

import random
import time

import attrs
import numpy as np

from dragonfly.sched.graph import Graph
from dragonfly.sched.seeding import Receiver, Seeding
from dragonfly.sched.seedturns import Turn, Turns

__all__ = ["HAVE_EVERY_S", "HEAD", "VectorFigures", "VectorSwarm"]

HEAD = f"{'peers':>7} {'pieces':>6} {'ratio':>7} {'p50':>7} {'seed':>6} {'degree':>6} {'cpu s':>7}"

STEPS_PER_PIECE = 4
ROUNDS = 4
"""Of water filling; with eight the ratio is the same within 0.002."""

SEED_SLOTS = 8
FILE_S = 10.0
"""What the content takes on one link."""

HAVE_EVERY_S = 0.15
"""The timer of the real exchange; HAVEs that ride come after half of a transfer on average."""

ROWS = 20_000
"""Choices that are made at once, so that arrays stay small."""

NONE = 65535


@attrs.frozen(kw_only=True)
class VectorFigures:
    """Times in units of the bound."""

    peers: int
    pieces: int
    ratio: float
    p50: float
    seed_copies: float
    degrees: tuple[int, int]
    cpu_s: float

    def line(self) -> str:
        """One row."""
        return (
            f"{self.peers:7} {self.pieces:6} {self.ratio:7.3f} {self.p50:7.3f}"
            f" {self.seed_copies:6.2f} {self.degrees[0]:4}-{self.degrees[1]} {self.cpu_s:7.0f}"
        )


class VectorSwarm:
    """One swarm with a warm seed whose link is like everybody's."""

    def __init__(self, peers: int, pieces: int, *, rng: int = 1) -> None:
        self.peers, self.pieces = peers, pieces
        self.given = 0
        self._rng = np.random.default_rng(rng)
        self._step = 0
        self._make_edges(random.Random(rng))
        self._want = np.ones((peers, pieces), dtype=bool)
        self._shown = np.zeros((peers, pieces), dtype=bool)
        self._rarity = np.zeros((peers, pieces), dtype=np.uint8)
        self._missing = np.full(peers, pieces, dtype=np.int64)
        self._done_at = np.full(peers, -1.0)
        self._news: list[tuple[int, np.ndarray, np.ndarray]] = []
        self._has_shown = np.zeros(peers + 1, dtype=bool)
        self._make_seed(random.Random(rng + 1))

    # -- building ------------------------------------------------------------------------

    def _make_edges(self, rng: random.Random) -> None:
        """Everybody joins the real graph; edge e brings pieces from source[e] to sink[e]."""
        keys = [n.to_bytes(4, "big") for n in range(self.peers)]
        seed = self.peers.to_bytes(4, "big")
        graph = Graph(seed, rng)
        for key in keys:
            graph.join(key, reachable=True)
        for key in keys:  # the first announces
            graph.top_up(key)
        rows = [graph.neighbours(key) for key in keys]
        self.degrees = min(map(len, rows)), max(map(len, rows))
        sinks = [np.full(len(row), n) for n, row in enumerate(rows)]
        sources = [[int.from_bytes(other, "big") for other in row] for row in rows]
        self._sink = np.concatenate(sinks)
        self._source = np.concatenate([np.array(row) for row in sources])
        self._begins = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
        self._reverse = self._find_reverse()
        count = len(self._sink)
        self._piece = np.full(count, -1, dtype=np.int32)
        self._active = np.zeros(count, dtype=bool)
        self._credit = np.zeros(count)
        self._turn = np.zeros(count, dtype=np.int32)
        self._behind = np.full(count, -1, dtype=np.int32)

    def _find_reverse(self) -> np.ndarray:
        """The edge that goes the other way on the same connection; -1 for those of the seed."""
        wide = self.peers + 1
        here, there = self._source * wide + self._sink, self._sink * wide + self._source
        order = np.argsort(here)
        at = np.searchsorted(here[order], there)
        found = order[np.minimum(at, len(here) - 1)]
        return np.where(here[found] == there, found, -1)

    def _make_seed(self, rng: random.Random) -> None:
        self._seeding = Seeding(rng)
        self._seeding.hold(self.pieces)
        self._turns = Turns()
        self._receivers: dict[int, Receiver] = {}
        self._seed_turns: dict[int, tuple[Turn, float]] = {}
        for edge in np.flatnonzero(self._source == self.peers):
            receiver = self._receivers[int(edge)] = self._seeding.add(int(edge))
            receiver.known = (1 << self.pieces) - 1
            self._turns.ask_any(receiver, 0)

    # -- running ---------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Seconds."""
        return self._step * self._dt

    @property
    def _dt(self) -> float:
        return FILE_S / self.pieces / STEPS_PER_PIECE

    def run(self, most: float = 4.0) -> VectorFigures:
        """Go on until all have everything."""
        began = time.process_time()
        while (self._missing > 0).any() and self.now < most * FILE_S:
            self._hear_news()
            self._serve()
            self._ask()
            self._start()
            self._move()
            self._step += 1
        done = np.where(self._done_at < 0, np.inf, self._done_at) / FILE_S
        return VectorFigures(
            peers=self.peers,
            pieces=self.pieces,
            ratio=float(done.max()),
            p50=float(np.median(done)),
            seed_copies=self.given / self.pieces,
            degrees=self.degrees,
            cpu_s=time.process_time() - began,
        )

    def _hear_news(self) -> None:
        """What arrived some time ago is known to the neighbours by now."""
        while self._news and self._news[0][0] <= self._step:
            _, who, what = self._news.pop(0)
            self._shown[who, what] = True
            self._has_shown[who] = True
            counts = self._begins[who + 1] - self._begins[who]
            firsts = np.repeat(self._begins[who] - np.cumsum(counts) + counts, counts)
            edges = firsts + np.arange(counts.sum())
            others, pieces = self._source[edges], np.repeat(what, counts)
            ours = others < self.peers
            np.add.at(self._rarity, (others[ours], pieces[ours]), 1)
            for edge, receiver in self._receivers.items():
                for piece in what[who == self._sink[edge]]:
                    self._seeding.shows(receiver, 1 << int(piece))

    def _serve(self) -> None:
        """The seed gives its free slots out."""
        while len(self._seed_turns) < SEED_SLOTS:
            for edge, receiver in self._receivers.items():
                lacking = ~self._want[self._sink[edge]]
                receiver.in_flight = _mask(lacking)
                if not receiver.any and edge not in self._seed_turns:
                    self._turns.ask_any(receiver, receiver.in_flight)
                self._turns.enter(receiver)
            turn = self._turns.next(self.now)
            if turn is None or turn.piece is None:
                return
            edge = turn.receiver.owner
            self._seeding.give(turn.receiver, turn.piece)
            self._seed_turns[edge] = turn, self.now
            self._piece[edge], self._active[edge] = turn.piece, True
            self._want[self._sink[edge], turn.piece] = False
            self.given += 1

    def _ask(self) -> None:
        """One question at each neighbour that has something: the rarest, chance among equals."""
        idle = np.flatnonzero((self._piece < 0) & self._has_shown[self._source])
        if self._step % STEPS_PER_PIECE:  # who found nothing just now is not asked each time
            idle = idle[self._turn[idle] >= 0]
        sinks = self._sink[idle]
        first = np.searchsorted(sinks, sinks)
        rank = np.arange(len(idle)) - first
        for turn in range(int(rank.max(initial=-1)) + 1):
            chosen = idle[rank == turn]
            for at in range(0, len(chosen), ROWS):
                self._choose(chosen[at : at + ROWS])

    def _choose(self, edges: np.ndarray) -> None:
        sinks, sources = self._sink[edges], self._source[edges]
        useful = self._want[sinks] & self._shown[sources]
        chance = self._rng.integers(0, 256, useful.shape, dtype=np.uint8)
        cost = self._rarity[sinks].astype(np.uint16) << 8 | chance
        cost[~useful] = NONE
        pieces = cost.argmin(axis=1)
        found = cost[np.arange(len(edges)), pieces] != NONE
        self._turn[edges[~found]] = -1
        edges, pieces = edges[found], pieces[found]
        self._piece[edges] = pieces
        self._want[self._sink[edges], pieces] = False
        reverse = self._reverse[edges]
        busy = (reverse >= 0) & self._active[reverse]
        self._behind[edges] = np.where(busy, self._turn[reverse], -1)

    def _start(self) -> None:
        """Questions that wait behind nothing (any more) are answered."""
        waiting = np.flatnonzero((self._piece >= 0) & ~self._active)
        behind, reverse = self._behind[waiting], self._reverse[waiting]
        free = (behind < 0) | ~self._active[reverse] | (self._turn[reverse] != behind)
        self._active[waiting[free]] = True

    def _move(self) -> None:
        """Let bytes flow; rates are in pieces for each step."""
        edges = np.flatnonzero(self._active)
        up, down = self._source[edges], self._sink[edges]
        rate = np.zeros(len(edges))
        left_up = np.full(self.peers + 1, 1.0 / STEPS_PER_PIECE)
        left_down = left_up.copy()
        for _ in range(ROUNDS):
            share_up = left_up / np.maximum(np.bincount(up, minlength=self.peers + 1), 1)
            share_down = left_down / np.maximum(np.bincount(down, minlength=self.peers + 1), 1)
            more = np.minimum(share_up[up], share_down[down])
            rate += more
            left_up -= np.bincount(up, more, self.peers + 1)
            left_down -= np.bincount(down, more, self.peers + 1)
        self._credit[edges] += rate
        self._end(edges[self._credit[edges] >= 1.0])

    def _end(self, edges: np.ndarray) -> None:
        """These transfers are over."""
        if not len(edges):
            return
        sinks, pieces = self._sink[edges], self._piece[edges]
        self._credit[edges] -= 1.0
        self._active[edges] = False
        self._piece[edges] = -1
        self._turn[edges] = np.maximum(self._turn[edges], 0) + 1
        np.subtract.at(self._missing, sinks, 1)
        over = np.unique(sinks[self._missing[sinks] == 0])
        self._done_at[over] = self.now
        late = max(1, round(min(HAVE_EVERY_S, FILE_S / self.pieces * SEED_SLOTS / 2) / self._dt))
        self._news.append((self._step + late, sinks, pieces))
        fresh = np.isin(self._source, sinks)
        self._turn[fresh] = np.maximum(self._turn[fresh], 0)
        for edge in edges[self._source[edges] == self.peers]:
            turn, since = self._seed_turns.pop(int(edge))
            self._turns.ended(turn, self.now - since, self.now)
            if turn.piece is not None:
                self._seeding.given(turn.receiver, turn.piece, self.now)


def _mask(pieces: np.ndarray) -> int:
    """Booleans as an integer, piece 0 the lowest bit."""
    return int.from_bytes(np.packbits(pieces, bitorder="little").tobytes(), "little")
