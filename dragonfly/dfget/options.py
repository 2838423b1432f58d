"""The command line of ``dfget``: flags to checked values, and what it asks the peer for.

Only the standard library and small modules are imported here; everything that costs more than
a millisecond waits until a flag needs it.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import Any

from dragonfly.dfget import values
from dragonfly.dfget.flags import download_parser, server_parser
from dragonfly.errors import ConfigError
from dragonfly.limits import parse_duration, parse_rate

__all__ = ["CONFIG_FILE", "Options", "ServerOptions", "parse", "parse_server"]

CONFIG_FILE = "/etc/dragonfly/dfget.yml"
"""Read where it exists; flags win over it."""


class ServerOptions(argparse.Namespace):
    """How the peer process of a home runs. Times are seconds."""

    home: str
    ip: str
    port: int
    alivetime: float
    expiretime: float
    verbose: bool
    ready_fd: int | None = None

    def command(self) -> list[str]:
        """The arguments that give another process these options."""
        flags = ["--home", self.home, "--alivetime", f"{self.alivetime:g}"]
        flags += ["--expiretime", f"{self.expiretime:g}", "--port", str(self.port)]
        if self.ip:
            flags += ["--ip", self.ip]
        return [*flags, "--verbose"] if self.verbose else flags


class Options(ServerOptions):
    """What the user wants. Rates are bytes per second, times seconds."""

    url: str
    output: str | None
    nodes: list[str]
    digest: str | None
    identifier: str
    filters: list[str]
    headers: list[tuple[str, str]]
    local_limit: int | None
    total_limit: int | None
    min_rate: int | None
    timeout: float | None
    pattern: str
    notbs: bool
    client_queue: int | None
    cacerts: str | None
    insecure: bool
    showbar: bool
    console: bool
    callsystem: str

    def request(self, version: str) -> dict[str, Any]:
        """The ``get`` message for the peer."""
        return {
            "op": "get",
            "version": version,
            "url": self.url,
            "headers": self.headers,
            "filters": self.filters,
            "identifier": self.identifier,
            "digest": self.digest,
            "pattern": self.pattern,
            "notbs": self.notbs,
            "nodes": self.nodes,
            "locallimit": self.local_limit,
            "totallimit": self.total_limit,
            "minrate": self.min_rate,
            "timeout": self.timeout,
            "clientqueue": self.client_queue,
            "cacerts": self.cacerts,
            "insecure": self.insecure,
            "callsystem": self.callsystem,
        }


def parse(argv: Sequence[str], *, config_file: str = CONFIG_FILE) -> Options:
    """Read the flags of a download, and the configuration file where there is one.

    :raises SystemExit: with code 2 after one line that names the flag and its value, with
        code 0 after ``--help``.
    """
    parser = download_parser()
    given = parser.parse_args(argv)
    try:
        return _checked(given, config_file)
    except ConfigError as error:
        parser.error(str(error))


def parse_server(argv: Sequence[str]) -> ServerOptions:
    """Read the flags of ``dfget server``.

    :raises SystemExit: as :func:`parse`.
    """
    parser = server_parser()
    given = parser.parse_args(argv)
    options = ServerOptions(verbose=given.verbose, ready_fd=given.ready_fd)
    try:
        _take_server(given, options)
    except ConfigError as error:
        parser.error(str(error))
    return options


# -- checking ---------------------------------------------------------------------------


def _checked(given: argparse.Namespace, config_file: str) -> Options:
    options = Options(ready_fd=None)
    options.url = values.chosen_url(given.url, given.positional)
    options.output = given.output
    options.identifier = given.identifier
    options.digest = values.chosen_digest(given.md5, given.digest, given.identifier)
    options.filters = [key for key in (given.filter or "").split("&") if key]
    options.headers = [values.header(text) for text in given.header or ()]
    options.cacerts = values.readable("--cacerts", given.cacerts)
    options.callsystem = given.callsystem or ("dfdaemon" if given.dfdaemon else "")
    for name in ("pattern", "notbs", "insecure", "showbar", "console", "verbose"):
        setattr(options, name, getattr(given, name))
    options.nodes = values.nodes(given.node or ())
    options.local_limit = values.optional(parse_rate, "--locallimit", given.locallimit)
    options.total_limit = values.optional(parse_rate, "--totallimit", given.totallimit)
    options.min_rate = values.optional(parse_rate, "--minrate", given.minrate)
    options.timeout = values.optional(values.positive_time, "--timeout", given.timeout)
    options.client_queue = values.optional(values.count, "--clientqueue", given.clientqueue)
    _take_server(given, options)
    if os.path.exists(config_file):
        _take_config(config_file, options)
    return options


def _take_server(given: argparse.Namespace, options: ServerOptions) -> None:
    if not given.home:
        raise ConfigError("--home: '' is no directory")
    options.home = os.path.abspath(os.path.expanduser(given.home))
    options.ip = values.address(given.ip)
    options.port = values.number("--port", given.port, 0, 65535)
    options.alivetime = parse_duration(given.alivetime, "--alivetime")
    options.expiretime = parse_duration(given.expiretime, "--expiretime")
    options.verbose = given.verbose


def _take_config(path: str, options: Options) -> None:
    """Fill what no flag said from the file."""
    from dragonfly.config import load_dfget_config  # noqa: PLC0415 - costs 30 ms, with yaml

    config = load_dfget_config(path)
    options.nodes = options.nodes or [f"{node}={node.weight}" for node in config.nodes]
    for name in ("local_limit", "total_limit", "min_rate", "client_queue"):
        if getattr(options, name) is None:
            setattr(options, name, getattr(config, name))
