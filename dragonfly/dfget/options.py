"""The command line of ``dfget``: flags to checked values, and what it asks the peer for.

Only the standard library and two small modules are imported here; everything that costs
more than a millisecond waits until a flag needs it.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from dragonfly import __version__
from dragonfly.errors import ConfigError
from dragonfly.limits import parse_duration, parse_rate

__all__ = ["CONFIG_FILE", "DEFAULT_HOME", "Options", "ServerOptions", "parse", "parse_server"]

CONFIG_FILE = "/etc/dragonfly/dfget.yml"
"""Read where it exists; flags win over it."""

DEFAULT_HOME = "~/.small-dragonfly"
ALIVE_TIME = "5m"
EXPIRE_TIME = "3m"

_URL = re.compile(r"https?://[^\s/?#]+\S*", re.IGNORECASE)
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x1f\x7f]*)")
# What certainly is a node; anything else is read by dragonfly.config, which costs 30 ms.
_PLAIN_NODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*(:([1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}))?")


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
    parser = _parser()
    given = parser.parse_args(argv)
    try:
        return _checked(given, config_file)
    except ConfigError as error:
        parser.error(str(error))


def parse_server(argv: Sequence[str]) -> ServerOptions:
    """Read the flags of ``dfget server``.

    :raises SystemExit: as :func:`parse`.
    """
    parser = _Parser(
        prog="dfget server",
        description="The peer process of a home: it downloads, keeps and serves pieces.",
        allow_abbrev=False,
    )
    _server_flags(parser)
    parser.add_argument("--verbose", action="store_true", help="log more")
    parser.add_argument("--data", "--meta", help="has no effect: everything is in the home")
    parser.add_argument("--ready-fd", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    options = ServerOptions(verbose=given.verbose, ready_fd=given.ready_fd)
    try:
        _take_server(given, options)
    except ConfigError as error:
        parser.error(str(error))
    return options


# -- the flags -------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    """A parser whose error is one line, not a page of usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\nTry '{self.prog} --help'.\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="dfget",
        usage="dfget [options] URL\n       dfget server [options]\n       dfget version",
        description="Downloads a file through the swarm, or from the origin where there is none.",
        epilog="Rates: 20M, 512K or bytes for each second. Times: 90s, 1m30s. "
        "Exit codes: 0 done, 2 wrong usage, 3 files and disks, 4 network, 5 certificates, "
        "6 access refused, 8 the server's answer, 9 digest, 130 interrupted, 1 anything else.",
        allow_abbrev=False,
    )
    _source_flags(parser)
    _limit_flags(parser)
    _output_flags(parser)
    _server_flags(parser)
    return parser


def _source_flags(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("what to download").add_argument
    add("positional", nargs="?", metavar="URL", help="http or https")
    add("-u", "--url", help="the same, as a flag")
    add("-n", "--node", action="append", metavar="HOST[:8002][=WEIGHT]", help="supernodes")
    add("-m", "--md5", metavar="HEX", help="expected MD5 of the whole file")
    add("--digest", metavar="ALGORITHM:HEX", help="expected md5, sha256, sha512 or blake3")
    add("-i", "--identifier", default="", help="makes a separate task of the same URL")
    add("-f", "--filter", metavar="KEY&KEY", help="query parameters that do not tell files apart")
    add("--header", action="append", metavar="NAME: VALUE", help="for the origin")
    add(
        "--cacerts",
        metavar="FILE",
        help="PEM of authorities for the origin and its redirects",
    )
    add(
        "--insecure",
        action="store_true",
        help="check no certificate of the origin and its redirects",
    )
    choices = ("p2p", "cdn", "source")
    add("-p", "--pattern", choices=choices, default="p2p", help="where bytes may come from")
    add("--notbs", action="store_true", help="never fall back to the origin")
    add("--callsystem", default="", metavar="NAME", help="who calls, for logs and metrics")
    add("--dfdaemon", action="store_true", help="the same as --callsystem dfdaemon")


def _limit_flags(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("limits").add_argument
    add("-s", "--locallimit", metavar="RATE", help="of this download")
    add(
        "--totallimit",
        metavar="RATE",
        help="of all downloads of this home together, and of what it sends",
    )
    add("--minrate", metavar="RATE", help="slower than this, the origin is tried")
    add("-e", "--timeout", metavar="TIME", help="give up after this long")
    add("--clientqueue", metavar="N", help="pieces at once [default: as the supernode says, 8]")


def _output_flags(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("output").add_argument
    add("-o", "-O", "--output", metavar="PATH", help="file, directory, or - for standard output")
    add("-b", "--showbar", action="store_true", help="show progress also without a terminal")
    add("--console", action="store_true", help="say more about what happens")
    add("--verbose", action="store_true", help="say everything; the peer process logs more")
    add("--version", action="version", version=f"dfget {__version__}", help="print it and end")


def _server_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "peer process", "for the process that this home's first download starts"
    )
    add = group.add_argument
    add("--home", default=DEFAULT_HOME, metavar="DIR", help=f"[default: {DEFAULT_HOME}]")
    add("--ip", default="", help="address under which other peers reach this host")
    add("--port", default="0", help="port for other peers [default: any]")
    add("--alivetime", default=ALIVE_TIME, metavar="TIME", help="end when idle for so long; 0: no")
    add("--expiretime", default=EXPIRE_TIME, metavar="TIME", help="drop what is idle for so long")


# -- checking ---------------------------------------------------------------------------


def _checked(given: argparse.Namespace, config_file: str) -> Options:
    options = Options(ready_fd=None)
    options.url = _url(given)
    options.output = given.output
    options.identifier = given.identifier
    options.digest = _digest(given)
    options.filters = [key for key in (given.filter or "").split("&") if key]
    options.headers = [_header(text) for text in given.header or ()]
    options.cacerts = _readable("--cacerts", given.cacerts)
    options.callsystem = given.callsystem or ("dfdaemon" if given.dfdaemon else "")
    for name in ("pattern", "notbs", "insecure", "showbar", "console", "verbose"):
        setattr(options, name, getattr(given, name))
    options.nodes = _nodes(given.node or ())
    options.local_limit = _optional(parse_rate, "--locallimit", given.locallimit)
    options.total_limit = _optional(parse_rate, "--totallimit", given.totallimit)
    options.min_rate = _optional(parse_rate, "--minrate", given.minrate)
    options.timeout = _optional(_positive_time, "--timeout", given.timeout)
    options.client_queue = _optional(_count, "--clientqueue", given.clientqueue)
    _take_server(given, options)
    if os.path.exists(config_file):
        _take_config(config_file, options)
    return options


def _take_server(given: argparse.Namespace, options: ServerOptions) -> None:
    if not given.home:
        raise ConfigError("--home: '' is no directory")
    options.home = os.path.abspath(os.path.expanduser(given.home))
    options.ip = _address(given.ip)
    options.port = _number("--port", given.port, 0, 65535)
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


def _url(given: argparse.Namespace) -> str:
    url = given.url or given.positional
    if not url:
        raise ConfigError("which URL? Give it as the argument or with --url")
    if given.url and given.positional and given.url != given.positional:
        raise ConfigError(f"two URLs: --url {given.url!r} and {given.positional!r}")
    if not _URL.fullmatch(url):
        raise ConfigError(f"URL {url!r}: it must begin with http:// or https:// and a host")
    return str(url)


def _digest(given: argparse.Namespace) -> str | None:
    if given.md5 is None and given.digest is None:
        return None
    if given.md5 is not None and given.digest is not None:
        raise ConfigError("--md5 and --digest: give one of them")
    flag = "--md5" if given.md5 is not None else "--digest"
    if given.identifier:
        raise ConfigError(f"--identifier cannot go with {flag}: the digest tells files apart")
    from dragonfly.task.digest import Digest  # noqa: PLC0415 - most downloads name no digest

    text = f"md5:{given.md5}" if given.md5 is not None else given.digest
    try:
        return str(Digest.parse(text))
    except ConfigError as error:
        raise ConfigError(f"{flag}: {error}") from None


def _header(text: str) -> tuple[str, str]:
    match = _HEADER.fullmatch(text)
    if match is None:  # its value may be a secret, which stays out of terminals and logs
        name = text.partition(":")[0]
        raise ConfigError(f"--header: {name!r} is not the beginning of 'Name: value'")
    return match[1], match[2].rstrip()


def _nodes(texts: Sequence[str]) -> list[str]:
    nodes = [part.strip() for text in texts for part in text.split(",") if part.strip()]
    if not all(_PLAIN_NODE.fullmatch(node) for node in nodes):
        from dragonfly.config import parse_nodes  # noqa: PLC0415 - costs 30 ms, with yaml

        try:
            parse_nodes(",".join(nodes))
        except ConfigError as error:
            raise ConfigError(f"--node: {error}") from None
    return nodes


def _readable(flag: str, path: str | None) -> str | None:
    if path is None:
        return None
    if not os.access(path, os.R_OK) or os.path.isdir(path):
        raise ConfigError(f"{flag}: cannot read {path}")
    return os.path.abspath(path)


def _address(text: str) -> str:
    if not text:
        return ""
    import ipaddress  # noqa: PLC0415 - this flag is rare

    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        raise ConfigError(f"--ip: {text!r} is not an IP address") from None


def _number(flag: str, text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdigit()) or not least <= int(text) <= most:
        raise ConfigError(f"{flag}: {text!r} is not a number from {least} to {most}")
    return int(text)


def _count(text: str, flag: str) -> int:
    return _number(flag, text, 1, 1000)


def _positive_time(text: str, flag: str) -> float:
    seconds = parse_duration(text, flag)
    if seconds <= 0:
        raise ConfigError(f"{flag}: {text!r} leaves no time at all")
    return seconds


def _optional(parser: Callable[[str, str], Any], flag: str, text: str | None) -> Any:
    return None if text is None else parser(text, flag)
