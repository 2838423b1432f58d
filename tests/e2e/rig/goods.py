"""What other programs than container engines download: files, and packages of all kinds.

Everything is static; each payload is new, so that its digest tells which one came.
"""

from __future__ import annotations

import base64
import hashlib
import io
import itertools
import json
import os
import subprocess
import tarfile
import zipfile
from pathlib import Path

import attrs

from tests.e2e.rig.files import MIB, sha256

__all__ = ["Good", "Goods"]

_SIZE = 2 * MIB
_WHEEL = "Wheel-Version: 1.0\nGenerator: rig\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@attrs.frozen(kw_only=True)
class Good:
    """Something to download.

    :ivar base: the path under which its kind of server has it.
    :ivar path: of the file that is to come by the swarm.
    :ivar hex: the SHA-256 of that file.
    """

    base: str
    name: str
    path: str
    hex: str


class Goods:
    """Files below the root of a web server.

    :param urls: where it is, by scheme.
    """

    def __init__(self, root: Path, urls: dict[str, str]) -> None:
        self._root = root
        self._urls = urls
        self._numbers = itertools.count(1)

    def file(self) -> Good:
        """Bytes."""
        name, data = f"file{next(self._numbers)}", os.urandom(_SIZE)
        return self._good("files", name, f"files/{name}.bin", data)

    def wheel(self) -> Good:
        """A Python package, and the page of an index that names it."""
        name = f"wheel{next(self._numbers)}"
        file = f"{name}-1-py3-none-any.whl"
        good = self._good("pypi/simple", name, f"pypi/files/{file}", _wheel(name))
        page = f'<a href="../../files/{file}#sha256={good.hex}">{file}</a>'
        self._write(f"pypi/simple/{name}/index.html", page.encode())
        return good

    def deb(self) -> Good:
        """A Debian package, and the index of an archive that has nothing else."""
        name = f"deb{next(self._numbers)}"
        tree = self._root / f"{name}-tree"
        control = f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: rig\n"
        self._write(f"{tree.name}/DEBIAN/control", f"{control}Description: none\n".encode())
        self._write(f"{tree.name}/usr/share/{name}", os.urandom(_SIZE))
        out = self._root / f"{name}.deb"
        command = ["dpkg-deb", "--build", "-Znone", "--root-owner-group", str(tree), str(out)]
        subprocess.run(command, check=True, capture_output=True)
        good = self._good(f"apt/{name}", name, f"apt/{name}/{name}_1_all.deb", out.read_bytes())
        size = out.stat().st_size
        entry = f"{control}Filename: ./{name}_1_all.deb\nSize: {size}\nSHA256: {good.hex}\n"
        self._write(f"apt/{name}/Packages", f"{entry}Description: none\n".encode())
        return good

    def module(self, scheme: str) -> Good:
        """A package of npm; its description has the whole URL."""
        name = f"module{next(self._numbers)}"
        data = _module(name)
        good = self._good("npm", name, f"npm/{name}/-/{name}-1.0.0.tgz", data)
        packed = base64.b64encode(hashlib.sha512(data).digest()).decode()
        dist = {"tarball": f"{self._urls[scheme]}/{good.path}", "integrity": f"sha512-{packed}"}
        version = {"name": name, "version": "1.0.0", "dist": dist}
        whole = {"name": name, "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}
        self._write(f"npm/{name}/index.html", json.dumps(whole).encode())
        return good

    def repository(self, scheme: str) -> Good:
        """A repository of git with one large file."""
        name, data = f"repository{next(self._numbers)}", os.urandom(_SIZE)
        oid = hashlib.sha256(data).hexdigest()
        good = self._good(f"git/{name}.git", name, f"lfs/{oid}", data)
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {_SIZE}\n"
        work = self._root / f"{name}-work"
        work.mkdir()
        (work / ".gitattributes").write_text("*.bin filter=lfs diff=lfs merge=lfs -text\n")
        (work / "large.bin").write_text(pointer)
        self._commit(work, self._root / "git" / f"{name}.git")
        href = f"{self._urls[scheme]}/{good.path}"
        answer = {"oid": oid, "size": _SIZE, "actions": {"download": {"href": href}}}
        batch = {"transfer": "basic", "objects": [answer]}
        self._write(f"{good.base}/info/lfs/objects/batch", json.dumps(batch).encode())
        return good

    @staticmethod
    def _commit(work: Path, bare: Path) -> None:
        by = ("-c", "user.name=rig", "-c", "user.email=rig@registry.test")
        plain = ("-c", "filter.lfs.clean=cat", "-c", "filter.lfs.required=false")
        for arguments in (
            ("init", "--quiet"),
            (*plain, "add", "."),
            (*by, *plain, "commit", "--quiet", "--message", "large"),
            ("clone", "--quiet", "--bare", ".", str(bare)),
            ("--git-dir", str(bare), "update-server-info"),
        ):
            subprocess.run(["git", *arguments], cwd=work, check=True, capture_output=True)

    def _good(self, base: str, name: str, path: str, data: bytes) -> Good:
        return Good(base=base, name=name, path=path, hex=sha256(self._write(path, data)))

    def _write(self, path: str, data: bytes) -> Path:
        file = self._root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        return file


def _wheel(name: str) -> bytes:
    out = io.BytesIO()
    about = f"{name}-1.dist-info"
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(f"{name}.bin", os.urandom(_SIZE))
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        archive.writestr(f"{about}/WHEEL", _WHEEL)
        archive.writestr(f"{about}/RECORD", "")
    return out.getvalue()


def _module(name: str) -> bytes:
    out = io.BytesIO()
    about = json.dumps({"name": name, "version": "1.0.0"}).encode()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=0) as archive:
        for path, data in (("package/package.json", about), ("package/data", os.urandom(_SIZE))):
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()
