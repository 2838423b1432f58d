"""The store when its process is killed, and when its disk is full.

Run as a program, this file is the process that gets killed: it writes tasks into a store for
ever, and says on its output what it has done.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dragonfly.errors import DiskFull
from dragonfly.signatures import KeyRing, SigningKey
from dragonfly.store.files import read_or_create_secret
from dragonfly.store.piecestore import PieceStore, PieceWriter, TaskFile, verify_pieces
from dragonfly.task.digest import piece_digest
from dragonfly.task.manifest import Manifest, Run, parse_run, sign_run

SIZE = 32768
PIECES = 40
TASKS = 4
ROUNDS = 5
KEY = SigningKey.from_bytes(bytes(range(32)))
TASK = b"t" * 32


def content(task: bytes, fetch: int, piece: int) -> bytes:
    """The bytes of a piece; every fetch of every task has others."""
    return random.Random(f"{task.hex()} {fetch} {piece}").randbytes(SIZE)


def digest(task: bytes, fetch: int, piece: int) -> bytes:
    """And their digest."""
    return piece_digest(content(task, fetch, piece))


# -- the process that is killed ---------------------------------------------------------------


def write_for_ever(root: Path, seed: int) -> None:
    """Make tasks, fill them, remove them, and tell each thing when it is done."""
    rng = random.Random(seed)
    store = PieceStore(root)
    store.open()
    while True:
        task = bytes([rng.randrange(TASKS)]) * 32
        file = store.load(task)
        if file is None or len(file.recorded) == PIECES:
            fetch = 1 if file is None else file.fetch + 1
            file = store.create(task, fetch, SIZE, PIECES * SIZE, {"fetch": fetch})
            say("created", task, fetch)
        missing = [piece for piece in range(PIECES) if piece not in file.recorded]
        for piece in rng.sample(missing, min(len(missing), rng.randrange(1, PIECES))):
            add_piece(file, piece)
        file.save_meta({"fetch": file.fetch, "pieces": len(missing)})
        file.close()


def add_piece(file: TaskFile, piece: int) -> None:
    """In the order in which a peer does it: run, bytes, record."""
    data = content(file.task, file.fetch, piece)
    run = Run(
        task=file.task,
        fetch=file.fetch,
        piece_size=SIZE,
        first=piece,
        digests=(piece_digest(data),),
        length=PIECES * SIZE,
    )
    file.append_run(sign_run(run, KEY))
    PieceWriter(file, piece).write([data[:10_000], data[10_000:]])
    file.record([piece])
    say("recorded", file.task, file.fetch, piece)


def say(what: str, task: bytes, *numbers: int) -> None:
    """One line, out at once."""
    os.write(1, " ".join([what, task.hex(), *map(str, numbers)]).encode() + b"\n")


# -- killing it ---------------------------------------------------------------------------------


def kill_after(root: Path, seed: int, lines: int) -> list[list[str]]:
    """Let it run for so many lines, kill it, and give all that it said."""
    command = [sys.executable, __file__, str(root), str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(lines)]
        process.send_signal(signal.SIGKILL)
        said += process.stdout.readlines()  # what it got done before the signal came
    assert process.returncode == -signal.SIGKILL, "it ended by itself"
    return [line.split() for line in said if line.endswith("\n")]


def test_killed_at_any_moment(tmp_path: Path) -> None:
    """Whenever it dies: what was told as recorded is there and right, and nothing is wrong."""
    rng = random.Random(20)
    promised: dict[bytes, tuple[int, set[int]]] = {}
    for round_number in range(ROUNDS):
        for what, task_hex, fetch, *piece in kill_after(
            tmp_path, round_number, rng.randrange(1, 120)
        ):
            task = bytes.fromhex(task_hex)
            if what == "created":
                promised[task] = (int(fetch), set())
            else:
                assert promised[task][0] == int(fetch)
                promised[task][1].update(map(int, piece))
        check(tmp_path, promised)


def check(root: Path, promised: dict[bytes, tuple[int, set[int]]]) -> None:
    """Open the store as the next run does and compare with what was promised."""
    store = PieceStore(root)
    store.open()
    found = {task: store.load(task) for task in store.tasks()}
    for task, (fetch, pieces) in promised.items():
        file = found.get(task)
        if file is None or file.fetch != fetch:
            # Killed while the next fetch was taking its place: full by then, and gone.
            assert pieces == set(range(PIECES))
        else:
            assert set(file.recorded) >= pieces
    for task, file in found.items():
        assert file is not None, "a task is whole or it is not there"
        check_task(file)
        promised[task] = (file.fetch, set(file.recorded))
    for task in set(promised) - set(found):
        del promised[task]
    store.close()
    leftovers = [path.name for path in (root / "tasks").glob("??/*") if ".gone-" in path.name]
    assert not leftovers


def check_task(file: TaskFile) -> None:
    """Every claim of the journal has its signed digest and hashes right."""
    manifest = Manifest(file.task, file.fetch, SIZE, file.length)
    for raw in file.runs():
        manifest.add(raw, parse_run(raw, KeyRing([KEY.public])))
    claimed = list(file.recorded)
    assert verify_pieces(file, manifest.digest, claimed) == claimed
    assert all(manifest.digest(n) == digest(file.task, file.fetch, n) for n in claimed)


def test_a_lost_block_is_found(tmp_path: Path) -> None:
    """A power loss can keep a record and lose the bytes: hashing tells which."""
    store = PieceStore(tmp_path)
    store.open()
    file = store.create(TASK, 1, SIZE, 5 * SIZE)
    for piece in range(5):
        file.write(piece * SIZE, [content(file.task, 1, piece)])
        file.record([piece])
    store.close()
    with file.path.open("r+b") as data:
        data.seek(2 * SIZE + 4096)
        data.write(bytes(4096))  # a block that was never written out
        data.truncate(4 * SIZE + 17)  # and an end that was not
    again = store.load(file.task)
    assert again is not None
    assert list(again.recorded) == [0, 1, 2, 3, 4]
    known = {piece: digest(file.task, 1, piece) for piece in range(5)}
    assert verify_pieces(again, known.get, again.recorded) == [0, 1, 3]
    store.close()


# -- a full disk --------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB of its own."""
    if os.geteuid() != 0:
        pytest.skip("mounting a tmpfs needs root")
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if mount is None or umount is None:
        pytest.skip("there is no mount command")
    target = tmp_path / "disk"
    target.mkdir()
    made = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(target)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {made.stderr.strip()}")
    try:
        yield target
    finally:
        subprocess.run([umount, str(target)], check=True)


@pytest.fixture
def small_store(small_disk: Path) -> Iterator[PieceStore]:
    """An open store on it, closed before it is unmounted."""
    store = PieceStore(small_disk / "store")
    store.open()
    yield store
    store.close()


def test_no_room_for_a_task(small_store: PieceStore) -> None:
    """The error names the directory, what was wanted and what is free; nothing is left."""
    directory = small_store.root / "tasks" / "74" / TASK.hex()
    with pytest.raises(DiskFull) as caught:
        small_store.create(TASK, 1, SIZE, 5 << 20)
    words = str(caught.value).split()
    assert words[:3] == [str(directory), "is", "full:"]
    assert words[3:6] == [str(5 << 20), "bytes", "wanted,"]
    assert 0 < int(words[6]) <= 1 << 20
    assert small_store.tasks() == []
    assert not directory.exists()
    small_store.create(TASK, 1, SIZE, 1 << 19)


def test_a_disk_that_fills_up(small_store: PieceStore) -> None:
    """Everything that had been told as done is there; when there is room, it goes on."""
    ballast = small_store.root / "ballast"
    ballast.write_bytes(bytes(65536))
    file = small_store.create(TASK, 1, SIZE, None, {"n": 1})
    done: list[int] = []
    with pytest.raises(DiskFull, match=rf"{SIZE} bytes wanted, \d+ free"):
        write_pieces(file, done)
    assert 20 < len(done) < 32
    # Records still fit the journal's last block for a while; then they do not.
    with pytest.raises(DiskFull, match=r"8 bytes wanted, 0 free"):
        record_again(file, done[0])
    with pytest.raises(DiskFull):
        file.append_run(bytes(8000))
    with pytest.raises(DiskFull):
        file.save_meta({"n": 2})
    with pytest.raises(DiskFull):
        read_or_create_secret(small_store.root / "key", lambda: bytes(32))
    assert sorted(os.listdir(small_store.root)) == ["ballast", "format", "tasks"]
    known = {piece: digest(TASK, 1, piece) for piece in range(1000)}
    assert recovered(small_store, known) == (done, {"n": 1}, [])
    ballast.unlink()
    file.record([done[-1]])
    file.append_run(b"run")
    file.save_meta({"n": 2})
    assert recovered(small_store, known) == (done, {"n": 2}, [b"run"])


def write_pieces(file: TaskFile, done: list[int]) -> None:
    """Write one after another until there is an error."""
    for piece in range(1000):
        PieceWriter(file, piece).write([content(file.task, 1, piece)])
        file.record([piece])
        done.append(piece)


def record_again(file: TaskFile, piece: int) -> None:
    """Make the journal longer until there is an error."""
    for _ in range(1000):
        file.record([piece])


def recovered(
    store: PieceStore, known: dict[int, bytes]
) -> tuple[list[int], dict[str, object], list[bytes]]:
    """What the next run finds: pieces that hash right, metadata, runs."""
    file = store.load(TASK)
    assert file is not None
    return verify_pieces(file, known.get, file.recorded), file.meta, file.runs()


if __name__ == "__main__":
    write_for_ever(Path(sys.argv[1]), int(sys.argv[2]))
