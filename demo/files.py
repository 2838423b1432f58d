"""The demo of files: one supernode, four peers and a file server."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from pathlib import Path

from layout import BLOCK, sha256
from processes import Download, FileServer, Supernode, end, running
from table import MIB, Row, table

PEERS = 4
COPIES = 2 + 2 * PEERS
"""A file is there once at the origin, once at the CDN, and twice for each peer."""
DEADLINE_S = 300.0
COLUMNS = {"cdn": "from CDN", "peers": "from peers", "origin": "from origin"}


class FileDemo:
    """Everything that runs, and the directory that it runs in."""

    copies = COPIES

    def __init__(self, directory: Path, url: str | None) -> None:
        self.directory = directory
        self.url = url
        self.origin: FileServer | None = None
        self.supernode: Supernode | None = None
        self.downloads: list[Download] = []

    def run(self, size: int) -> bool:
        """Do it all; tell whether everybody has the same file.

        :raises DemoError: a part did not work.
        """
        url, expected = self.url, None
        if url is None:
            file = self.directory / "file.bin"
            print(f"a file of {size / MIB:g} MiB ...", flush=True)
            expected = random_file(file, size)
            self.origin = FileServer(file)
            self.origin.wait()
            url = self.origin.url
        self.supernode = Supernode(self.directory / "supernode")
        self.supernode.wait()
        print(f"supernode {self.supernode.node}, origin {url}")
        print(f"{PEERS} peers download at once ...", flush=True)
        self._download(url)
        print(self._table(self.downloads))
        print(self._copies())
        return self._compare(expected)

    def _download(self, url: str) -> None:
        assert self.supernode is not None
        until = time.monotonic() + DEADLINE_S
        for number in range(1, PEERS + 1):
            self.downloads.append(
                Download(f"peer{number}", self.directory, self.supernode.node, url)
            )
        for download in self.downloads:
            download.wait(until)

    @staticmethod
    def _table(downloads: Sequence[Download]) -> str:
        rows = [
            Row(each.name, each.seconds, each.sources, each.output.stat().st_size)
            for each in downloads
        ]
        return f"{table(COLUMNS, rows)}\n(MiB, as dfget's summaries say)"

    def _copies(self) -> str:
        """What left the origin, by its own count where it is ours."""
        assert self.supernode is not None
        size = self.downloads[0].output.stat().st_size
        if self.origin is not None:
            sent = self.origin.sent()
        else:
            direct = sum(download.sources.get("origin", 0) for download in self.downloads)
            sent = self.supernode.fetched() + direct
        copies = sent / size if size else 0.0
        return f"the origin sent {sent} bytes: {copies:.3f} copies for {len(self.downloads)} peers"

    def _compare(self, expected: str | None) -> bool:
        digests = {download.name: sha256(download.output) for download in self.downloads}
        wanted = expected or digests[self.downloads[0].name]
        wrong = [name for name, digest in digests.items() if digest != wanted]
        if wrong:
            print(f"WRONG CONTENT: {', '.join(wrong)}; expected sha256 {wanted}")
        else:
            print(f"all {len(digests)} files are the same, sha256 {wanted}")
        return not wrong

    # -- the end ---------------------------------------------------------------------

    @property
    def logs(self) -> dict[str, Path]:
        """The logs that tell why something did not work."""
        return {} if self.supernode is None else {"supernode": self.supernode.log}

    def explain(self) -> str:
        """Where everything is."""
        lines = []
        if self.supernode is not None:
            lines.append(f"supernode   http://{self.supernode.node}/  (it lists its routes)")
            lines.append(f"pieces      {self.supernode.pieces}")
        if self.origin is not None:
            lines.append(f"origin      {self.origin.url}  ({self.origin.address}/sent counts)")
        return "\n".join(
            [*lines, *(f"{each.name:11} --home {each.home}" for each in self.downloads)]
        )

    def stop(self) -> None:
        """End all processes."""
        for download in self.downloads:
            download.stop()
        end(running(self.directory))


def random_file(path: Path, size: int) -> str:
    """Write random bytes; give their SHA-256."""
    hasher = hashlib.sha256()
    with path.open("wb") as out:
        while size > 0:
            block = os.urandom(min(size, BLOCK))
            hasher.update(block)
            out.write(block)
            size -= len(block)
    return hasher.hexdigest()
