"""A network with registries, a supernode, hosts with dfdaemon, and all clients."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs

from tests.e2e.rig.authority import Authority
from tests.e2e.rig.cargo import Cargo, contents
from tests.e2e.rig.cells import Cell
from tests.e2e.rig.containerds import Cri, Ctr
from tests.e2e.rig.containersimage import Buildah, Podman, Skopeo
from tests.e2e.rig.daemon import Dfdaemon
from tests.e2e.rig.docker import Build, Docker, Dockerd
from tests.e2e.rig.files import MIB
from tests.e2e.rig.gallery import Gallery
from tests.e2e.rig.images import Blob, Image
from tests.e2e.rig.network import Network
from tests.e2e.rig.scene import Scene
from tests.e2e.rig.sites import NAMES, PLACES, SITES, Site, Sites
from tests.e2e.rig.supernode import Supernode
from tests.e2e.rig.way import DEAD, Engine, Outcome, Pusher, Way

__all__ = ["Town", "User"]


_RULES = (r"cdn\.test:\d+/(files|lfs|foreign)/", r"\.(whl|deb|tgz)$")
"""Further URLs that go through the swarm."""


class User:
    """A host with dfdaemons and clients on it; what is needed is started when it is."""

    def __init__(self, town: Town, name: str) -> None:
        self._town = town
        self.host = town.network.host(name)
        self.host.environment["SSL_CERT_FILE"] = str(town.authority.path)
        self._daemons: dict[str, Dfdaemon] = {}
        dockers = self._dockers = dict[tuple[str, str], Docker]()
        self._makers = {
            "skopeo": lambda: Skopeo(self.host),
            "podman": lambda: Podman(self.host),
            "buildah": lambda: Buildah(self.host),
            "ctr": lambda: Ctr(self.host),
            "CRI": lambda: Cri(self.host),
            "dockerd": lambda: Dockerd(self.host, dockers),
            "docker build": lambda: Build(self.host, dockers, kit=False),
            "BuildKit": lambda: Build(self.host, dockers, kit=True),
        }
        self._engines: dict[str, Engine] = {}

    def close(self) -> None:
        """End the dfdaemons without the seconds that they give to what is under way."""
        for daemon in self._daemons.values():
            daemon.kill()

    def engine(self, name: str) -> Engine:
        """A client."""
        if name not in self._engines:
            self._engines[name] = self._makers[name]()
        return self._engines[name]

    def daemon(self, cell: Cell) -> Dfdaemon:
        """The dfdaemon that a cell goes through."""
        key = f"{cell.mode}-{cell.site}" if cell.mode == "mirror" else cell.mode
        if key not in self._daemons:
            settings = self._town.settings(cell)
            node = f"{self._town.network.address}:{self._town.supernode.http}"
            name = f"{self.host.name}-{key}"
            self._daemons[key] = Dfdaemon(self.host, name, "", node, settings=settings)
        return self._daemons[key]

    def way(self, cell: Cell, through: str = "") -> Way:
        """How a cell's client reaches its registry; ``through``: some other dfdaemon."""
        site = PLACES[cell.site]
        return Way(
            host=self.host,
            mode=cell.mode,
            site=site,
            through=through or self.daemon(cell).netloc,
            trust=self._town.trust if cell.mode == "intercept" else self._town.authority.path,
        )

    def pull(self, cell: Cell, image: Image, *, through: str = "") -> Outcome:
        """Put an image into all registries, and pull it."""
        reference = self._town.put(image)
        return self.again(cell, reference, image, through=through)

    def again(self, cell: Cell, reference: str, image: Image, *, through: str = "") -> Outcome:
        """Pull what is there."""
        way = self.way(cell, through)
        return self.engine(cell.client).pull(way, reference, image)

    def push(self, cell: Cell, reference: str, size: int = MIB, *, through: str = "") -> Outcome:
        """Push a new image to ``repository:tag``, and compare its files.

        :param size: of its layer.
        """
        gallery, (name, tag) = self._town.gallery, reference.rsplit(":", 1)
        own = f"push-{gallery.seed()}"
        image = gallery.image(gallery.layer(size, seed=gallery.seed()), tag=own)
        cargo = Cargo(layout=gallery, image=image, tag=own)
        engine = self.engine(cell.client)
        assert isinstance(engine, Pusher)
        outcome = engine.push(self.way(cell, through), reference, cargo)
        if not outcome.good:
            return outcome
        there = map(contents, self._town.sites.storage.layers(name, tag))
        return outcome.checked(list(there), [contents(cargo.layer)])

    def astray(self, cells: Sequence[Cell]) -> dict[Cell, Outcome]:
        """Pull all at once where dfdaemon should be and nobody is; each has another client."""
        images = [self._town.gallery.fresh() for _ in cells]
        references = [self._town.put(image) for image in images]
        for cell in cells:
            self.engine(cell.client)
        with ThreadPoolExecutor(len(cells)) as pool:
            pull = functools.partial(self.again, through=DEAD)
            return dict(zip(cells, pool.map(pull, cells, references, images), strict=True))

    def took(self, cell: Cell, blob: Blob) -> str:
        """How a blob came: the route in dfdaemon's log, or through a ``tunnel``, or ``around``.

        A tunnel's own line comes when it is over, which an engine may put off for minutes: that
        nobody goes around dfdaemon is seen where nobody is there.
        """
        lines = self.daemon(cell).requests(blob.hex)
        routes = {line.route for line in lines if line.sent}
        unseen = "tunnel" if "tunnel" in cell.expected else "around"
        return ",".join(sorted(routes)) or unseen


@attrs.define(eq=False)
class Town:
    """All of it."""

    scene: Scene
    network: Network
    authority: Authority
    sites: Sites
    supernode: Supernode
    gallery: Gallery
    _users: list[User] = attrs.field(factory=list, init=False)
    _numbers: Any = attrs.field(factory=lambda: itertools.count(1), init=False)

    @classmethod
    def made(cls, scene: Scene) -> Town:
        """Start the servers."""
        network = Network(scene, NAMES)
        authority = Authority(scene.directory("authority"))
        network.servers.environment["SSL_CERT_FILE"] = str(authority.path)
        return cls(
            scene=scene,
            network=network,
            authority=authority,
            sites=Sites(network, authority),
            supernode=Supernode(network.servers),
            gallery=Gallery(scene.root / "gallery"),
        )

    def user(self, name: str) -> User:
        """One more host."""
        self._users.append(User(self, name))
        return self._users[-1]

    def close(self) -> None:
        """End everything."""
        for user in self._users:
            user.close()
        self.scene.close()

    def put(self, image: Image, name: str = "") -> str:
        """Put an image into all registries; give its ``repository:tag``."""
        repository = name or f"cell/n{next(self._numbers)}"
        self.sites.storage.add(self.gallery, image, repository, "1")
        return f"{repository}:1"

    def foreign(self) -> Image:
        """An image with a layer that is not in any registry, but behind a URL."""
        image, layer = self.gallery.foreign(self.sites.FOREIGN)
        self.sites.publish(self.gallery.file(layer))
        return image

    @property
    def trust(self) -> Path:
        """The authorities that a client believes whose connections are intercepted."""
        path = self.scene.root / "trust.pem"
        own = self.hijack.path.read_text()
        path.write_text(self.authority.path.read_text() + own)
        return path

    @property
    def hijack(self) -> Authority:
        """dfdaemon's."""
        directory = self.scene.root / "hijack"
        if not directory.exists():
            directory.mkdir()
            self._hijack = Authority(directory, "dfdaemon")
        return self._hijack

    _hijack: Any = attrs.field(default=None, init=False)

    def settings(self, cell: Cell) -> dict[str, Any]:
        """The configuration of the dfdaemon that a cell goes through."""
        if cell.mode == "mirror":
            site = SITES[cell.site]
            remote = {"remote": site.url, "certs": self._certs(site)}
            return {"registry_mirror": remote, "proxies": _stands_for_hub(site)}
        registries = [
            {"host": site.netloc, "scheme": site.scheme, "certs": self._certs(site)}
            for site in SITES.values()
        ]
        remote = {"remote": SITES["http"].url, "certs": []}
        opened = self._hijacking() if cell.mode == "intercept" else {}
        rules = [{"regx": rule} for rule in _RULES]
        return {"registry_mirror": remote, "registries": registries, "proxies": rules, **opened}

    def _hijacking(self) -> dict[str, Any]:
        hosts = [{"regx": r"\.test(:\d+)?$", "certs": [str(self.authority.path)]}]
        pair = {"cert": str(self.hijack.path), "key": str(self.hijack.key_path)}
        return {"hijack_https": {**pair, "hosts": hosts}}

    def _certs(self, site: Site) -> list[str]:
        return [str(self.authority.path)] if site.scheme == "https" else []


def _stands_for_hub(site: Site) -> list[dict[str, Any]]:
    """BuildKit says that it means Docker Hub; dockerd does not, and gets the mirror's registry."""
    hub = r"^https://registry-1\.docker\.io/"
    return [
        {"regx": f"{hub}.+/blobs/sha256", "redirect": site.url},
        {"regx": hub, "redirect": site.url, "direct": True},
    ]
