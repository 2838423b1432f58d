"""What the user reads at the end, and what scripts read: the last line and the exit code."""

from __future__ import annotations

from dragonfly.dfget.client import Result
from dragonfly.errors import (
    ConfigError,
    DiskFull,
    DownloadFailed,
    StoreError,
)

__all__ = [
    "EXIT_OK",
    "EXIT_USAGE",
    "exit_code",
    "failure_line",
    "failure_reason",
    "origin_reason",
    "size",
    "success_line",
    "summary",
]

# The codes that wget gives, so that scripts which know it understand us; 9 is ours.
EXIT_OK = 0
EXIT_OTHER = 1
EXIT_USAGE = 2
EXIT_FILES = 3
EXIT_NETWORK = 4
EXIT_TRUST = 5
EXIT_ACCESS = 6
EXIT_SERVER = 8
EXIT_DIGEST = 9

_BY_KIND = {
    "AddressRefused": EXIT_ACCESS,
    "ConfigError": EXIT_USAGE,
    "DigestMismatch": EXIT_DIGEST,
    "DiskFull": EXIT_FILES,
    "HomeUnusable": EXIT_FILES,
    "NoSources": EXIT_NETWORK,
    "OriginChanged": EXIT_SERVER,
    "OriginRefused": EXIT_SERVER,
    "OriginTruncated": EXIT_SERVER,
    "OriginUnreachable": EXIT_NETWORK,
    "OriginUntrusted": EXIT_TRUST,
    "StoreError": EXIT_FILES,
    "TimedOut": EXIT_NETWORK,
    "TrackerError": EXIT_NETWORK,
    "TrackerUnreachable": EXIT_NETWORK,
    "TrustError": EXIT_TRUST,
    "VersionUnknown": EXIT_SERVER,
}

# Why the origin was read, with the numbers of v1. Two of them are known only here.
REASON_NO_SPACE = 4
REASON_WRITE = 6
_REASONS = {
    1: "the supernode refused the registration",
    2: "the digest did not match",
    3: "the swarm failed or was too slow",
    5: "the start failed",
    7: "no address of this host",
    8: "no supernode",
    10: "the supernode could not read the origin",
    100: "as asked",
}

_SOURCES = {
    "cache": "that were here already",
    "cdn": "from the CDN",
    "peers": "from peers",
    "origin": "from the origin",
}


def size(count: float) -> str:
    """``1536`` as ``1.5 KiB``."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.2f} GiB"


def summary(path: str, result: Result, seconds: float) -> str:
    """One sentence on what happened: how much, how fast, from where, and why from there."""
    length, sources = result.length, result.sources
    text = f"{path}: {size(length)} in {seconds:.2f} s ({size(length / max(seconds, 1e-3))}/s)"
    parts = [f"{size(sources[kind])} {words}" for kind, words in _SOURCES.items() if sources[kind]]
    if parts:
        text += ": " + ", ".join(parts)
    if sources["origin"] and result.reason:
        text += f" ({origin_reason(result.reason)})"
    return text


def origin_reason(reason: int) -> str:
    """What a reason's number means."""
    return _REASONS.get(reason, f"reason {reason}")


def success_line(seconds: float, length: int, reason: int) -> str:
    """The last line of v1 for success."""
    return f"download SUCCESS cost:{seconds:.3f}s length:{length} reason:{reason}"


def failure_line(code: int, seconds: float, length: int, reason: int, error: str) -> str:
    """The last line of v1 for failure; ``code`` is the exit code too."""
    text = " ".join(error.split())
    return f"download FAIL({code}) cost:{seconds:.3f}s length:{length} reason:{reason} error:{text}"


def exit_code(error: Exception) -> int:
    """The exit code that tells scripts what kind of failure it was."""
    if isinstance(error, DownloadFailed):
        return _by_status(error)
    if isinstance(error, StoreError):
        return EXIT_FILES
    if isinstance(error, ConfigError):
        return EXIT_USAGE
    return EXIT_OTHER


def failure_reason(error: Exception) -> int:
    """The reason's number that goes with a failure."""
    if isinstance(error, DownloadFailed):
        return REASON_NO_SPACE if error.kind == DiskFull.__name__ else error.reason
    if isinstance(error, DiskFull):
        return REASON_NO_SPACE
    return REASON_WRITE if isinstance(error, StoreError) else 0


def _by_status(error: DownloadFailed) -> int:
    if error.status in (401, 403, 407):
        return EXIT_ACCESS
    if error.status >= 400:
        return EXIT_SERVER
    return _BY_KIND.get(error.kind, EXIT_OTHER)
