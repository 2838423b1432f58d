"""Programs that send something through a proxy, as they are typed, and get it back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import attrs

from tests.e2e.rig.downloaders import Errand
from tests.e2e.rig.files import MIB, random_file, sha256
from tests.e2e.rig.goods import Good
from tests.e2e.rig.registry import needed
from tests.e2e.rig.sites import PASSWORD, USER
from tests.e2e.rig.way import Outcome

__all__ = ["SENDERS", "Sender"]

_QUIET = ("--no-audit", "--no-fund", "--no-update-notifier", "--fetch-retries=0")
_BESIDE = 2 * MIB  # more than git sends in one piece


@attrs.frozen(kw_only=True)
class Sender:
    """A program.

    :ivar tools: that must be installed.
    :ivar size: of what it sends in the full run.
    :ivar send: a file, under the name of the errand's good.
    :ivar fetch: the same, into an empty directory.
    :ivar version: the command that tells the program's.
    :ivar path: what the paths of requests for a good contain.
    """

    tools: tuple[str, ...]
    size: int
    send: Callable[[Errand, Path], Outcome]
    fetch: Callable[[Errand], Outcome]
    version: tuple[str, ...]
    path: Callable[[Good], str] = lambda good: f"/{good.name}"

    def needed(self) -> None:
        """Skip the test where something is not installed."""
        needed(*self.tools)

    def fetched(self, errand: Errand) -> Outcome:
        """Get it back, and compare what is there now."""
        outcome = self.fetch(errand)
        files = [path for path in errand.work.rglob("*") if path.is_file()]
        return outcome.checked(errand.good.hex in map(sha256, files), True)


def _put(*flags: str) -> Callable[[Errand, Path], Outcome]:
    def send(errand: Errand, data: Path) -> Outcome:
        shown = ("--silent", "--show-error", "--write-out", "%{http_code}", "--output", "answer")
        command = ("curl", "--fail-with-body", *shown, *flags, "--upload-file", str(data))
        return errand.run(*command, f"{errand.url}/files/{errand.good.name}")

    return send


def _get(errand: Errand) -> Outcome:
    url = f"{errand.url}/files/{errand.good.name}"
    return errand.run("curl", "--fail", "--silent", "--show-error", "--output", "o", url)


def _publish(errand: Errand, data: Path) -> Outcome:
    package = errand.work / "package"
    package.mkdir()
    told = {"name": errand.good.name, "version": "1.0.0", "files": ["data.bin"]}
    (package / "package.json").write_text(json.dumps(told))
    (package / "data.bin").hardlink_to(data)
    server = errand.url.partition(":")[2]
    (errand.work / ".npmrc").write_text(f"{server}/:_authToken={USER}:{PASSWORD}\n")
    return errand.run("npm", "publish", *_QUIET, *_registry(errand), "./package")


def _install(errand: Errand) -> Outcome:
    (errand.work / "package.json").write_text('{"name": "here", "version": "1.0.0"}')
    return errand.run("npm", "install", *_QUIET, *_registry(errand), errand.good.name)


def _registry(errand: Errand) -> tuple[str, ...]:
    return f"--registry={errand.url}/", f"--cafile={errand.trust}"


def _push(errand: Errand, data: Path) -> Outcome:
    repository = errand.work / "repository"
    repository.mkdir()
    _git_settings(errand)
    (repository / ".gitattributes").write_text("data.bin filter=lfs diff=lfs merge=lfs -text\n")
    (repository / "data.bin").hardlink_to(data)
    random_file(repository / "beside.bin", _BESIDE)
    there = ("git", "-C", "repository")
    for arguments in (
        ("init", "--quiet"),
        ("lfs", "install", "--local"),
        ("add", "."),
        ("commit", "--quiet", "--message", "large"),
    ):
        outcome = errand.run(*there, *arguments)
        if not outcome.good:
            return outcome
    return errand.run(*there, "push", "--quiet", _repository(errand), "HEAD:main")


def _clone(errand: Errand) -> Outcome:
    _git_settings(errand)
    branch = ("--branch", "main")
    return errand.run("git", "clone", "--quiet", *branch, _repository(errand), "clone")


def _git_settings(errand: Errand) -> None:
    for name, value in (
        ("user.name", "rig"),
        ("user.email", "rig@intake.test"),
        ("lfs.locksverify", "false"),
        ("lfs.transfer.maxretries", "1"),
        ("lfs.transfer.maxretrydelay", "0"),
        ("filter.lfs.clean", "git-lfs clean -- %f"),
        ("filter.lfs.smudge", "git-lfs smudge -- %f"),
        ("filter.lfs.required", "true"),
    ):
        errand.run("git", "config", "--global", name, value)


def _repository(errand: Errand) -> str:
    return f"{errand.url.replace('://', f'://{USER}:{PASSWORD}@')}/{errand.good.name}.git"


SENDERS = {
    "curl": Sender(
        tools=("curl",), size=300 * MIB, send=_put(), fetch=_get, version=("curl", "--version")
    ),
    "curl, chunked": Sender(
        tools=("curl",),
        size=300 * MIB,
        send=_put("--header", "Transfer-Encoding: chunked"),
        fetch=_get,
        version=("curl", "--version"),
    ),
    "curl --anyauth": Sender(
        tools=("curl",),
        size=300 * MIB,
        send=_put("--anyauth", "--user", f"{USER}:{PASSWORD}"),
        fetch=_get,
        version=("curl", "--version"),
    ),
    "npm publish": Sender(
        tools=("npm",), size=60 * MIB, send=_publish, fetch=_install, version=("npm", "--version")
    ),
    "git push, git-lfs": Sender(
        tools=("git", "git-lfs"),
        size=200 * MIB,
        send=_push,
        fetch=_clone,
        version=("git-lfs", "--version"),
        path=lambda good: f"/lfs/{good.hex}",
    ),
}
