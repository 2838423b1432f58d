"""``twistd dfdaemon``: options to a configuration, a configuration to services."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

from twisted.application.service import IService
from twisted.internet.defer import Deferred
from twisted.python import usage

from dragonfly.config import DaemonConfig, load_daemon_config
from dragonfly.errors import DragonflyError
from dragonfly.net.activation import environment_at_start, inherited
from dragonfly.net.allocator import keep_buffers
from dragonfly.net.collector import pass_over_what_is_there
from dragonfly.net.hangup import Hangup
from dragonfly.net.notify import Notices
from dragonfly.net.openfiles import allow_open_files
from dragonfly.net.proxies import Proxies
from dragonfly.net.secondsignal import die_of_the_second, hurry_at_the_first
from dragonfly.taps.commandline import next_twistd_command

__all__ = ["DEFAULT_FILE", "Options", "makeService"]

DEFAULT_FILE = Path("/etc/dragonfly/dfdaemon.yml")
"""Read when it is there and ``--config`` names no other."""


Command = Callable[[str, Sequence[str], Sequence[str]], Sequence[str]]
"""See :mod:`dragonfly.taps.commandline`."""


class Options(usage.Options):
    """The flags of v1; all have their key in ``dfdaemon.yml``."""

    synopsis = "[--config FILE] [--registry URL] [--node HOST[:8002]]... [options]"
    longdesc = (
        "Stands between a container engine and its registry: layers come through the swarm, "
        "everything else is passed on. Flags win over the file, the file over the defaults. "
        "Rates are bytes per second with G, M, K as powers of 1024; a port of 0 is any."
    )

    optParameters = [  # noqa: N815
        ["config", None, None, f"YAML file [default: {DEFAULT_FILE}, if it is there]"],
        ["registry", None, None, "whose images are pulled [default: https://index.docker.io]"],
        ["port", None, None, "port of the mirror [default: 65001]"],
        ["hostIp", None, None, "address to listen on [default: 127.0.0.1]"],
        ["certpem", None, None, "certificate of the mirror, which then speaks TLS as well"],
        ["keypem", None, None, "its key"],
        ["httpsPort", None, None, "port that speaks TLS only, with --certpem [default: 65004]"],
        ["peerPort", None, None, "port of the piece protocol [default: 65002]"],
        ["peerIp", None, None, "address under which other peers reach this host"],
        ["statusPort", None, None, "port of /metrics and /healthy [default: 65003]"],
        ["statusIp", None, None, "address that it listens on [default: as --hostIp]"],
        ["ratelimit", None, None, "of all downloads together, and of uploads [default: none]"],
        ["workHome", None, None, "home of the peer [default: ~/.small-dragonfly]"],
        ["localrepo", None, None, "where layers are kept [default: in the home]"],
        ["drainTime", None, None, "answers may go on so long when it ends [default: 25s]"],
        ["callsystem", None, None, "has no effect here"],
        ["dfpath", None, None, "has no effect here"],
        ["maxprocs", None, None, "has no effect here"],
        ["rule", None, None, "has no effect here"],
        ["trust-hosts", None, None, "has no effect here"],
        ["urlfilter", None, None, "has no effect here"],
    ]
    optFlags = [  # noqa: N815
        ["prefetch", None, "fetch all of a content of which a part is asked for"],
        ["verbose", None, "log more"],
        ["takeover", None, "replace the dfdaemon that runs in this home, and drop no pull"],
        ["streamMode", None, "has no effect here"],
        ["notbs", None, "has no effect here"],
    ]

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._nodes: list[str] = []

    def opt_node(self, text: str) -> None:
        """supernodes, as HOST[:8002][=WEIGHT]; may be given several times"""
        self._nodes.append(text)

    opt_n = opt_node

    def config(self) -> DaemonConfig:
        """Everything together.

        :raises ConfigError: naming the flag, or file, line and key.
        """
        path = self["config"]
        file = Path(path) if path is not None else DEFAULT_FILE if DEFAULT_FILE.is_file() else None
        switches = {str(name) for name, _, _ in self.optFlags}
        flags = {key: text for key, text in self.items() if key not in {"config", *switches}}
        flags |= {name: "true" for name in switches - {"takeover"} if self[name]}
        flags["node"] = ",".join(self._nodes) or None
        return load_daemon_config(file, flags)

    def postOptions(self) -> None:
        """Check everything while the user still looks at the terminal."""
        try:
            self.parsed = self.config()
        except DragonflyError as error:
            raise usage.UsageError(str(error)) from None


def makeService(
    options: Options,
    reactor: Any = None,
    environment: Mapping[str, str] = os.environ,
    *,
    command: Command = next_twistd_command,
) -> IService:
    """Compose the daemon.

    :param reactor: for tests; by default the one that ``twistd`` runs.
    :param environment: names the proxies that origins are reached through, and what the
        service manager hands in.
    :param command: gives what another process that takes the place of this one is run with.
    :raises SystemExit: it cannot run here; the text is all the user needs.
    """
    from dragonfly.daemon.composition import make_daemon  # noqa: PLC0415 - imports much
    from dragonfly.daemon.lifetime.renewal import Renewal  # noqa: PLC0415
    from dragonfly.daemon.ports import SOCKETS  # noqa: PLC0415

    allow_open_files()
    keep_buffers()
    if reactor is None:
        from twisted.internet import reactor  # noqa: PLC0415 - installs it

        pass_over_what_is_there()
    try:
        daemon = make_daemon(
            options.parsed,
            reactor,
            proxies=Proxies.of(environment),
            opened=inherited({**environment_at_start(), **environment}, SOCKETS, pid=os.getpid()),
            takeover=bool(options["takeover"]),
        )
    except DragonflyError as error:
        raise SystemExit(f"dfdaemon: {error}") from None
    notices = Notices.of(environment, os.getpid())
    notices.follow(reactor)
    die_of_the_second(reactor)
    hangup = Hangup(reactor, options.config, daemon.reconfigure, notices=notices)
    hangup.setServiceParent(daemon)  # type: ignore[no-untyped-call]
    again = partial(command, sys.executable, sys.orig_argv, sys.argv)
    renewal = Renewal(reactor, again, environment, pid=os.getpid())
    renewal.setServiceParent(daemon)  # type: ignore[no-untyped-call]

    def hand_on(pid: int | None) -> Deferred[None]:
        """End, and first have the service manager look after the other one."""
        hurry_at_the_first(reactor, daemon.hurry)
        ours = renewal.let_go(pid)
        return ours.addCallback(lambda yes: notices.pass_on(pid) if yes and pid else None)

    daemon.finished.wait().addCallback(hand_on).addCallback(lambda _: reactor.stop())
    return cast("IService", daemon)
