"""What import-linter cannot see: what really is imported when the ground floor is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import dragonfly

ROOT = Path(dragonfly.__file__).parent
GROUND = (
    *("config", "control", "errors", "hostnames", "hostport", "limits"),
    *("metrics", "sched", "signatures", "task", "wire"),
)
SCRIPT = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def modules(*names: str) -> list[str]:
    """All modules of these packages, as they are imported."""
    found = []
    for name in names:
        files = [ROOT / f"{name}.py"] if (ROOT / f"{name}.py").exists() else []
        files += (ROOT / name).rglob("*.py")
        for file in files:
            parts = file.relative_to(ROOT.parent).with_suffix("").parts
            found.append(".".join(part for part in parts if part != "__init__"))
    assert len(found) >= len(names)
    return found


@pytest.mark.parametrize(
    ("names", "strangers"),
    [
        (GROUND, {"twisted", "klein", "treq"}),
        ((*GROUND, "store"), {"twisted", "klein", "treq"}),
        (("net", "peer", "daemon", "dfget"), {"klein"}),
    ],
    ids=["ground", "store", "peer"],
)
def test_nobody_brings_in_what_a_floor_must_not_know(
    names: tuple[str, ...], strangers: set[str]
) -> None:
    """Neither directly nor by way of a package of somebody else; klein installs a reactor."""
    command = [sys.executable, "-c", SCRIPT, *modules(*names)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT.parent)
    assert not strangers & set(done.stdout.split())


STARTING = """
import sys
from dragonfly.dfget.cli import main
from dragonfly.dfget.options import parse
flags = ["-n", "127.0.0.1:54321", "--home", "/h", "--header", "A: b"]
parse([*flags, "http://host/f"], config_file="")
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_a_plain_download_starts_without_what_it_does_not_need() -> None:
    """Each of these takes longer than reading a small file from a running peer."""
    command = [sys.executable, "-S", "-c", STARTING]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT.parent)
    costly = {"attr", "cryptography", "hashlib", "random", "secrets", "treq", "twisted", "yaml"}
    assert not costly & set(done.stdout.split())
