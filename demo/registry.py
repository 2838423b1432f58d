"""A docker-registry of our own: how it is started, and what its log says that it sent."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections import Counter
from pathlib import Path

from processes import LOOPBACK, START_S, DemoError, tail

LISTENING = re.compile(r"listening on [\d.]+:(\d+)")
BLOB_SENT = re.compile(r'"GET /v2/\S+/blobs/(sha256:[0-9a-f]{64})\S* HTTP/1\.\d" 20[06] (\d+) ')


class Registry:
    """``docker-registry`` with an empty storage, on a free port of loopback."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True)
        self.log = directory / "log"
        config = directory / "config.json"
        storage = {"filesystem": {"rootdirectory": str(directory / "storage")}}
        log = {"level": "info", "formatter": "text"}
        http = {"addr": f"{LOOPBACK}:0"}
        # JSON is YAML.
        config.write_text(
            json.dumps({"version": 0.1, "log": log, "storage": storage, "http": http})
        )
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                ["docker-registry", "serve", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Wait until it serves.

        :raises DemoError: it does not.
        """
        end = time.monotonic() + START_S
        while time.monotonic() < end and self.process.poll() is None:
            if found := LISTENING.search(self.log.read_text(errors="replace")):
                self.netloc = f"{LOOPBACK}:{found[1]}"
                return
            time.sleep(0.02)
        raise DemoError(f"docker-registry did not start:\n{tail(self.log)}")

    def sent(self) -> Counter[str]:
        """Bytes that it sent of each blob, by digest."""
        counts: Counter[str] = Counter()
        for digest, size in BLOB_SENT.findall(self.log.read_text(errors="replace")):
            counts[digest] += int(size)
        return counts
