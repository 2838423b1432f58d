"""Registering downloads with supernodes: what is said, and by whom together."""

from __future__ import annotations

from collections.abc import Mapping

from dragonfly.control.messages import (
    INLINE_BYTES,
    DirectAnswer,
    Holding,
    RegisterAnswer,
    RegisterRequest,
)
from dragonfly.peer.download.download import Download
from dragonfly.peer.equipment import Equipment
from dragonfly.peer.shelf.shelf import Shelf
from dragonfly.peer.swarm.transfer import Transfer
from dragonfly.peer.tracker.registrations import Registrations
from dragonfly.peer.tracker.supernodes import Supernode
from dragonfly.task.identity import Name

__all__ = ["Registered", "Registrar"]

Registered = tuple[Supernode, RegisterAnswer | DirectAnswer]
"""Which supernode answered, and what."""


class Registrar:
    """Registers the downloads of one peer.

    :param shelf: what is in the store.
    :param transfers: what is in work, by task; looked at for each request.
    """

    def __init__(
        self, equipment: Equipment, shelf: Shelf, transfers: Mapping[bytes, Transfer]
    ) -> None:
        self._equipment = equipment
        self._shelf = shelf
        self._transfers = transfers
        self._registrations: Registrations[Registered] = Registrations(equipment.tasks)

    async def register(self, download: Download, name: Name) -> Registered:
        """Register, together with others who ask for the same.

        :raises TrackerUnreachable: no supernode answers; other errors are theirs.
        """
        asked = download.request
        same = (asked.url, asked.headers, asked.filters, asked.identifier, asked.digest)
        key = (asked.nodes, *same, asked.callsystem, asked.pattern, asked.loopback)

        async def register() -> Registered:
            request = self.request(download, name)
            return await self._equipment.supernodes.register(asked.nodes, name.id, request)

        return await self._registrations.ask(key, register)

    def request(self, download: Download, name: Name) -> RegisterRequest:
        """What a registration says."""
        asked = download.request
        return RegisterRequest(
            url=asked.url,
            key=self._equipment.key.public,
            peer=self._equipment.announced(),
            headers=list(asked.headers),
            filters=list(asked.filters),
            identifier=asked.identifier,
            digest=str(asked.digest) if asked.digest is not None else None,
            callsystem=asked.callsystem,
            pattern="cdn" if asked.pattern == "cdn" else "p2p",
            have=self._holding(name),
            inline=INLINE_BYTES,
            loopback=asked.loopback,
        )

    def _holding(self, name: Name) -> Holding | None:
        """What is here of ``name``: of the version in work, else of the one used last."""
        shelved = self._shelf.named(name.id)
        if shelved is None:
            return None
        transfer = self._transfers.get(shelved.task)
        if transfer is not None:
            return transfer.reports.holding() if transfer.content.have else None
        return shelved.holding()
