"""One supernode, four peers and a file server, all on loopback: one file reaches everybody.

Starts everything, downloads at once with four dfgets that each have a home of their own,
shows who got what from whom, and cleans up. A URL as argument takes the file server's place.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from processes import DemoError, Download, FileServer, Supernode, end, running, tail

from dragonfly.errors import ConfigError
from dragonfly.limits import parse_size

PEERS = 4
DEADLINE_S = 300.0
BLOCK = 1 << 20
MIB = 1 << 20


class Demo:
    """Everything that runs, and the directory that it runs in."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.origin: FileServer | None = None
        self.supernode: Supernode | None = None
        self.downloads: list[Download] = []

    def run(self, url: str | None, size: int) -> bool:
        """Do it all; tell whether everybody has the same file.

        :raises DemoError: a part did not work.
        """
        expected = None
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
        print(table(self.downloads))
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

    def explain(self) -> str:
        """Where everything is, and how to end it."""
        lines = []
        if self.supernode is not None:
            lines.append(f"supernode   http://{self.supernode.node}/  (it lists its routes)")
            lines.append(f"pieces      {self.supernode.pieces}")
        if self.origin is not None:
            lines.append(f"origin      {self.origin.url}  ({self.origin.address}/sent counts)")
        lines += [f"{each.name:11} --home {each.home}" for each in self.downloads]
        numbers = " ".join(map(str, running(self.directory)))
        return "\n".join([*lines, f"to stop:    kill {numbers}; rm -r {self.directory}"])

    def clean(self) -> None:
        """End all processes and remove all files."""
        for download in self.downloads:
            download.stop()
        end(running(self.directory))
        shutil.rmtree(self.directory, ignore_errors=True)


def table(downloads: Sequence[Download]) -> str:
    """One line for each peer, and one for all."""
    head = f"{'':8}{'seconds':>9}{'from CDN':>12}{'from peers':>12}{'from origin':>13}{'total':>12}"
    lines = [head]
    totals = [0, 0, 0, 0]
    for each in downloads:
        counts = [each.sources.get(name, 0) for name in ("cdn", "peers", "origin")]
        counts.append(each.output.stat().st_size)
        totals = [total + count for total, count in zip(totals, counts, strict=True)]
        lines.append(_line(each.name, f"{each.seconds:.2f}", counts))
    slowest = max((each.seconds for each in downloads), default=0.0)
    lines.append(_line("all", f"{slowest:.2f}", totals))
    return "\n".join([*lines, "(MiB, as dfget's summaries say)"])


def _line(name: str, seconds: str, counts: Sequence[int]) -> str:
    cdn, peers, origin, total = (f"{count / MIB:.1f}" for count in counts)
    return f"{name:8}{seconds:>9}{cdn:>12}{peers:>12}{origin:>13}{total:>12}"


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


def sha256(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        hasher = hashlib.sha256()
        while block := file.read(BLOCK):
            hasher.update(block)
    return hasher.hexdigest()


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "url", nargs="?", metavar="URL", help="download this instead of a file of ours"
    )
    parser.add_argument("--size", default="256M", help="size of our file [default: 256M]")
    parser.add_argument("--keep", action="store_true", help="leave everything running at the end")
    given = parser.parse_args(argv)
    try:
        given.size = parse_size(given.size, "--size")
    except ConfigError as error:
        parser.error(str(error))
    return given


def check_space(directory: Path, size: int) -> None:
    """The file is there once at the origin, once at the CDN, and twice for each peer.

    :raises DemoError: so much is not free.
    """
    needed, free = size * (2 + 2 * PEERS), shutil.disk_usage(directory).free
    if free < needed:
        raise DemoError(
            f"{directory}: {needed / MIB:.0f} MiB are needed, {free / MIB:.0f} are free; "
            "set TMPDIR to a larger place, or --size to less"
        )


def main() -> int:
    """Run the demo; give the exit code."""
    given = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    demo = Demo(Path(tempfile.mkdtemp(prefix="dragonfly-demo-")))
    keep = False
    try:
        if given.url is None:
            check_space(demo.directory, given.size)
        same = demo.run(given.url, given.size)
        keep = given.keep
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        if demo.supernode is not None:
            print(f"the supernode's log ends:\n{tail(demo.supernode.log)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        if keep:
            print(demo.explain())
        else:
            demo.clean()
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
