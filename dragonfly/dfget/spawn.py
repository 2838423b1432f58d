"""Finding the peer process of a home, or starting it.

Nothing is decided here: the process that gets the home's lock is the peer, and only the
holder of the lock touches the socket. So when several commands start one at once, all but
one of these processes find the lock taken and end, and all commands meet the one.

A peer of another version is used as it is, because the conversation only ever gains fields
and events; but when it has nothing to do, it is asked to end and ours takes the home.
"""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable

from dragonfly import __version__
from dragonfly.dfget.client import ANSWER_S, Conversation, connect
from dragonfly.dfget.options import ServerOptions
from dragonfly.dfget.progress import Console
from dragonfly.errors import HomeUnusable, PeerGone
from dragonfly.peer.home.sockpath import socket_path

__all__ = ["LOG_NAME", "START_S", "Background", "launch"]

LOG_NAME = "peer.log"
"""The peer's log, in its home."""

START_S = 30.0
"""A peer that is not ready by then will not be."""

_POLL_S = 0.02
_TURN_S = 1.0
"""How long to wait for somebody else's peer before trying to start one again."""


class Background:
    """The peer process of a home, shared by all commands that name this home.

    :param options: for the process, if it has to be started; one that runs keeps its own.
    """

    again = True

    def __init__(
        self,
        options: ServerOptions,
        console: Console,
        *,
        clock: Callable[[], float] = time.monotonic,
        start: Callable[[ServerOptions], tuple[str, str]] | None = None,
    ) -> None:
        self._options = options
        self._console = console
        self._clock = clock
        self._start = start or launch
        self._path = str(socket_path(options.home))
        self._replaced = False

    def talk(self) -> Conversation:
        """A conversation with the peer, which is started if there is none.

        :raises HomeUnusable: it cannot run in this home; the text says why.
        :raises PeerGone: it is there and does not answer, or never became ready.
        """
        deadline = self._clock() + START_S
        while self._clock() < deadline:
            talk = self.find()
            if talk is not None:
                return talk
            word, text = self._start(self._options)
            self._console.debug(f"started a peer process: {word} {text}".rstrip())
            if word == "busy":
                self._wait_for_socket()
            elif word != "ready":
                raise HomeUnusable(text)
        raise PeerGone(
            f"the process that holds the home {self._options.home} did not open "
            f"{self._path} within {START_S:g} s"
        )

    def find(self) -> Conversation | None:
        """A conversation with a peer that runs already, or ``None``.

        :raises PeerGone: it is there and does not answer.
        """
        sock = connect(self._path)
        if sock is None:
            return None
        talk = Conversation(sock)
        asked = self._clock()
        try:
            pong = talk.ask("ping", "pong")
            if pong.get("version") == __version__ or not self._replace(talk, pong):
                self._console.debug(f"using the peer process {pong.get('pid')}")
                return talk
        except PeerGone as error:
            talk.close()
            if self._clock() - asked >= ANSWER_S:
                raise PeerGone(f"{error}; its home is {self._options.home}") from None
            return None  # it was just ending
        talk.close()
        return None

    def _replace(self, talk: Conversation, pong: dict[str, object]) -> bool:
        """Ask a peer of another version to end if nobody needs it; tell whether it does."""
        status = talk.ask("status", "status")
        busy = status.get("clients", 2) != 1 or status.get("uploading", True)
        if busy or self._replaced:
            self._console.info(f"the running peer process is of version {pong.get('version')}")
            return False
        self._replaced = True
        self._console.info(f"replacing the idle peer process of version {pong.get('version')}")
        talk.ask("stop", "stopping")
        return True

    def _wait_for_socket(self) -> None:
        """Somebody else has the lock: wait until its socket answers, or for a while."""
        until = self._clock() + _TURN_S
        while self._clock() < until:
            sock = connect(self._path)
            if sock is not None:
                sock.close()
                return
            time.sleep(_POLL_S)


def launch(options: ServerOptions) -> tuple[str, str]:
    """Start ``dfget server`` as a process of its own and wait for its word.

    It has its own session, so that Ctrl-C does not reach it; no descriptor of ours; ``/`` as
    its directory, so that it keeps no file system busy and imports nothing from wherever the
    command was typed; its output goes to the log in the home.

    :returns: ``ready``, ``busy`` (another process has the home) or ``failed``, and a text.
    """
    import subprocess  # noqa: PLC0415 - needed once in five minutes

    log = os.path.join(options.home, LOG_NAME)
    try:
        os.makedirs(options.home, mode=0o700, exist_ok=True)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        return "failed", f"home {options.home} cannot be used: {error.strerror or error}"
    ours, theirs = os.pipe()
    try:
        flags = [*options.command(), "--ready-fd", str(theirs)]
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and flags
            [sys.executable, "-m", "dragonfly.dfget", "server", *flags],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            env=_environment(),
            pass_fds=(theirs,),
            start_new_session=True,
        )
        child.returncode = 0  # it outlives us: nobody waits for it
    except OSError as error:
        os.close(ours)
        return "failed", f"cannot start {sys.executable}: {error.strerror or error}"
    finally:
        os.close(output)
        os.close(theirs)
    return _first_word(ours, log)


def _first_word(ready: int, log: str) -> tuple[str, str]:
    """Read what the new process says of itself; it closes the pipe after that."""
    text = b""
    deadline = time.monotonic() + START_S
    try:
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([ready], [], [], left)[0]:
                break
            data = os.read(ready, 4096)
            if not data:
                break
            text += data
    finally:
        os.close(ready)
    word, _, rest = text.decode("utf-8", "replace").strip().partition(" ")
    if word in ("ready", "busy", "failed"):
        return word, rest
    return "failed", f"the peer process did not start, see {log}"


def _environment() -> dict[str, str]:
    """Ours, with the way to this package if it was found beside the command only."""
    environment = dict(os.environ)
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    if sys.path and os.path.abspath(sys.path[0]) == root:
        paths = [root, environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    return environment
