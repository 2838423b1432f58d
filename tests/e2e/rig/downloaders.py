"""Programs that download through a proxy, as they are typed."""

from __future__ import annotations

import importlib.util
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from tests.e2e.rig.files import sha256
from tests.e2e.rig.goods import Good, Goods
from tests.e2e.rig.network import Host
from tests.e2e.rig.way import Outcome

__all__ = ["DOWNLOADERS", "Downloader", "Errand"]

_NUMBER = re.compile(r"\d+(\.\d+)+")
_APT = """\
Dir::State "{work}/state";
Dir::Cache "{work}/cache";
Dir::Etc::sourcelist "{work}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::trustedparts "/dev/null";
APT::Sandbox::User "root";
Acquire::https::CAInfo "{trust}";
"""


@attrs.frozen(kw_only=True)
class Errand:
    """One download.

    :ivar url: of the server, without a slash at the end.
    :ivar proxy: ``host:port``; empty: there is none.
    :ivar trust: PEM file of the authorities to believe.
    :ivar work: an empty directory.
    """

    host: Host
    good: Good
    url: str
    proxy: str
    trust: Path
    work: Path

    @property
    def base(self) -> str:
        """Where the server has goods of this kind."""
        return f"{self.url}/{self.good.base}"

    @property
    def file(self) -> str:
        """The URL of the good itself."""
        return f"{self.url}/{self.good.path}"

    def run(self, *command: str) -> Outcome:
        """Run a program to its end, with a home of its own, where there is nothing."""
        # Of the directory that nsenter changes to, getcwd() knows no name.
        words = ["env", f"--chdir={self.work}", *self._environment(), *command]
        name = f"{self.host.name}-{self.work.name}"
        return Outcome.of(self.host.start(name, words, cwd=self.work))

    def version(self, *command: str) -> str:
        """The first number in what a command prints."""
        found = _NUMBER.search(self.host.run(*command).stdout)
        return found[0] if found else "unknown"

    def _environment(self) -> list[str]:
        proxies = [
            f"{name}=http://{self.proxy}"
            for plain in ("http_proxy", "https_proxy")
            for name in (plain, plain.upper())
            if self.proxy
        ]
        trusts = ("CURL_CA_BUNDLE", "SSL_CERT_FILE", "GIT_SSL_CAINFO")
        trusted = [f"{name}={self.trust}" for name in trusts]
        return [*proxies, *trusted, f"HOME={self.work}", "GIT_CONFIG_NOSYSTEM=1"]


@attrs.frozen(kw_only=True)
class Downloader:
    """A program.

    :ivar tools: that must be installed.
    :ivar make: the good that it is to get, on a server of this scheme.
    :ivar get: do it.
    :ivar version: the command that tells the program's.
    """

    tools: tuple[str, ...]
    make: Callable[[Goods, str], Good]
    get: Callable[[Errand], Outcome]
    version: tuple[str, ...]

    def needed(self) -> None:
        """Skip the test where something is not installed."""
        for tool in self.tools:
            found = shutil.which(tool) if tool != "pip" else importlib.util.find_spec(tool)
            if found is None:
                pytest.skip(f"{tool} is not installed: see tests/e2e/install-tools.sh")

    def run(self, errand: Errand) -> Outcome:
        """Download, and compare what is there now."""
        outcome = self.get(errand)
        files = [path for path in errand.work.rglob("*") if path.is_file()]
        return outcome.checked(errand.good.hex in map(sha256, files), True)


def _file(goods: Goods, _scheme: str) -> Good:
    return goods.file()


def _curl(errand: Errand) -> Outcome:
    return errand.run("curl", "--fail", "--silent", "--show-error", "--output", "o", errand.file)


def _wget(errand: Errand) -> Outcome:
    trust = f"--ca-certificate={errand.trust}"
    return errand.run("wget", "--no-verbose", trust, "--output-document", "o", errand.file)


def _aria2(errand: Errand) -> Outcome:
    parts = ("--max-connection-per-server=8", "--split=8", "--min-split-size=1M")
    trust = f"--ca-certificate={errand.trust}"
    return errand.run("aria2c", "--no-conf", trust, *parts, "--out=o", errand.file)


def _pip(errand: Errand) -> Outcome:
    alone = ("--isolated", "--disable-pip-version-check", "--no-cache-dir", "--no-deps")
    where = ("--index-url", errand.base, "--trusted-host", "cdn.test:5200")
    pip = (sys.executable, "-m", "pip", "download", *alone, *where)
    return errand.run(*pip, "--cert", str(errand.trust), errand.good.name)


def _apt(errand: Errand) -> Outcome:
    """``update``, then the package."""
    for name in ("state/lists/partial", "cache/archives/partial"):
        (errand.work / name).mkdir(parents=True)
    (errand.work / "sources.list").write_text(f"deb [trusted=yes] {errand.base} ./\n")
    config = errand.work / "apt.conf"
    config.write_text(_APT.format(work=errand.work, trust=errand.trust))
    apt = (f"APT_CONFIG={config}", "apt-get", "-q")
    outcome = errand.run(*apt, "update")
    return errand.run(*apt, "download", errand.good.name) if outcome.good else outcome


def _npm(errand: Errand) -> Outcome:
    (errand.work / "package.json").write_text('{"name": "here", "version": "1.0.0"}')
    quiet = ("--no-audit", "--no-fund", "--no-update-notifier", "--fetch-retries=0")
    where = (f"--registry={errand.base}/", f"--cafile={errand.trust}")
    return errand.run("npm", "pack", *quiet, *where, errand.good.name)


def _git(errand: Errand) -> Outcome:
    for name, value in (("clean", "clean -- %f"), ("smudge", "smudge -- %f")):
        errand.run("git", "config", "--global", f"filter.lfs.{name}", f"git-lfs {value}")
    errand.run("git", "config", "--global", "filter.lfs.required", "true")
    return errand.run("git", "clone", "--quiet", errand.base, "clone")


def _wheel(goods: Goods, _scheme: str) -> Good:
    return goods.wheel()


def _deb(goods: Goods, _scheme: str) -> Good:
    return goods.deb()


DOWNLOADERS = {
    "curl": Downloader(tools=("curl",), make=_file, get=_curl, version=("curl", "--version")),
    "wget": Downloader(tools=("wget",), make=_file, get=_wget, version=("wget", "--version")),
    "aria2c -x8": Downloader(
        tools=("aria2c",), make=_file, get=_aria2, version=("aria2c", "--version")
    ),
    "pip": Downloader(
        tools=("pip",), make=_wheel, get=_pip, version=(sys.executable, "-m", "pip", "--version")
    ),
    "apt": Downloader(
        tools=("apt-get", "dpkg-deb"), make=_deb, get=_apt, version=("apt-get", "--version")
    ),
    "npm": Downloader(tools=("npm",), make=Goods.module, get=_npm, version=("npm", "--version")),
    "git, git-lfs": Downloader(
        tools=("git", "git-lfs"), make=Goods.repository, get=_git, version=("git-lfs", "--version")
    ),
}
