"""The contents that this home reads alone: found again, shared by who asks at once.

What is kept of them is used again only for the same caller, in the same boot of this
machine (nobody signed for these bytes, so nothing could tell what a loss of power did to
them), and if the origin says that it still is the same version.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from weakref import WeakValueDictionary

import attrs
from blake3 import blake3
from twisted.internet.defer import DeferredLock

from dragonfly.control.messages import Validator
from dragonfly.errors import OriginChanged
from dragonfly.net.originbody import OriginBody
from dragonfly.net.reply import strong
from dragonfly.peer.equipment import Equipment
from dragonfly.peer.origin.client import Client
from dragonfly.peer.origin.originstream import OriginSource
from dragonfly.peer.shelf.boot import boot_id
from dragonfly.peer.shelf.shelf import Shelf
from dragonfly.peer.swarm.solo import Solo
from dragonfly.signatures import SigningKey
from dragonfly.store.piecestore import TaskFile
from dragonfly.task.identity import Name
from dragonfly.task.layout import choose_piece_size

__all__ = ["SoloDesk", "SoloRequest", "local_id"]

_CONTEXT = b"dragonfly local task 1\0"


def local_id(key: SigningKey, name: Name, source: OriginSource, *, trust: str) -> bytes:
    """Give the id under which this home keeps what this caller reads alone.

    Callers with other credentials have other ids. The home's secret goes in, so that the
    id tells nobody who guesses whether he guessed a password.
    """
    hasher = blake3(_CONTEXT, key=key.to_bytes())
    for part in (name.text, source.url, trust, *(each for pair in source.headers for each in pair)):
        data = part.encode("utf-8", "surrogateescape")
        hasher.update(len(data).to_bytes(4, "big") + data)
    return hasher.digest()


@attrs.frozen(kw_only=True)
class SoloRequest:
    """What is to be read, and how.

    :ivar trust: tells apart callers who believe different servers.
    :ivar private: it is not to be kept when nobody uses it any more.
    """

    source: OriginSource
    trust: str = ""
    private: bool = False


class SoloDesk:
    """Opens contents that are read alone; who asks for the same at once shares one."""

    def __init__(self, equipment: Equipment, shelf: Shelf) -> None:
        self._equipment = equipment
        self._shelf = shelf
        self._open: dict[bytes, Solo] = {}
        self._turns: WeakValueDictionary[bytes, DeferredLock] = WeakValueDictionary()
        self._private: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Solo]:
        return iter(list(self._open.values()))

    async def join(self, client: Client, name: Name, asked: SoloRequest) -> Solo:
        """Have ``client`` join a content that is being read, or begin to read it.

        :raises OriginError: the origin does not give it.
        :raises StoreError: there is no room for it.
        """
        task = local_id(self._equipment.key, name, asked.source, trust=asked.trust)
        async with self._turns.setdefault(task, DeferredLock()):
            solo = self._open.get(task)
            if solo is None or not solo.joinable:
                solo = await self._begin(task, asked)
            solo.join(client)
            if asked.private:
                self._private.add(task)
            return solo

    def stop(self) -> None:
        """Read nothing any more; what is on disk stays."""
        for solo in self:
            solo.stop()
            self._unused(solo)

    async def _begin(self, task: bytes, asked: SoloRequest) -> Solo:
        old = self._open.pop(task, None)
        if old is not None:  # its clients have all of it, or know that it failed
            old.stop()
            content = old.content
            self._shelf.give_back(content.file, content.extra, keep=not content.spoilt)
        body = await self._resumed(task, asked)
        return body if body is not None else await self._anew(task, asked)

    async def _resumed(self, task: bytes, asked: SoloRequest) -> Solo | None:
        """Go on with what is here, if it is of the version that the origin has now."""
        file = await self._usable(task)
        if file is None:
            return None
        validator = _validator(file.meta, file.length)
        first = file.recorded.first_gap()
        start = first * file.piece_size
        if file.length is not None:
            start = min(start, file.length)
        try:
            body = await asked.source.client.get(
                asked.source.url, asked.source.headers, start=start, validator=validator
            )
        except OriginChanged:
            self._shelf.give_back(file, file.recorded, keep=False)
            return None
        except BaseException:
            self._shelf.give_back(file, file.recorded)
            raise
        return self._solo(file, asked, validator, body)

    async def _usable(self, task: bytes) -> TaskFile | None:
        """What an earlier run left, if nothing can have happened to it since."""
        shelved = self._shelf.get(task)
        if shelved is None or shelved.meta.get("boot") != boot_id() or not boot_id():
            return None
        if strong(shelved.meta.get("etag")) is None:
            return None
        return await self._shelf.load(task)

    async def _anew(self, task: bytes, asked: SoloRequest) -> Solo:
        body = await asked.source.client.get(asked.source.url, asked.source.headers)
        reply = body.reply
        meta = {"etag": reply.etag, "last_modified": reply.last_modified, "boot": boot_id()}
        try:
            size = choose_piece_size(reply.length)
            file = await self._shelf.create(task, size, reply.length, meta)
        except BaseException:
            body.close()
            raise
        return self._solo(file, asked, _validator(meta, reply.length), body)

    def _solo(
        self, file: TaskFile, asked: SoloRequest, validator: Validator, body: OriginBody
    ) -> Solo:
        solo = Solo(self._equipment, file, asked.source, validator, self._unused)
        self._open[file.task] = solo
        solo.start(body)
        return solo

    def _unused(self, solo: Solo) -> None:
        """Nobody wants it now. What must not be shared is not kept once somebody had it."""
        content = solo.content
        if self._open.get(solo.task) is solo:
            del self._open[solo.task]
            keep = not content.spoilt
            keep = keep and not (content.finished and solo.task in self._private)
            self._shelf.give_back(content.file, content.extra, keep=keep)
            self._private.discard(solo.task)


def _validator(meta: dict[str, Any], length: int | None) -> Validator:
    return Validator(etag=meta.get("etag"), last_modified=meta.get("last_modified"), length=length)
