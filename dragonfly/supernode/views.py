"""What the read-only API shows of peers and bans."""

from __future__ import annotations

from datetime import datetime, timezone

import attrs

from dragonfly.sched.bans import Ban
from dragonfly.sched.peers import Peer

__all__ = ["PeerView", "view_of_ban", "view_of_peer"]


@attrs.frozen(kw_only=True)
class PeerView:
    """One peer; ``created`` is RFC 3339, in UTC."""

    key: bytes
    address: str
    port: int
    hostname: str
    version: str
    created: str


def view_of_peer(peer: Peer) -> PeerView:
    """What is shown of a peer."""
    return PeerView(
        key=peer.key,
        address=peer.address,
        port=peer.port,
        hostname=peer.hostname,
        version=peer.version,
        created=_date(peer.created),
    )


def view_of_ban(ban: Ban) -> dict[str, str]:
    """What is shown of a ban, ready for JSON."""
    return {
        "ID": ban.key.hex(),
        "reason": ban.reason,
        "since": _date(ban.since),
        "until": _date(ban.until),
    }


def _date(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, tz=timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
