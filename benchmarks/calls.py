"""Calls that one supernode answers in a second, asked by wrk.

python benchmarks/calls.py [--peers 1000] [--seconds 5]

The supernode is a real ``twistd`` process on one processor, wrk and the origin are on another.
"""

from __future__ import annotations

import argparse
import json
import re
import ssl
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from callers import Call, OriginProcess, key_of, pin, registration, signed
from rig import Supernode, cpu_seconds, end_children, machine, peak_mib

from dragonfly.control.codec import register_answer
from dragonfly.control.messages import AnnounceRequest, RegisterAnswer, prefixed

REGISTER, ANNOUNCE, PING = "/swarm/v1/register", "/swarm/v1/announce", "/_ping"
CONNECTIONS = 32
SCRIPT = """
local calls = {
%s
}
local at = 0
function request()
  at = at %% #calls + 1
  local call = calls[at]
  return wrk.format("POST", call[1], {["X-Dragonfly-Signature"] = call[2]}, call[3])
end
function done(summary, latency)
  io.write(string.format("\\nFIGURES %%d %%d %%d %%.3f\\n", summary.requests, summary.errors.status,
    summary.errors.timeout + summary.errors.read + summary.errors.connect,
    latency:percentile(99) / 1000))
end
"""
WIRE = r'wire_bytes_total{direction="%s",port="http"} (\S+)'
FIGURES = re.compile(r"^FIGURES (\d+) (\d+) (\d+) (\S+)$", re.MULTILINE)


def ask(base: str, call: Call) -> bytes:
    """Make one call."""
    request = urllib.request.Request(base + call.path, call.body, call.headers)
    context = ssl._create_unverified_context()
    with urllib.request.urlopen(request, context=context) as answer:
        said: bytes = answer.read()
    return said


def write_script(path: Path, calls: list[Call]) -> None:
    """Write what wrk is to send, one call after another."""
    rows = [f"{{'{c.path}', '{c.signature}', {json.dumps(c.body.decode())}}}," for c in calls]
    path.write_text(SCRIPT % "\n".join(rows))


def wrk(url: str, script: Path | None, seconds: int, supernode: Supernode) -> str:
    """Let wrk ask, and give a row of the table."""
    command = ["taskset", "-c", "1", "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s"]
    before, on_wire = cpu_seconds(supernode.pid), wire_bytes(supernode)
    command += [*(["-s", str(script)] if script else []), url]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    used = cpu_seconds(supernode.pid) - before
    found = FIGURES.search(said)
    if found is None:
        sys.exit(f"wrk says:\n{said}")
    requests, refused, lost, p99 = found.groups()
    if int(refused) or int(lost):
        sys.exit(f"wrk says:\n{said}")
    count = int(requests)
    moved = [after - earlier for after, earlier in zip(wire_bytes(supernode), on_wire, strict=True)]
    return (
        f"{count / seconds:10.0f} {1e6 * used / count:12.0f} {float(p99):9.1f}"
        f" {moved[0] / count:9.0f} {moved[1] / count:9.0f}"
    )


def wire_bytes(supernode: Supernode) -> list[float]:
    """Bytes that the HTTP port has received and sent."""
    with urllib.request.urlopen(f"http://127.0.0.1:{supernode.port}/metrics") as answer:
        text = answer.read().decode()
    return [float(re.search(WIRE % way, text)[1]) for way in ("in", "out")]  # type: ignore[index]


def announces(base: str, registrations: list[Call]) -> list[Call]:
    """Let all register, and give an announce of each, with the links that it was told of."""
    calls = []
    for number, call in enumerate(registrations):
        answer = register_answer(ask(base, call))
        assert isinstance(answer, RegisterAnswer)
        message = AnnounceRequest(
            task=answer.task,
            key=key_of(number + 1).public,
            fetch=answer.fetch,
            have_count=5,
            neighbours=prefixed(each.key for each in answer.neighbours),
        )
        calls.append(signed(key_of(number + 1), ANNOUNCE, message))
    return calls


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=5)
    args = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        try:
            measure(Path(directory), args.peers, args.seconds)
        finally:
            end_children()


def measure(work: Path, peers: int, seconds: int) -> None:
    """Start everything, and ask for each kind of call over TLS and without."""
    origin = OriginProcess(work, cpus={1})
    supernode = Supernode(work / "supernode", "--advertise-ip", "127.0.0.1")
    pin(supernode.pid, {0})
    secure, plain = (f"{scheme}://127.0.0.1:{supernode.port}" for scheme in ("https", "http"))
    url = f"{origin.url}/file"
    calls = [
        signed(key_of(n + 1), REGISTER, registration(n + 1, url, 1, token=False))
        for n in range(peers)
    ]
    scripts = {name: work / f"{name}.lua" for name in ("register", "announce", "ping")}
    write_script(scripts["announce"], announces(plain, calls))
    write_script(scripts["register"], calls)
    write_script(scripts["ping"], calls[:1])
    ping = scripts["ping"].read_text().replace("POST", "GET").replace("call[1]", f"'{PING}'")
    scripts["ping"].write_text(ping.replace(", call[3])", ")"))
    closing = work / "closing.lua"
    closing.write_text(
        scripts["announce"].read_text().replace("= call[2]}", '= call[2], Connection = "close"}')
    )
    print(f"{'call':20} {'calls/s':>10} {'CPU us/call':>12} {'p99 ms':>9}"
          f" {'bytes in':>9} {'bytes out':>9}")  # fmt: skip
    for name, script in reversed(scripts.items()):
        for kind, base in (("plain", plain), ("TLS", secure)):
            print(f"{f'{name}, {kind}':20} {wrk(base, script, seconds, supernode)}", flush=True)
    row = wrk(secure, closing, seconds, supernode)
    print(f"{'announce, new TLS':20} {row}")
    print(f"peak {peak_mib(supernode.pid):.0f} MiB with {peers} peers")


if __name__ == "__main__":
    main()
