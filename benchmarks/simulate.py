"""Swarms under a simulated clock, beside the time that a fluid would take.

python benchmarks/simulate.py                    the scenarios of the lab, A to D
python benchmarks/simulate.py slow killed cold   others, see benchmarks/simulation/plans.py
python benchmarks/simulate.py B --set out=8 --set fifo=0.5 --graphs 3
python benchmarks/simulate.py --vector 1000x1024 10000x1024     (needs numpy)

Peers, seed and tracker are the programs' own code; sockets, disks and the network are not
(benchmarks/simulation/__init__.py says more). 16 peers take seconds, 1,000 a quarter of an hour.
With --vector graph and seed are real, and the pickers a model of them in arrays.
"""

from __future__ import annotations

import argparse
import ast
import sys

import attrs
from simulation.plan import Plan
from simulation.plans import PLANS
from simulation.report import HEAD, simulate


def changed(plan: Plan, settings: list[str]) -> Plan:
    """Give ``plan`` with settings like ``out=8``."""
    pairs = dict(setting.split("=", 1) for setting in settings)
    values = {name: ast.literal_eval(text) for name, text in pairs.items()}
    return attrs.evolve(plan, **values)


def run_model(sizes: list[str]) -> None:
    """Run the model for these numbers of peers and pieces."""
    from simulation import vector as model  # noqa: PLC0415 - needs numpy

    print(model.HEAD)
    for size in sizes:
        peers, pieces = map(int, size.split("x"))
        print(model.VectorSwarm(peers, pieces).run().line(), flush=True)


def main() -> None:
    """Run the plans that were named."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("plans", nargs="*", default=["A", "B", "C", "D"])
    parser.add_argument("--graphs", type=int, default=1, help="so many random graphs of each")
    parser.add_argument("--vector", nargs="+", default=[], help="peers x pieces, as arrays")
    parser.add_argument("--set", action="append", default=[], help="a field of the plan")
    args = parser.parse_args()
    if args.vector:
        run_model(args.vector)
        return
    unknown = set(args.plans) - set(PLANS)
    if unknown:
        sys.exit(f"no such plan: {', '.join(sorted(unknown))}; there are {', '.join(PLANS)}")
    print(HEAD)
    for name in args.plans:
        for rng in range(1, args.graphs + 1):
            plan = changed(attrs.evolve(PLANS[name], rng=rng), args.set)
            print(simulate(plan).line(), flush=True)


if __name__ == "__main__":
    main()
