"""What is pulled by whom, from where and how: the cells of the table of compatibility."""

from __future__ import annotations

import os

import attrs

from tests.e2e.rig.sites import SITES

__all__ = ["CLIENTS", "DOWNLOADS", "FULL", "MODES", "Cell", "chosen"]

FULL = os.environ.get("DRAGONFLY_COMPAT") == "full"
"""Whether everything is run, which takes minutes, and not only a slice of it."""

CLIENTS = ("skopeo", "podman", "buildah", "ctr", "CRI", "dockerd", "docker build", "BuildKit")


MODES = {
    "mirror": "Mirror of one registry, ``registry_mirror.remote``",
    "many": "Mirror of several registries, told apart by header, ``?ns=`` or path",
    "proxy": "Forward proxy, TLS tunnelled",
    "intercept": "Forward proxy, TLS opened by ``hijack_https``",
}
"""The ways to point clients at dfdaemon, with their titles."""

DOWNLOADS = {"proxy": "http", "intercept": "https"}
"""The modes that are for other programs, too, and what of them goes through the swarm so."""


@attrs.frozen
class Cell:
    """One pull."""

    client: str
    site: str
    mode: str

    def __str__(self) -> str:
        return f"{self.mode}-{self.site}-{self.client}".replace(" ", "-")

    @property
    def impossible(self) -> str:
        """Why the client has no such mode; empty: it has."""
        if self.client == "BuildKit" and self.site == "http" and self.mode in DOWNLOADS:
            return "asks registries by HTTPS only"
        if self.mode != "many":
            return ""
        if self.client in ("dockerd", "docker build", "BuildKit"):
            return "has mirrors of Docker Hub only"
        return ""

    @property
    def expected(self) -> tuple[str, ...]:
        """How the layers may come: by the ``swarm``, or through a ``tunnel``."""
        if self.mode != "proxy" or SITES[self.site].scheme == "http":
            return ("swarm",)
        # Where the registry sends the client on to plain HTTP, that part is in the open.
        return ("tunnel", "swarm") if self.site == "cdn" else ("tunnel",)


_SLICE = (
    Cell("skopeo", "http", "mirror"),
    Cell("podman", "tls", "mirror"),
    Cell("buildah", "signed", "mirror"),
    Cell("ctr", "tls", "mirror"),
    Cell("CRI", "tls", "mirror"),
    Cell("dockerd", "bearer", "mirror"),
    Cell("docker build", "bearer", "mirror"),
    Cell("BuildKit", "signed", "mirror"),
    Cell("skopeo", "tls", "many"),
    Cell("ctr", "bearer", "many"),
    Cell("CRI", "htpasswd", "many"),
    Cell("podman", "cdn", "many"),
    Cell("buildah", "bearer", "many"),
    Cell("skopeo", "htpasswd", "many"),
    Cell("dockerd", "http", "proxy"),
    Cell("ctr", "http", "proxy"),
    Cell("buildah", "htpasswd", "proxy"),
    Cell("CRI", "cdn", "proxy"),
    Cell("podman", "bearer", "intercept"),
    Cell("CRI", "signed", "intercept"),
    Cell("dockerd", "cdn", "intercept"),
    Cell("skopeo", "htpasswd", "intercept"),
    Cell("ctr", "http", "intercept"),
)
"""Each client, each registry and each mode at least once."""


def chosen() -> list[Cell]:
    """What this run does."""
    every = [Cell(client, site, mode) for mode in MODES for site in SITES for client in CLIENTS]
    return every if FULL else list(_SLICE)
