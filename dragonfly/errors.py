"""The whole exception tree: every error that Dragonfly raises on purpose.

The wire code of a protocol error and the HTTP-independent facts about a failure
(may it be retried, whose fault is it) are attributes of the class, so that the
places that log, ban, retry or answer need no list of types.
"""

from __future__ import annotations

from enum import Enum, IntEnum

__all__ = [
    "AddressRefused",
    "BadControlMessage",
    "BadGrant",
    "BadMagic",
    "BadMessage",
    "BadRun",
    "ClientGone",
    "ConfigError",
    "DigestMismatch",
    "DiskFull",
    "DownloadFailed",
    "DragonflyError",
    "ErrorCode",
    "Fault",
    "FrameTooLarge",
    "HomeBusy",
    "HomeUnusable",
    "JournalCorrupt",
    "ListenError",
    "LocalProtocolError",
    "NoSources",
    "OriginChanged",
    "OriginError",
    "OriginRefused",
    "OriginTimedOut",
    "OriginTruncated",
    "OriginUndecided",
    "OriginUnreachable",
    "OriginUntrusted",
    "OutputError",
    "PeerGone",
    "PeerTimedOut",
    "PieceTruncated",
    "ProtocolError",
    "RemoteProtocolError",
    "StoreError",
    "StoreUnusable",
    "TaskError",
    "TrackerBusy",
    "TrackerError",
    "TrackerLost",
    "TrackerUnreachable",
    "TrustError",
    "UnexpectedMessage",
    "UnknownTask",
    "UnsupportedVersion",
    "VersionUnknown",
]


class Fault(Enum):
    """Whose doing a failure is; a neighbour is dropped only for ``PEER``."""

    OURS = "ours"
    PEER = "peer"
    ORIGIN = "origin"
    USER = "user"


class ErrorCode(IntEnum):
    """Codes that BYE and REJECT carry; ``doc/protocol.rst`` lists their meaning."""

    NO_ERROR = 0
    BAD_MAGIC = 1
    UNSUPPORTED_VERSION = 2
    FRAME_TOO_LARGE = 3
    BAD_MESSAGE = 4
    UNEXPECTED_MESSAGE = 5
    TIMED_OUT = 6
    BAD_GRANT = 7
    GRANT_EXPIRED = 8
    BAD_AUTH = 9
    UNKNOWN_TASK = 10
    MANIFEST_MISMATCH = 11
    BAD_RUN = 12
    WRONG_BYTES = 13
    TOO_MANY_CONNECTIONS = 14
    SHUTTING_DOWN = 15
    INTERNAL = 16
    SELF_CONNECTION = 17
    DUPLICATE_CONNECTION = 18
    BUSY = 32
    GONE = 33
    NOT_ALLOWED = 34


class DragonflyError(Exception):
    """Root of the tree; never raised itself."""

    retryable = False
    fault = Fault.OURS


class ConfigError(DragonflyError):
    """A flag, file or value is wrong; the text names the key and the value."""

    fault = Fault.USER


class ListenError(DragonflyError, SystemExit):
    """A port cannot be listened on; the text names the port and the reason.

    Raised while a service starts, it ends a process that does not catch it with
    the text as its last line and exit code 1.
    """

    fault = Fault.USER

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.code = text


# -- wire ---------------------------------------------------------------------


class ProtocolError(DragonflyError):
    """The piece protocol was violated; ``code`` is what BYE tells the other side."""

    code = ErrorCode.BAD_MESSAGE

    def __init__(self, text: str, code: ErrorCode | None = None) -> None:
        super().__init__(text)
        if code is not None:
            self.code = code


class LocalProtocolError(ProtocolError):
    """Our own code used a session wrongly."""


class RemoteProtocolError(ProtocolError):
    """The other side sent something that the protocol does not allow.

    ``events`` holds what it said before that in the same read; see ``wire.session``.
    """

    fault = Fault.PEER
    events: tuple[object, ...] = ()


class BadMagic(RemoteProtocolError):
    """The connection does not speak the piece protocol."""

    code = ErrorCode.BAD_MAGIC


class UnsupportedVersion(RemoteProtocolError):
    """No protocol version is spoken by both sides."""

    code = ErrorCode.UNSUPPORTED_VERSION


class FrameTooLarge(RemoteProtocolError):
    """A frame announces more bytes than its type may have."""

    code = ErrorCode.FRAME_TOO_LARGE


class BadMessage(RemoteProtocolError):
    """A frame's payload does not decode, or its values are out of range."""

    code = ErrorCode.BAD_MESSAGE


class UnexpectedMessage(RemoteProtocolError):
    """A message that the state table does not allow in this state."""

    code = ErrorCode.UNEXPECTED_MESSAGE


class PeerTimedOut(RemoteProtocolError):
    """The other side did not answer in time."""

    code = ErrorCode.TIMED_OUT
    retryable = True


class BadGrant(RemoteProtocolError):
    """A grant is forged, foreign or expired; the code tells which."""

    code = ErrorCode.BAD_GRANT


class BadRun(RemoteProtocolError):
    """A manifest run is not signed by our supernode or contradicts an earlier one."""

    code = ErrorCode.BAD_RUN


# -- tasks --------------------------------------------------------------------


class TaskError(DragonflyError):
    """A download cannot go on."""


class DigestMismatch(TaskError):
    """The bytes are not those that were promised."""


class PieceTruncated(TaskError):
    """A source ended in the middle of a piece."""

    retryable = True
    fault = Fault.PEER


class NoSources(TaskError):
    """Nobody is left who could send the missing bytes."""

    retryable = True


class UnknownTask(TaskError):
    """The task id names nothing we have."""


# -- disk ---------------------------------------------------------------------


class StoreError(DragonflyError):
    """The store on disk cannot do what was asked."""


class StoreUnusable(StoreError, SystemExit):
    """The store cannot be opened; ends a process that does not catch it, as ListenError does."""

    fault = Fault.USER

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.code = text


class DiskFull(StoreError):
    """No space: the text names the directory, the bytes wanted and the bytes free."""


class JournalCorrupt(StoreError):
    """A journal whose header is not ours; a torn tail is not an error."""


class HomeBusy(StoreError):
    """Another process holds the lock of this home."""

    retryable = True


class HomeUnusable(StoreError):
    """The home directory cannot be created or written."""


class OutputError(StoreError):
    """The user's output file cannot be written."""

    fault = Fault.USER


# -- origin -------------------------------------------------------------------


class OriginError(DragonflyError):
    """The upstream server; ``status`` is its HTTP status, 0 if there was none."""

    fault = Fault.ORIGIN

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


class OriginUnreachable(OriginError):
    """No connection, no answer in time, or a TLS failure."""

    retryable = True


class OriginTimedOut(OriginUnreachable):
    """No connection in time."""


class OriginUntrusted(OriginUnreachable):
    """The origin's certificate is not one that this caller believes."""


class OriginTlsFailed(OriginUnreachable):
    """The origin answered, and there is no speaking TLS with it."""


class OriginUndecided(OriginError):
    """The origin refuses strangers, and says neither yes nor no to these credentials."""

    retryable = True


class OriginRefused(OriginError):
    """The origin answered, and the answer is no (401, 403, 404, 5xx, redirect loop)."""


class OriginChanged(OriginError):
    """The content is another version than the one being transferred."""

    retryable = True


class VersionUnknown(OriginChanged):
    """Nothing tells whether the origin has the version that is here, and the swarm gave it up."""


class OriginTruncated(OriginError):
    """The body ended before, or went on after, the announced length."""

    retryable = True


class AddressRefused(OriginError):
    """A URL leads to an address that we do not fetch for others."""


# -- supernode ----------------------------------------------------------------


class TrackerError(DragonflyError):
    """The supernode answered with an error; ``status`` is the HTTP status."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


class TrackerBusy(TrackerError):
    """The supernode has too much to do; it says after how many seconds to come again."""

    retryable = True

    def __init__(self, text: str, *, retry_after_s: float) -> None:
        super().__init__(text, 503)
        self.retry_after_s = retry_after_s


class TrackerUnreachable(TrackerError):
    """No supernode answered."""

    retryable = True


class TrackerLost(TrackerUnreachable):
    """The connection broke during a call, which may have been carried out or not."""


class TrustError(TrackerError):
    """The supernode's certificate is not the pinned one."""


class BadControlMessage(TrackerError):
    """A control message is not JSON, too long, or has a wrong field; the text names it."""


# -- dfget --------------------------------------------------------------------


class PeerGone(DragonflyError):
    """The peer process of this home cannot be started, or stopped talking to us."""

    retryable = True


class DownloadFailed(DragonflyError):
    """The peer process reports that a download failed.

    ``kind`` is the class of the error over there, ``status`` the HTTP status it carried,
    ``reason`` why the origin was read (0: it was not).
    """

    def __init__(self, text: str, *, kind: str = "", status: int = 0, reason: int = 0) -> None:
        super().__init__(text)
        self.kind = kind
        self.status = status
        self.reason = reason


# -- dfdaemon -----------------------------------------------------------------


class ClientGone(DragonflyError):
    """The client of the proxy hung up, fell silent, or broke the framing of its request."""

    fault = Fault.USER
