"""Callers of a supernode's API for the benchmarks: keys, signed calls, and an origin.

``python benchmarks/callers.py origin PORT-FILE [--wait-ms N]`` is the origin: it gives one
file, to whoever shows a token, and tells how many questions it had to answer at once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import attrs
from rig import children, wait_until

from dragonfly.control.codec import to_json
from dragonfly.control.messages import Announced, RegisterRequest
from dragonfly.control.signing import SIGNATURE_HEADER, sign_body
from dragonfly.signatures import SigningKey

BODY = b"x" * (1 << 20)
STATE = "/state"


@attrs.frozen
class Call:
    """One signed call, ready to be sent."""

    path: str
    body: bytes
    signature: str

    @property
    def headers(self) -> dict[str, str]:
        """What goes with the body."""
        return {SIGNATURE_HEADER: self.signature, "Content-Type": "application/json"}


def key_of(number: int) -> SigningKey:
    """The key of caller ``number``."""
    return SigningKey.from_bytes(number.to_bytes(4, "big") * 8)


def signed(key: SigningKey, path: str, message: object) -> Call:
    """Write and sign a message."""
    body = to_json(message)
    return Call(path, body, sign_body(key, path, body))


def registration(number: int, url: str, port: int, *, token: bool) -> RegisterRequest:
    """What caller ``number`` registers with; every one has an address of its own."""
    address = f"127.{1 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"
    return RegisterRequest(
        url=url,
        key=key_of(number).public,
        peer=Announced(port=port, address=address, hostname=f"host{number}", version="1"),
        headers=[("Authorization", f"Bearer token-{number}")] if token else [],
    )


class OriginProcess:
    """The origin in a process of its own."""

    def __init__(self, work: Path, *, wait_ms: float = 0.0, cpus: set[int] | None = None) -> None:
        file = work / "origin-port"
        command = [sys.executable, __file__, "origin", str(file), "--wait-ms", str(wait_ms)]
        self.process = subprocess.Popen(command)
        children.append(self.process)
        if cpus is not None:
            pin(self.process.pid, cpus)
        wait_until(file.exists, "the origin")
        self.port = int(file.read_text())

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def state(self) -> dict[str, int]:
        """What it has counted."""
        with urllib.request.urlopen(self.url + STATE) as answer:
            state: dict[str, int] = json.load(answer)
        return state


def pin(pid: int, cpus: set[int]) -> None:
    """Keep a process on some processors, as ``taskset`` does."""
    subprocess.run(
        ["taskset", "-a", "-p", "-c", ",".join(map(str, cpus)), str(pid)],
        check=True,
        capture_output=True,
    )


# -- the origin itself ------------------------------------------------------------------------


class Origin:
    """Answers GET and HEAD after a while; counts who waits."""

    def __init__(self, wait_s: float) -> None:
        self._wait_s = wait_s
        self._counts = {"requests": 0, "connections": 0, "open": 0, "most_open": 0, "bytes": 0}
        self._counts |= {"waiting": 0, "most_waiting": 0, "refused": 0}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        self._enter("open")
        self._counts["connections"] += 1
        try:
            while await self._answer(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._counts["open"] -= 1
            writer.close()

    def _enter(self, what: str) -> None:
        self._counts[what] += 1
        most = f"most_{what}"
        self._counts[most] = max(self._counts[most], self._counts[what])

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        method, path, _ = head.split(b" ", 2)
        if path == STATE.encode():
            said = json.dumps(self._counts).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(said) + said)
            return True
        self._counts["requests"] += 1
        self._enter("waiting")
        await asyncio.sleep(self._wait_s)
        self._counts["waiting"] -= 1
        self._say(writer, method, path, head.lower())
        await writer.drain()
        return b"connection: close" not in head.lower()

    def _say(self, writer: asyncio.StreamWriter, method: bytes, path: bytes, head: bytes) -> None:
        if path.startswith(b"/private") and b"authorization: bearer token-" not in head:
            self._counts["refused"] += 1
            writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
            return
        status, body, more = b"200 OK", BODY, b""
        if b"range: bytes=0-0" in head:
            status, body = b"206 Partial Content", BODY[:1]
            more = b"Content-Range: bytes 0-0/%d\r\n" % len(BODY)
        tag = path.strip(b"/")
        writer.write(
            b'HTTP/1.1 %s\r\nETag: "%s"\r\n%sContent-Length: %d\r\n\r\n'
            % (status, tag, more, len(body))
        )
        if method == b"GET":
            self._counts["bytes"] += len(body)
            writer.write(body)


async def run_origin(file: Path, wait_s: float) -> None:
    """Serve until ended."""
    server = await asyncio.start_server(Origin(wait_s).serve, "127.0.0.1", 0, backlog=4096)
    file.with_suffix(".new").write_text(str(server.sockets[0].getsockname()[1]))
    file.with_suffix(".new").rename(file)
    async with server:
        await server.serve_forever()


def main() -> None:
    """Be the origin."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("role", choices=["origin"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--wait-ms", type=float, default=0.0)
    args = parser.parse_args()
    asyncio.run(run_origin(args.file, args.wait_ms / 1000))


if __name__ == "__main__":
    main()
