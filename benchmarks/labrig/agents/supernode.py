"""A supernode whose draws are given, so that a run can be had with several graphs.

python supernode.py SEED [options of twistd supernode]
"""

from __future__ import annotations

import random
import sys

from dragonfly.net.logs import log_to
from dragonfly.net.openfiles import allow_open_files
from dragonfly.supernode.service import make_supernode
from dragonfly.taps.supernode import Options


def main() -> None:
    """Run it until it is told to end."""
    options = Options()
    options.parseOptions(sys.argv[2:])
    log_to(sys.stderr, verbose=False)
    allow_open_files()
    from twisted.internet import reactor  # noqa: PLC0415 - as the tap does it

    service = make_supernode(options.parsed, reactor, rng=random.Random(int(sys.argv[1])))
    service.privilegedStartService()
    service.startService()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)  # type: ignore[attr-defined]
    reactor.run()  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
