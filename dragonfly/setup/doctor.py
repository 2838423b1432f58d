"""``dfdaemon doctor``: looks at everything between an engine and the swarm, a line for each."""

from __future__ import annotations

import argparse
import datetime
import ssl
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

from dragonfly.config import DaemonConfig
from dragonfly.errors import DragonflyError, OriginUnreachable
from dragonfly.setup.bypass import Target, check_engines
from dragonfly.setup.cli import command_parser, daemon_config, listed_in, mirror_of
from dragonfly.setup.disk import DiskTree
from dragonfly.setup.finding import Finding, Level, skipped, warn
from dragonfly.setup.image import Image, parse_image
from dragonfly.setup.plan import Mirror, parse_mirror
from dragonfly.setup.registryname import RegistryName, parse_name
from dragonfly.setup.running import Running, check_ports, find_running, home_of
from dragonfly.setup.surroundings import (
    check_authority,
    check_disk,
    check_mirror_certificate,
    check_supernodes,
)
from dragonfly.setup.trialpull import TrialPull
from dragonfly.setup.web import unchecked

__all__ = ["Doctor", "main"]

_ABOUT = """\
Check the dfdaemon of this host, what it needs, and whether container engines
come to it: ports, supernodes, disk, certificates, the engines' files (and what
in them leads around dfdaemon silently), whether requests have come, and a pull
of a small image through it.

Each check is one line, ok, WARN, FAIL or skip, with what to do.
"""

_BELOW = "exit code: 0 nothing failed; 1 something did; 2 wrong usage"

HUB_IMAGE = "docker.io/library/hello-world:latest"
"""Of some KiB, and anybody may pull it. Nothing is known of images of other registries."""


def main(arguments: Sequence[str], default_file: Path) -> int:
    """Run the command; give its exit code.

    :param default_file: of dfdaemon's configuration, below the root.
    :raises SystemExit: for ``--help`` and wrong usage.
    """
    options = _parser().parse_args(arguments)
    try:
        config = daemon_config(options.config, options.root, default_file)
        image = parse_image(options.image) if options.image else None
        now = datetime.datetime.now(datetime.timezone.utc)
        doctor = Doctor(config=config, tree=DiskTree(options.root), image=image, now=now)
        worst = [_said(finding).level for finding in doctor.findings()]
    except DragonflyError as error:
        print(f"dfdaemon doctor: {error}", file=sys.stderr)
        return 1
    return 1 if Level.FAIL in worst else 0


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("dfdaemon doctor", _ABOUT, _BELOW)
    image = "to pull, HOST/NAME[:TAG] or a URL [default: a tiny one, if the registry is Docker Hub]"
    parser.add_argument("--image", help=image)
    return parser


def _said(finding: Finding) -> Finding:
    print(finding, flush=True)
    return finding


@attrs.frozen(kw_only=True)
class Doctor:
    """All checks.

    :ivar image: to pull; ``None``: one that is known, or none.
    """

    config: DaemonConfig
    tree: DiskTree
    image: Image | None
    now: datetime.datetime

    def findings(self) -> Iterator[Finding]:
        """Give them as they are found.

        :raises ConfigError: the configuration of dfdaemon contradicts itself.
        """
        config = self.config
        running, found = find_running(config)
        yield found
        yield from check_ports(config, running)
        nodes = running.supernodes if running is not None else [str(n) for n in config.nodes]
        yield from check_supernodes(nodes, home_of(config))
        yield check_disk(config)
        yield from check_mirror_certificate(config, self.now)
        yield from check_authority(config, self.tree, self.now)
        remote = self._remote(running)
        mirror = self._mirror(running)
        if mirror is not None:
            target = Target(mirror, remote, listed_in(config))
            engines = check_engines(self.tree, target)
            yield from engines
            yield from self._visited(engines, running)
        if running is None or mirror is None:
            yield skipped("pull", "dfdaemon does not run")
        else:
            yield self._pulled(running, mirror, remote)

    def _remote(self, running: Running | None) -> RegistryName:
        text = running.registry if running is not None else self.config.registry.remote
        return parse_name(text, "registry_mirror.remote")

    def _mirror(self, running: Running | None) -> Mirror | None:
        """Where it really is, which a port of 0 does not tell."""
        port = running.ports.get("front", 0) if running is not None else self.config.port
        return mirror_of(attrs.evolve(self.config, port=port)) if port else None

    def _visited(self, engines: list[Finding], running: Running | None) -> Iterator[Finding]:
        """Whether any request came but ours: engines that are set up do not come until they
        read it."""
        used = [each.what for each in engines if each.level is Level.OK and "come" in each.text]
        if running is None or not used:
            return
        try:
            ours = sum(running.counters("trial_requests_total").values())
            count = int(sum(running.counters("http_requests_total").values()) - ours)
        except OriginUnreachable:
            return
        if count:
            yield Finding(Level.OK, "requests", f"{count} came since dfdaemon started")
        else:
            text = f"none came since dfdaemon started, though its files lead {used[0]} here"
            yield warn("requests", text, "pull an image, and restart the engine if none comes")

    def _pulled(self, running: Running, mirror: Mirror, remote: RegistryName) -> Finding:
        image = self.image or (parse_image(HUB_IMAGE) if remote.hub else None)
        if image is None:
            return skipped("pull", f"no image of {remote.host} is known: name one by --image")
        return TrialPull(
            mirror=mirror.url,
            image=image,
            running=running,
            named=image.registry.host != remote.host,
            chosen=self.image is not None,
            context=self._context(mirror),
        ).check()

    def _context(self, mirror: Mirror) -> ssl.SSLContext | None:
        # To this host, with no credentials: whether engines believe it is their question.
        return unchecked() if parse_mirror(mirror.url).url.startswith("https") else None
