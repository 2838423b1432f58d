"""What the clock waits for: one host's download, begun and followed without getting in its way.

While the clock runs bytes are only stored with their time; what they mean is read afterwards.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

__all__ = ["CommandTalk", "SocketTalk", "Talk", "ask"]

_READ = 256 * 1024
_ENDS = (b'"event":"done"', b'"event":"failed"')
_OVERLAP = max(map(len, _ENDS))


class Talk(Protocol):
    """One host's download."""

    over_s: float | None
    """When it ended, on the lab's clock; how is told by :attr:`error`."""
    error: str

    def fileno(self) -> int:
        """What to wait on."""

    def begin(self) -> None:
        """Start the download."""

    def readable(self, now: float) -> None:
        """Something came."""

    def progress(self) -> list[tuple[float, int]]:
        """How many bytes were there when."""

    def origins(self) -> Mapping[str, int]:
        """Where the bytes came from."""

    def file(self) -> Path | None:
        """Where the content is."""

    def finish(self) -> None:
        """Close what is open."""


class SocketTalk:
    """A conversation with a process that runs already, over its Unix socket.

    :param request: what is sent to begin, as JSON.
    """

    def __init__(self, path: Path, request: Mapping[str, Any]) -> None:
        self.over_s: float | None = None
        self._line = json.dumps(request).encode() + b"\n"
        self._chunks: list[tuple[float, bytes]] = []
        self._end = b""
        self._ending = False
        self._events: list[tuple[float, dict[str, Any]]] | None = None
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(10)
        self._socket.connect(str(path))
        self._socket.setblocking(False)

    def fileno(self) -> int:
        """Of the socket."""
        return self._socket.fileno()

    def begin(self) -> None:
        """Ask."""
        self._socket.sendall(self._line)

    def readable(self, now: float) -> None:
        """Store what came; see whether it was the last."""
        try:
            data = self._socket.recv(_READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._chunks.append((now, data))
        text = self._end + data
        self._ending |= any(end in text for end in _ENDS)
        if not data or (self._ending and data.endswith(b"\n")):
            self.over_s = now
        self._end = text[-_OVERLAP:]

    def finish(self) -> None:
        """Hang up."""
        self._socket.close()

    # -- afterwards ------------------------------------------------------------------

    def events(self) -> list[tuple[float, dict[str, Any]]]:
        """All that was said, with its time."""
        if self._events is None:
            self._events, rest = [], b""
            for now, data in self._chunks:
                *lines, rest = (rest + data).split(b"\n")
                with suppress(ValueError):
                    self._events += [(now, json.loads(line)) for line in lines]
        return self._events

    def _last(self, *kinds: str) -> dict[str, Any]:
        found = [event for _, event in self.events() if event["event"] in kinds]
        return found[-1] if found else {}

    @property
    def error(self) -> str:
        """Why it failed; empty if it did not."""
        if self._last("done"):
            return ""
        return str(self._last("failed").get("error", "hung up" if self.over_s else "not finished"))

    def progress(self) -> list[tuple[float, int]]:
        """From the events that tell of bytes."""
        return [(now, sum(event["bytes"].values())) for now, event in self.events()
                if "bytes" in event]  # fmt: skip

    def origins(self) -> Mapping[str, int]:
        """As the last event says."""
        told = [event["bytes"] for _, event in self.events() if "bytes" in event]
        return dict(told[-1]) if told else {}

    def notices(self) -> list[str]:
        """What the user would have been told."""
        return [event["text"] for _, event in self.events() if event["event"] == "notice"]

    def file(self) -> Path | None:
        """As the layout says."""
        path = self._last("layout").get("path")
        return None if path is None else Path(path)


class CommandTalk:
    """A command that downloads a file and ends.

    :ivar cpu_s: what it used, and ``peak_mib``, after :meth:`finish`.
    """

    def __init__(self, command: Sequence[str], output: Path) -> None:
        self.over_s: float | None = None
        self.error = "not finished"
        self.cpu_s = self.peak_mib = 0.0
        self._command = command
        self._output = output
        self._sizes: list[tuple[float, int]] = []
        self._child: subprocess.Popen[bytes] | None = None
        self._ours, self._theirs = os.pipe()

    def fileno(self) -> int:
        """Of the pipe that the command holds open while it lives."""
        return self._ours

    def begin(self) -> None:
        """Start it."""
        self._child = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(self._theirs,),
        )
        os.close(self._theirs)

    def readable(self, now: float) -> None:
        """It has ended: there is nothing else to be read."""
        self.over_s = now
        self._reap()
        self.sample(now)

    def sample(self, now: float) -> None:
        """Note how much is there."""
        with suppress(OSError):
            self._sizes.append((now, self._output.stat().st_size))

    def _reap(self) -> None:
        if self._child is None:
            return
        _, status, usage = os.wait4(self._child.pid, 0)
        code = self._child.returncode = os.waitstatus_to_exitcode(status)
        self.error = f"ended with {code}" if code else ""
        self.cpu_s = usage.ru_utime + usage.ru_stime
        self.peak_mib = usage.ru_maxrss / 1024
        self._child = None

    def finish(self) -> None:
        """End it if it runs still."""
        if self._child is not None:
            self._child.kill()
            self._reap()
            self.error = "not finished"
        os.close(self._ours)

    def progress(self) -> list[tuple[float, int]]:
        """From the sizes of the file."""
        return self._sizes

    def origins(self) -> Mapping[str, int]:
        """All from the origin."""
        return {"origin": self._sizes[-1][1]} if self._sizes else {}

    def file(self) -> Path | None:
        """The output."""
        return self._output


def ask(path: Path, request: Mapping[str, Any], until: Sequence[str]) -> dict[str, Any]:
    """Ask over a Unix socket and wait for an event of one of these kinds.

    :raises OSError: nobody answers.
    """
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(60)
        link.connect(str(path))
        link.sendall(json.dumps(request).encode() + b"\n")
        for line in link.makefile("rb"):
            event = json.loads(line)
            if event.get("event") in until:
                return dict(event)
    raise ConnectionResetError(f"{path} hung up")
