"""One supernode and some hosts, all on loopback: one file, or one image, reaches them all.

Starts everything, downloads at once on hosts that each have a home of their own, shows who got
what from whom, and cleans up. By default four dfgets download a file from a file server; a URL
as argument takes the file server's place. With --image two dfdaemons stand between skopeo and
a docker-registry.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from files import FileDemo
from image import ImageDemo, missing
from processes import DemoError, running, tail
from table import MIB

from dragonfly.errors import ConfigError
from dragonfly.limits import parse_size

TOOLS_MISSING = 2


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "url", nargs="?", metavar="URL", help="download this instead of a file of ours"
    )
    what.add_argument("--image", action="store_true", help="pull an image through dfdaemon")
    parser.add_argument("--size", default="256M", help="size of file or image [default: 256M]")
    parser.add_argument("--keep", action="store_true", help="leave everything running at the end")
    given = parser.parse_args(argv)
    try:
        given.size = parse_size(given.size, "--size")
    except ConfigError as error:
        parser.error(str(error))
    return given


def check_space(directory: Path, needed: int) -> None:
    """See that so many bytes are free.

    :raises DemoError: they are not.
    """
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise DemoError(
            f"{directory}: {needed / MIB:.0f} MiB are needed, {free / MIB:.0f} are free; "
            "set TMPDIR to a larger place, or --size to less"
        )


def perform(demo: FileDemo | ImageDemo, given: argparse.Namespace) -> int:
    """Run a demo and clean up; give the exit code."""
    keep = False
    try:
        if given.url is None:
            check_space(demo.directory, given.size * demo.copies)
        same = demo.run(given.size)
        keep = given.keep
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        for name, log in demo.logs.items():
            print(f"the log of {name} ends:\n{tail(log)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        leave(demo) if keep else clean(demo)
    return 0 if same else 1


def leave(demo: FileDemo | ImageDemo) -> None:
    """Say where everything is, and how to end it."""
    numbers = " ".join(map(str, running(demo.directory)))
    print(demo.explain())
    print(f"to stop:    kill {numbers}; rm -r {demo.directory}")


def clean(demo: FileDemo | ImageDemo) -> None:
    """End all processes and remove all files."""
    demo.stop()
    shutil.rmtree(demo.directory, ignore_errors=True)


def main() -> int:
    """Run the demo; give the exit code."""
    given = parse()
    if given.image and (packages := missing()):
        print(
            "demo: nothing was tried: --image needs programs that are not installed here; "
            f"on Debian: apt-get install {' '.join(packages)}",
            file=sys.stderr,
        )
        return TOOLS_MISSING
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    directory = Path(tempfile.mkdtemp(prefix="dragonfly-demo-"))
    demo = ImageDemo(directory) if given.image else FileDemo(directory, given.url)
    return perform(demo, given)


if __name__ == "__main__":
    sys.exit(main())
