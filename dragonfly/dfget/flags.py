"""The flags that ``dfget`` and ``dfget server`` take, and what their help says."""

from __future__ import annotations

import argparse
from typing import NoReturn

from dragonfly import __version__

__all__ = ["DEFAULT_HOME", "download_parser", "server_parser"]

DEFAULT_HOME = "~/.small-dragonfly"
ALIVE_TIME = "5m"
EXPIRE_TIME = "3m"


class _Parser(argparse.ArgumentParser):
    """A parser whose error is one line, not a page of usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\nTry '{self.prog} --help'.\n")


def download_parser() -> argparse.ArgumentParser:
    """The flags of a download."""
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


def server_parser() -> argparse.ArgumentParser:
    """The flags of ``dfget server``."""
    parser = _Parser(
        prog="dfget server",
        description="The peer process of a home: it downloads, keeps and serves pieces.",
        allow_abbrev=False,
    )
    _server_flags(parser)
    parser.add_argument("--verbose", action="store_true", help="log more")
    parser.add_argument("--data", "--meta", help="has no effect: everything is in the home")
    parser.add_argument("--ready-fd", type=int, help=argparse.SUPPRESS)
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
