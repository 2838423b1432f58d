"""One host with its dfdaemon: how it is started, and what it says it took from where."""

from __future__ import annotations

import re
from pathlib import Path

from processes import LOOPBACK, fetch, ports, twistd

SOURCES = {
    "cache": "from cache",
    "peers": "from peers",
    "cdn": "from CDN",
    "registry": "from registry",
}
BYTES = re.compile(r'^dragonfly_dfdaemon_bytes_total\{.*source="(\w+)".*\} (\S+)$', re.MULTILINE)


class Dfdaemon:
    """``twistd dfdaemon`` with a home of its own, in front of one registry."""

    def __init__(self, home: Path, node: str, registry: str) -> None:
        self.home = home
        self.log = home / "twistd.log"
        flags = [f"--workHome={home}", f"--node={node}", f"--registry={registry}"]
        flags += ["--port=0", "--peerPort=0", "--statusPort=0", f"--peerIp={LOOPBACK}"]
        self.process = twistd(home, "dfdaemon", *flags)

    def wait(self) -> None:
        """Wait until it serves.

        :raises DemoError: it does not.
        """
        found = ports(self.home / "dfdaemon-ports.json", self.process, self.log)
        self.netloc = f"{LOOPBACK}:{found['front']}"
        self.status = f"http://{LOOPBACK}:{found['status']}"

    def sources(self) -> dict[str, int]:
        """Bytes that it gave out so far, by where they came from."""
        metrics = fetch(f"{self.status}/metrics").decode()
        counts = {source: int(float(value)) for source, value in BYTES.findall(metrics)}
        return {source: counts.get(source, 0) for source in SOURCES}
