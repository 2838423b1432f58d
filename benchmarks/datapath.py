"""The supernode's data path alone: from an origin to its disk, and from its disk to others.

Prints CPU seconds (user + system) of one process for each GiB that passes it, beside programs
that do the same with less: curl, iperf3, and Twisted with nothing between socket and file. In
every round each runs once, one after another; the table has least, median and most.
Everything lies on tmpfs, whose pages are touched first. Needs nginx, curl and iperf3.

    python benchmarks/datapath.py [--mib 1024] [--rounds 3] [--only WORD ...]
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import attrs
from results import show_table, spread
from rig import (
    MIB,
    Home,
    Supernode,
    cpu_seconds,
    end_children,
    free_port,
    machine,
    nginx,
    peak_mib,
    random_file,
    timed,
    touch_memory,
    wait_until,
)

from dragonfly.control.codec import register_answer, to_json
from dragonfly.control.messages import Announced, RegisterAnswer, RegisterRequest
from dragonfly.control.signing import SIGNATURE_HEADER, sign_body
from dragonfly.signatures import SigningKey
from dragonfly.task.grant import cdn_proof

CONSUMER = str(Path(__file__).with_name("consumer.py"))
REGISTER = "/swarm/v1/register"


@attrs.frozen
class Sample:
    """Seconds by the clock, CPU seconds and peak memory of the process that is looked at."""

    seconds: float
    cpu: float
    mib: float


class Caller:
    """Registers with a supernode as a peer would, and reads what it was admitted to."""

    def __init__(self, supernode: Supernode) -> None:
        self.supernode = supernode
        self.key = SigningKey.generate()
        self.base = f"http://127.0.0.1:{supernode.port}"

    def register(self, url: str, digest: str | None = None) -> RegisterAnswer:
        """Let the supernode fetch ``url``."""
        peer = Announced(port=0, hostname="benchmark", version="0")
        message = RegisterRequest(url=url, key=self.key.public, peer=peer, digest=digest)
        body = to_json(message)
        headers = {SIGNATURE_HEADER: sign_body(self.key, REGISTER, body)}
        request = urllib.request.Request(f"{self.base}{REGISTER}", body, headers)
        with urllib.request.urlopen(request) as reply:
            answer = register_answer(reply.read())
        if not isinstance(answer, RegisterAnswer):
            sys.exit(f"{url}: {answer.reason}")
        return answer

    def curl(self, admitted: RegisterAnswer) -> tuple[str, ...]:
        """The command that reads the content from ``/cdn``."""
        second = int(time.time())
        proof = cdn_proof(self.key, admitted.task, second, admitted.grant).hex()
        grant = base64.b64encode(admitted.grant).decode()
        shown = (f"X-Dragonfly-Grant: {grant}", f"X-Dragonfly-Proof: {second}:{proof}")
        url = f"{self.base}/cdn/{admitted.task.hex()}"
        return "curl", "-sf", "-o", os.devnull, "-H", shown[0], "-H", shown[1], url

    def complete(self, admitted: RegisterAnswer) -> bool:
        """Whether the supernode has all of it; costs the supernode nothing."""
        name = admitted.task.hex()
        found = self.supernode.home.glob(f"**/{name}/meta.json")
        return any(json.loads(meta.read_text())["meta"]["complete"] for meta in found)


class Bench:
    """All that is measured, by name, and the table."""

    def __init__(self, work: Path, url: str, args: argparse.Namespace) -> None:
        self.work = work
        self.url = url
        self.gib = args.mib / 1024
        self.mib = args.mib
        self.out = work / "out"
        self.samples: dict[str, list[Sample]] = {}
        original = work / "www" / "file"
        with original.open("rb") as file:
            self.digest = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
        self.starting = min(self._consumer("drop", 64, "empty").cpu for _ in range(3))
        self.number = 0
        self.cases: dict[str, Callable[[], Sample]] = {
            "iperf3 -s": self._iperf3,
            "curl -o /dev/null": lambda: self._plain("curl", "-s", "-o", os.devnull, f"{url}/file"),
            "curl -o FILE": lambda: self._plain("curl", "-s", "-o", str(self.out), f"{url}/file"),
            "openssl sha256": lambda: self._plain("openssl", "dgst", "-sha256", str(original)),
            "Twisted, drop, 64 KiB": lambda: self._consumer("drop", 64),
            "Twisted, BLAKE3, 64 KiB": lambda: self._consumer("hash", 64),
            "Twisted, BLAKE3 and file, 64 KiB": lambda: self._consumer("store", 64),
            "Twisted, BLAKE3 and file, 512 KiB": lambda: self._consumer("store", 512),
            "supernode fetches": lambda: self._fetch(None),
            "supernode fetches, SHA-256 known": lambda: self._fetch(self.digest),
            "nginx serves curl": self._serve_nginx,
            "supernode serves curl": self._serve_curl,
            "supernode serves a peer": self._serve_peer,
        }

    def run(self, rounds: int, only: list[str]) -> None:
        """Measure in turns and print."""
        chosen = [name for name in self.cases if not only or any(word in name for word in only)]
        for number in range(rounds):
            for name in chosen:
                sample = self.cases[name]()
                self.samples.setdefault(name, []).append(sample)
                print(f"{number + 1}: {name}: {sample.cpu / self.gib:.2f}", file=sys.stderr)
        rows = []
        for name, samples in self.samples.items():
            cpu = spread([sample.cpu / self.gib for sample in samples], 2)
            seconds = spread([sample.seconds for sample in samples], 2)
            peak = max(sample.mib for sample in samples)
            rows.append([name, cpu, seconds, f"{peak:.0f}"])
        show_table(["what", "CPU s/GiB", "s", "peak MiB"], rows)

    # -- others ---------------------------------------------------------------------------

    def _plain(self, *command: str) -> Sample:
        seconds, cpu, mib, _ = timed(*command)
        self.out.unlink(missing_ok=True)
        return Sample(seconds, cpu, mib)

    def _iperf3(self) -> Sample:
        port = str(free_port())
        server = subprocess.Popen(["iperf3", "-s", "-1", "-p", port], stdout=subprocess.DEVNULL)
        time.sleep(0.5)  # it serves one connection only, so looking whether it is up would be it
        seconds = timed("iperf3", "-c", "127.0.0.1", "-p", port, "-n", f"{self.mib}M")[0]
        _, status, usage = os.wait4(server.pid, 0)
        server.returncode = os.waitstatus_to_exitcode(status)
        return Sample(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)

    def _consumer(self, steps: str, kib: int, name: str = "file") -> Sample:
        url = f"{self.url}/{name}"
        command = (sys.executable, CONSUMER, steps, url, str(self.out), "--kib", str(kib))
        sample = self._plain(*command)
        return sample if name == "empty" else attrs.evolve(sample, cpu=sample.cpu - self.starting)

    # -- the supernode --------------------------------------------------------------------

    def _supernode(self) -> tuple[Supernode, Caller]:
        self.number += 1
        supernode = Supernode(self.work / f"supernode{self.number}")
        return supernode, Caller(supernode)

    def _over(self, supernode: Supernode) -> None:
        supernode.stop()
        shutil.rmtree(supernode.home)

    def _during(self, supernode: Supernode, work: Callable[[], object]) -> Sample:
        """What the supernode uses while ``work`` runs."""
        before, began = cpu_seconds(supernode.pid), time.monotonic()
        work()
        seconds = time.monotonic() - began
        used = cpu_seconds(supernode.pid) - before
        return Sample(seconds, used, peak_mib(supernode.pid))

    def _fetch(self, digest: str | None) -> Sample:
        supernode, caller = self._supernode()
        caller.register(f"{self.url}/first")  # what is done once for all is not counted

        def fetch() -> None:
            admitted = caller.register(f"{self.url}/file", digest)
            wait_until(lambda: caller.complete(admitted), "the fetch")

        sample = self._during(supernode, fetch)
        self._over(supernode)
        return sample

    def _warm(self) -> tuple[Supernode, Caller, RegisterAnswer]:
        supernode, caller = self._supernode()
        admitted = caller.register(f"{self.url}/file")
        wait_until(lambda: caller.complete(admitted), "the fetch")
        return supernode, caller, admitted

    def _serve_curl(self) -> Sample:
        supernode, caller, admitted = self._warm()
        sample = self._during(supernode, lambda: timed(*caller.curl(admitted)))
        self._over(supernode)
        return sample

    def _serve_peer(self) -> Sample:
        supernode, _, _ = self._warm()
        home = Home(self.work / "home", supernode)
        sample = self._during(supernode, lambda: home.download(f"{self.url}/file", self.out))
        home.stop()
        self.out.unlink()
        shutil.rmtree(home.path)
        self._over(supernode)
        return sample

    def _serve_nginx(self) -> Sample:
        root = self.work / "again"
        root.mkdir()
        with nginx(self.work / "www", root) as url:
            (worker,) = children_of(int((root / "nginx.pid").read_text()))
            before = cpu_seconds(worker)
            seconds = timed("curl", "-s", "-o", os.devnull, f"{url}/file")[0]
            sample = Sample(seconds, cpu_seconds(worker) - before, peak_mib(worker))
        shutil.rmtree(root)
        return sample


def children_of(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def main() -> None:
    """Set everything up on tmpfs, measure, clean up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=[], help="what has one of these in its name")
    args = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="dragonfly-bench-", dir="/dev/shm"))
    try:
        (work / "www").mkdir()
        touch_memory(work, args.mib * 4)
        random_file(work / "www" / "file", args.mib * MIB)
        random_file(work / "www" / "first", 100 * 1024)
        (work / "www" / "empty").touch()
        print(machine(), f"{args.mib} MiB, {args.rounds} rounds", sep="; ")
        with nginx(work / "www", work) as url:
            Bench(work, url, args).run(args.rounds, args.only)
    finally:
        end_children()
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
