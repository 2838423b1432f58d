"""``dfget``: from the command line to the exit code."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from types import FrameType
from typing import Any, NoReturn

from dragonfly import __version__
from dragonfly.dfget import report
from dragonfly.dfget.client import Result
from dragonfly.dfget.fetch import Fetch
from dragonfly.dfget.options import CONFIG_FILE, Options, parse
from dragonfly.dfget.output import Output, StreamOutput, open_output
from dragonfly.dfget.progress import Console, Progress
from dragonfly.dfget.spawn import Background
from dragonfly.errors import DragonflyError, HomeUnusable, PeerGone

__all__ = ["Stopped", "main"]


class Stopped(KeyboardInterrupt):
    """The user, or the system, wants this process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def main(argv: Sequence[str] | None = None, *, config_file: str = CONFIG_FILE) -> int:
    """Run the command; give its exit code.

    :param config_file: read if it exists.
    :raises SystemExit: for ``--help``, ``--version`` and wrong usage.
    """
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == ["server"]:
        from dragonfly.dfget.server import main as serve  # noqa: PLC0415 - imports Twisted

        return serve(argv[1:])
    if list(argv) in (["version"], ["--version"]):
        print(f"dfget {__version__}")
        return report.EXIT_OK
    return _Command(parse(argv, config_file=config_file)).run()


class _Command:
    """One download with everything that is printed about it."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._began = time.monotonic()
        verbosity = 2 if options.verbose else 1 if options.console else 0
        self._console = Console(sys.stderr, verbose=verbosity)
        self._fetch: Fetch | None = None

    def run(self) -> int:
        """Download, say the last line, give the exit code."""
        before = _listen_to_signals()
        output: Output | None = None
        try:
            output = open_output(self._options.output, self._options.url)
            result = self._download(output)
        except DragonflyError as error:
            code = report.exit_code(error)
            return self._failed(code, str(error), report.failure_reason(error), output)
        except Stopped as stopped:
            text = "interrupted; the same command continues where it was"
            return self._failed(128 + stopped.number, text, 0, output)
        finally:
            if output is not None:
                output.discard()
            for number, handler in before.items():
                signal.signal(number, handler)
        return self._succeeded(result, output)

    def _download(self, output: Output) -> Result:
        options, console = self._options, self._console
        streaming = isinstance(output, StreamOutput)
        terminal = sys.stderr.isatty() and not (streaming and sys.stdout.isatty())
        progress = Progress(
            console,
            os.path.basename(output.path),
            shown=terminal or options.showbar,
            bar=terminal,
        )
        self._fetch = fetch = Fetch(
            options.request(__version__), output, progress, console, timeout_s=options.timeout
        )
        try:
            return self._with_peer(fetch)
        finally:
            progress.end()

    def _with_peer(self, fetch: Fetch) -> Result:
        """Use the home's peer process; where none can be, or it hangs, be one for this
        download."""
        background = Background(self._options, self._console)
        if self._options.alivetime <= 0:
            return self._alone(fetch, self._options)
        try:
            return fetch.run(background)
        except (HomeUnusable, PeerGone) as error:
            self._console.notice(f"{error}; using a temporary home for this download")
            return self._alone(fetch, None)

    def _alone(self, fetch: Fetch, home: Options | None) -> Result:
        from dragonfly.dfget.inprocess import run_inside  # noqa: PLC0415 - imports Twisted

        return run_inside(self._options, fetch, self._console, temporary=home is None)

    def _succeeded(self, result: Result, output: Output) -> int:
        seconds = time.monotonic() - self._began
        summary = report.summary(output.path, result, seconds)
        line = report.success_line(seconds, result.length, result.reason)
        _say(f"{summary}\n{line}", output)
        return report.EXIT_OK

    def _failed(self, code: int, text: str, reason: int, output: Output | None) -> int:
        seconds = time.monotonic() - self._began
        length = self._fetch.sources.total if self._fetch is not None else 0
        _say(report.failure_line(code, seconds, length, reason, text), output)
        return code


def _say(text: str, output: Output | None) -> None:
    """Print what the user reads at the end, where the content does not go.

    That nobody reads it (``dfget URL | head``) changes nothing of how the download ended.
    """
    stream = sys.stderr if isinstance(output, StreamOutput) else sys.stdout
    try:
        stream.write(f"{text}\n")
        stream.flush()
    except OSError:
        with open(os.devnull, "wb") as nowhere:  # or Python complains when it flushes at exit
            os.dup2(nowhere.fileno(), stream.fileno())


def _listen_to_signals() -> dict[int, Any]:
    """Let signals that end us clean up first; give the handlers that were there."""
    before = {}
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        handler = signal.getsignal(number)
        if handler != signal.SIG_IGN:  # nohup stays nohup
            before[int(number)] = signal.signal(number, _stop)
    return before


def _stop(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - signal's form
    raise Stopped(number)
