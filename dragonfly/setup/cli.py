"""``dfdaemon setup``: reads the command line, shows what changes, and does it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from dragonfly.config import DaemonConfig, load_daemon_config
from dragonfly.errors import ConfigError, DragonflyError
from dragonfly.setup.diff import unified
from dragonfly.setup.disk import DiskTree
from dragonfly.setup.engines import ENGINES
from dragonfly.setup.plan import Mirror, Plan, Wanted, parse_mirror, reached
from dragonfly.setup.record import SUFFIX
from dragonfly.setup.registryname import parse_name
from dragonfly.setup.session import Session

__all__ = ["command_parser", "daemon_config", "listed_in", "main", "mirror_of"]

_ABOUT = """\
Point a container engine at the dfdaemon on this host, by the engine's own files:

  containerd  certs.d/<host>/hosts.toml for each --registry, without any
              certs.d/_default/hosts.toml for all registries; config_path in
              /etc/containerd/config.toml if it is not there
  docker      registry-mirrors in /etc/docker/daemon.json (Docker Hub only);
              for other registries /etc/docker/certs.d/<host>/hosts.toml
              (Docker 28 or later), or --proxy for all of them
  podman, crio
              /etc/containers/registries.conf.d/50-dragonfly.conf for each
              --registry [default: docker.io]; skopeo and buildah read it, too

The difference is shown. A file that is changed is copied once, with the suffix
.before-dragonfly; what is in it besides stays. Running it again changes
nothing. If one file is wrong or cannot be written, none is written.
"""

_BELOW = """\
examples:
  dfdaemon setup containerd
  dfdaemon setup docker --dry-run
  dfdaemon setup podman --registry docker.io --registry ghcr.io
  dfdaemon setup containerd --undo

exit code: 0 done, or nothing to do; 1 it cannot be done; 2 wrong usage
"""


def main(arguments: Sequence[str], default_file: Path) -> int:
    """Run the command; give its exit code.

    :param default_file: of dfdaemon's configuration, below the root.
    :raises SystemExit: for ``--help`` and wrong usage.
    """
    options = _parser().parse_args(arguments)
    try:
        _run(options, default_file)
    except DragonflyError as error:
        print(f"dfdaemon setup: {error}", file=sys.stderr)
        return 1
    return 0


def daemon_config(named: Path | None, root: Path, default_file: Path) -> DaemonConfig:
    """Read dfdaemon's configuration: the file that is named, or the usual one if it is there.

    :raises ConfigError: it cannot be read, or is wrong.
    """
    usual = root / str(default_file).lstrip("/")
    return load_daemon_config(named or (usual if usual.is_file() else None), {})


def mirror_of(config: DaemonConfig) -> Mirror:
    """Give the mirror as an engine on the same host reaches it.

    :raises ConfigError: its port is not fixed.
    """
    if not config.port:
        raise ConfigError("port is 0 in dfdaemon's configuration: name the mirror by --mirror")
    scheme = "https" if config.certpem else "http"
    return parse_mirror(f"{scheme}://{reached(config.host_ip, config.port)}")


def listed_in(config: DaemonConfig) -> tuple[str, ...]:
    """Give the registries that the configuration describes."""
    return tuple(each.host for each in config.registries)


def command_parser(prog: str, about: str, below: str) -> argparse.ArgumentParser:
    """Give what reads the command line of a command about the engines of this host.

    It has ``--config`` and ``--root`` already.
    """
    parser = argparse.ArgumentParser(
        prog=prog,
        description=about,
        epilog=below,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    file = "of dfdaemon [default: ROOT/etc/dragonfly/dfdaemon.yml, if it is there]"
    parser.add_argument("--config", type=Path, metavar="FILE", help=file)
    root = "the engines' files are below it"
    parser.add_argument("--root", type=Path, default=Path("/"), metavar="DIR", help=root)
    return parser


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("dfdaemon setup", _ABOUT, _BELOW)
    add = parser.add_argument
    add("engine", choices=sorted(ENGINES))
    add("--registry", action="append", default=[], metavar="HOST", help="may be repeated")
    add("--mirror", metavar="URL", help="of dfdaemon [default: from its configuration]")
    add("--dry-run", action="store_true", help="only show the difference")
    add("--undo", action="store_true", help="take back what it did for this engine")
    add("--proxy", action="store_true", help="docker: as its proxy, for all registries")
    add("--ca", type=Path, metavar="FILE", help="docker: the CA of hijack_https, to be trusted")
    return parser


def _run(options: argparse.Namespace, default_file: Path) -> None:
    if not options.root.is_dir():
        raise ConfigError(f"--root {options.root} is not a directory")
    session = Session(DiskTree(options.root), ENGINES[options.engine])
    if options.undo:
        plan = session.plan_undo()
        _show(plan)
        copies = [] if options.dry_run else session.undo(plan)
        _say(f"{path} is kept: it has the file as it was" for path in copies)
        _steps(options, plan)
        return
    plan = session.plan(_wanted(options, default_file))
    _show(plan)
    copies = [] if options.dry_run else session.set_up(plan)
    _say(f"{path.removesuffix(SUFFIX)} as it was: {path}" for path in copies)
    _steps(options, plan)


def _wanted(options: argparse.Namespace, default_file: Path) -> Wanted:
    config = daemon_config(options.config, options.root, default_file)
    mirror = parse_mirror(options.mirror) if options.mirror else mirror_of(config)
    names = [parse_name(text) for text in options.registry]
    return Wanted(
        mirror=mirror,
        registries=tuple({name.host: name for name in names}.values()),
        remote=parse_name(config.registry.remote, "registry_mirror.remote"),
        listed=listed_in(config),
        proxy=options.proxy,
        ca=_certificate(options.ca),
    )


def _certificate(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        text = path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read --ca {path}: {error}") from None
    if "PRIVATE KEY" in text or "BEGIN CERTIFICATE" not in text:
        raise ConfigError(f"--ca {path}: must hold a certificate in PEM form, and no key")
    return text


def _show(plan: Plan) -> None:
    for change in plan.changes:
        if change.any:
            _say(unified(change))
    _say(f"note: {note}" for note in plan.notes)


def _steps(options: argparse.Namespace, plan: Plan) -> None:
    if not any(change.any for change in plan.changes):
        print(f"{options.engine}: nothing to do")
    elif options.dry_run:
        print(f"{options.engine}: nothing was written (--dry-run)")
    else:
        done = "as before" if options.undo else "set up"
        print(f"{options.engine}: {done}")
    _say(f"to do: {step}" for step in plan.steps)
    if not plan.steps:
        print("no restart is needed")


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)
