"""``twistd supernode``: options to a configuration, a configuration to services."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from twisted.application.service import IService
from twisted.python import usage

from dragonfly.config import SupernodeConfig, load_supernode_config
from dragonfly.errors import DragonflyError
from dragonfly.net.allocator import keep_buffers
from dragonfly.net.collector import pass_over_what_is_there
from dragonfly.net.hangup import Hangup
from dragonfly.net.notify import Notices
from dragonfly.net.openfiles import allow_open_files
from dragonfly.net.proxies import Proxies
from dragonfly.net.secondsignal import die_of_the_second

__all__ = ["DEFAULT_FILE", "Options", "makeService"]

DEFAULT_FILE = Path("/etc/dragonfly/supernode.yml")
"""Read when it is there and ``--config`` names no other."""


class Options(usage.Options):
    """The flags of v1 that concern what exists; all have their key in ``supernode.yml``."""

    synopsis = "[--config FILE] [--home-dir DIR] [--port N] [--download-port N] [options]"
    longdesc = (
        "Runs a supernode: peers register here, learn whom to connect to, and get the pieces "
        "that no other peer has. Flags win over the file, the file over the defaults. "
        "Rates are bytes per second with G, M, K as powers of 1024."
    )

    optParameters = [  # noqa: N815
        ["config", None, None, f"YAML file [default: {DEFAULT_FILE}, if it is there]"],
        ["port", None, None, "HTTP port, TLS and plain on one; 0: any [default: 8002]"],
        ["download-port", None, None, "port of the piece protocol; 0: any [default: 8001]"],
        ["home-dir", None, None, "directory for keys and contents"],
        ["advertise-ip", None, None, "address under which peers reach the piece port"],
        ["up-limit", None, None, "upload slots of the CDN [default: 8]"],
        ["down-limit", None, None, "pieces that a peer asks for at once [default: 12]"],
        ["max-bandwidth", None, None, "cap on the host's rate [default: none]"],
        ["system-bandwidth", None, None, "part of it that origins are not read with [default: 0]"],
        ["fail-access-interval", None, None, "an unreachable URL rests that long [default: 5s]"],
        ["task-expire-time", None, None, "an idle task leaves memory after that [default: 3m]"],
        ["peer-gc-delay", None, None, "a silent peer is forgotten after that [default: 3m]"],
    ]
    optFlags = [["debug", "D", "log every request"]]  # noqa: N815

    def config(self) -> SupernodeConfig:
        """Everything together.

        :raises ConfigError: naming the flag, or file, line and key.
        """
        path = self["config"]
        file = Path(path) if path is not None else DEFAULT_FILE if DEFAULT_FILE.is_file() else None
        flags = {key: value for key, value in self.items() if key not in ("config", "debug")}
        return load_supernode_config(file, {**flags, "debug": "true" if self["debug"] else None})

    def postOptions(self) -> None:
        """Check everything while the user still looks at the terminal."""
        try:
            self.parsed = self.config()
        except DragonflyError as error:
            raise usage.UsageError(str(error)) from None


def makeService(
    options: Options, reactor: Any = None, environment: Mapping[str, str] = os.environ
) -> IService:
    """Compose the supernode.

    :param reactor: for tests; by default the one that ``twistd`` runs.
    :param environment: names the proxies that origins are reached through, and the service
        manager's socket.
    :raises SystemExit: the home cannot be used; the text is all the user needs.
    """
    from dragonfly.supernode.service import make_supernode  # noqa: PLC0415 - imports klein

    allow_open_files()
    keep_buffers()
    if reactor is None:
        from twisted.internet import reactor  # noqa: PLC0415 - installs it

        pass_over_what_is_there()
    try:
        supernode = make_supernode(options.parsed, reactor, proxies=Proxies.of(environment))
    except DragonflyError as error:
        raise SystemExit(f"supernode: {error}") from None
    notices = Notices.of(environment, os.getpid())
    notices.follow(reactor)
    die_of_the_second(reactor)
    hangup = Hangup(reactor, options.config, supernode.reconfigure, notices=notices)
    hangup.setServiceParent(supernode)  # type: ignore[no-untyped-call]
    return cast("IService", supernode)
