"""Where bytes go: whole files that appear at once, and streams."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from pathlib import Path

import pytest

from dragonfly.dfget.output import StreamOutput, name_from_url, open_output
from dragonfly.errors import DiskFull, OutputError, StoreError

URL = "http://host/dir/file.bin"
DATA = os.urandom(300_000)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The peer's file."""
    path = tmp_path / "store" / "data"
    path.parent.mkdir()
    path.write_bytes(DATA)
    return path


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The user's directory."""
    path = tmp_path / "place"
    path.mkdir()
    return path


@pytest.fixture(params=["nameless", "named"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both kinds of temporary file; the second is for file systems without O_TMPFILE."""
    if request.param == "named":
        original = os.open

        def refuse(path: str, flags: int, *more: int, **named: int) -> int:
            if flags & os.O_TMPFILE == os.O_TMPFILE:
                raise OSError(errno.EOPNOTSUPP, "not here")
            return original(path, flags, *more, **named)

        monkeypatch.setattr(os, "open", refuse)


def download(path: Path, source: Path, data: bytes = DATA) -> None:
    """Go through the whole life of an output, ranges out of order and doubled."""
    out = open_output(str(path), URL)
    out.begin(str(source), len(data))
    out.copy(200_000, len(data))
    out.copy(10, 100)
    out.copy(0, 100)
    out.copy(50, 200_000)
    out.finish(len(data))


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://host/a/b.iso", "b.iso"),
        ("http://host/a/b.iso?x=/y#z/w", "b.iso"),
        ("http://host/a/b%20c", "b c"),
        ("http://host/a/%2e%2e%2fpasswd", "%2e%2e%2fpasswd"),
        ("http://host/a/%00x", "%00x"),
        ("http://host/a/%0ax", "%0ax"),
        ("http://host/a/", "index.html"),
        ("http://host", "index.html"),
        ("http://host?x=y/z", "index.html"),
        ("http://host/..", "index.html"),
        ("http://host/%2e%2e", "index.html"),
        ("http://host/" + "n" * 300, "n" * 255),
    ],
)
def test_names_from_urls_stay_names(url: str, name: str) -> None:
    """Like wget; nothing in a URL leads to another directory."""
    assert name_from_url(url) == name


@pytest.mark.usefixtures("way")
def test_appears_whole_with_the_usual_mode(place: Path, source: Path) -> None:
    """Until the end there is nothing under the name; then everything, as any program makes it."""
    path = place / "out"
    out = open_output(str(path), URL)
    out.begin(str(source), len(DATA))
    out.copy(0, len(DATA))
    assert not path.exists()
    mask = os.umask(0o027)
    os.umask(mask)
    out.finish(len(DATA))
    assert path.read_bytes() == DATA
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask
    assert os.listdir(place) == ["out"]


@pytest.mark.usefixtures("way")
def test_replaces_only_when_complete(place: Path, source: Path) -> None:
    """The old content stays until the end, the old mode stays after it."""
    path = place / "out"
    path.write_text("old")
    path.chmod(0o640)
    out = open_output(str(path), URL)
    out.begin(str(source), len(DATA))
    out.copy(0, 1000)
    assert path.read_text() == "old"
    out.finish(len(DATA))
    assert path.read_bytes() == DATA
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(place) == ["out"]


@pytest.mark.usefixtures("way")
def test_discard_leaves_nothing(place: Path, source: Path) -> None:
    """Neither a part nor a change of what was there."""
    path = place / "out"
    path.write_text("old")
    out = open_output(str(path), URL)
    out.begin(str(source), len(DATA))
    out.copy(0, len(DATA))
    out.discard()
    out.discard()
    assert path.read_text() == "old"
    assert os.listdir(place) == ["out"]


def test_is_never_a_hard_link(place: Path, source: Path) -> None:
    """Editing the output must not change what the peer serves."""
    download(place / "out", source)
    with (place / "out").open("r+b") as file:
        file.write(b"edited")
    assert source.read_bytes() == DATA


def test_directory_gets_the_name_of_the_url(place: Path, source: Path) -> None:
    """As cp and v1 do it."""
    download(place, source)
    assert (place / "file.bin").read_bytes() == DATA


def test_no_output_is_the_current_directory(
    place: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As wget does it."""
    monkeypatch.chdir(place)
    out = open_output(None, URL)
    out.begin(str(source), len(DATA))
    out.finish(len(DATA))
    assert (place / "file.bin").read_bytes() == DATA


@pytest.mark.parametrize("exists", [True, False])
def test_links_are_followed(place: Path, source: Path, exists: bool) -> None:
    """A link to the place of the file stays a link."""
    (place / "real").mkdir()
    if exists:
        (place / "real" / "file").write_text("old")
    (place / "link").symlink_to("real/file")
    download(place / "link", source)
    assert (place / "link").is_symlink()
    assert (place / "real" / "file").read_bytes() == DATA


def test_length_that_is_known_late(place: Path, source: Path) -> None:
    """A file of unknown length grows, and ends where the peer says."""
    out = open_output(str(place / "out"), URL)
    out.begin(str(source), None)
    out.copy(0, 1000)
    out.begin(str(source), 5000)
    out.copy(1000, 5000)
    out.finish(5000)
    assert (place / "out").read_bytes() == DATA[:5000]


def test_empty_file(place: Path, source: Path) -> None:
    """Nothing is something too."""
    source.write_bytes(b"")
    out = open_output(str(place / "out"), URL)
    out.begin(str(source), 0)
    out.finish(0)
    assert (place / "out").read_bytes() == b""


def test_another_source_begins_again(place: Path, source: Path) -> None:
    """Bytes of two versions are never mixed."""
    other = source.with_name("other")
    new = os.urandom(len(DATA))
    out = open_output(str(place / "out"), URL)
    out.begin(str(source), len(DATA))
    out.copy(0, 200_000)
    other.write_bytes(new)
    out.begin(str(other), len(new))
    out.copy(100_000, len(new))
    out.finish(len(new))
    assert (place / "out").read_bytes() == new


def test_restart_forgets(place: Path, source: Path) -> None:
    """A shorter version after a longer one has no tail of the old."""
    out = open_output(str(place / "out"), URL)
    out.begin(str(source), len(DATA))
    out.copy(0, len(DATA))
    out.restart()
    new = os.urandom(1000)
    source.write_bytes(new)
    out.begin(str(source), 1000)
    out.copy(0, 1000)
    out.finish(1000)
    assert (place / "out").read_bytes() == new


def test_the_same_source_again_goes_on(
    place: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the peer was started again, what was copied is not copied twice."""
    copied = []
    copy = os.copy_file_range

    def counting(a: int, b: int, count: int, *more: int) -> int:
        copied.append(count)
        return copy(a, b, count, *more)

    sharing(monkeypatch, [False])
    monkeypatch.setattr(os, "copy_file_range", counting)
    out = open_output(str(place / "out"), URL)
    out.begin(str(source), len(DATA))
    out.copy(0, 200_000)
    out.begin(str(source), len(DATA))
    out.copy(0, len(DATA))
    out.finish(len(DATA))
    assert (place / "out").read_bytes() == DATA
    assert copied == [200_000, 100_000]


def sharing(monkeypatch: pytest.MonkeyPatch, answers: list[bool]) -> list[bool]:
    """Make the file system share extents as long as it answers yes; give what is left."""

    def ioctl(target: int, request: int, source: int) -> int:
        assert request == 0x40049409
        if not answers.pop(0):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        os.ftruncate(target, 0)
        return os.pwrite(target, os.pread(source, 1 << 20, 0), 0)

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    return answers


def test_where_extents_can_be_shared_nothing_is_copied(
    place: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clone at the end is the whole file."""

    def no_copy(*_: object) -> int:
        raise AssertionError("copied")

    answers = sharing(monkeypatch, [True, True])
    monkeypatch.setattr(os, "copy_file_range", no_copy)
    download(place / "out", source)
    assert (place / "out").read_bytes() == DATA
    assert answers == []


def test_clone_that_fails_at_the_end_is_a_copy(
    place: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a file system could a minute ago it may refuse now."""
    answers = sharing(monkeypatch, [True, False])
    download(place / "out", source)
    assert (place / "out").read_bytes() == DATA
    assert answers == []


def test_missing_directory_is_named(place: Path) -> None:
    """Before anything is downloaded."""
    with pytest.raises(StoreError, match=f"{place}/none/out: No such file"):
        open_output(str(place / "none" / "out"), URL)
    with pytest.raises(OutputError, match="none/ is not a directory"):
        open_output(str(place / "none") + "/", URL)


def test_unwritable_directory_is_named(place: Path) -> None:
    """/proc takes no files, whoever asks."""
    with pytest.raises(StoreError, match="/proc/out: "):
        open_output("/proc/out", URL)


def test_protected_file_stays(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that the user may not write is not replaced, though its directory would allow it."""
    path = place / "out"
    path.write_text("old")
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(StoreError, match="write-protected"):
        open_output(str(path), URL)
    assert os.listdir(place) == ["out"]


def test_full_disk_names_directory_and_numbers(
    place: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The space is asked for when the length is known, not when the last byte comes."""

    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    out = open_output(str(place / "out"), URL)
    with pytest.raises(DiskFull, match=rf"{place} is full: 300000 bytes wanted, \d+ free"):
        out.begin(str(source), len(DATA))
    out.discard()
    assert os.listdir(place) == []


def test_ranges_before_a_layout_are_an_error(place: Path) -> None:
    """They mean nothing."""
    out = open_output(str(place / "out"), URL)
    with pytest.raises(OutputError):
        out.copy(0, 1)
    with pytest.raises(OutputError):
        out.finish(1)
    out.discard()


# -- streams -------------------------------------------------------------------------


def pipe_output(place: Path) -> tuple[StreamOutput, int]:
    """An output into a named pipe, and the other end."""
    path = place / "pipe"
    os.mkfifo(path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    out = open_output(str(path), URL)
    assert isinstance(out, StreamOutput)
    return out, reading


def test_stream_is_in_order_and_early(place: Path, source: Path) -> None:
    """What is next goes out at once; what comes before its turn waits."""
    out, reading = pipe_output(place)
    out.begin(str(source), 3000)
    out.copy(1000, 2000)
    with pytest.raises(BlockingIOError):
        os.read(reading, 1)
    out.copy(0, 1000)
    assert os.read(reading, 10_000) == DATA[:2000]
    out.finish(3000)
    assert os.read(reading, 10_000) == DATA[2000:3000]
    assert os.read(reading, 1) == b""
    os.close(reading)


def test_stream_cannot_take_back(place: Path, source: Path) -> None:
    """Another version in the middle is an error, before the first byte it is not."""
    out, reading = pipe_output(place)
    out.begin(str(source), 3000)
    out.copy(2000, 3000)
    out.restart()
    out.begin(str(source), 3000)
    out.copy(0, 10)
    assert os.read(reading, 10_000) == DATA[:10]
    with pytest.raises(OutputError, match="after 10 bytes"):
        out.restart()
    out.discard()
    os.close(reading)


def test_stream_of_another_version_is_closed(place: Path, source: Path) -> None:
    """The file that came too late is not left open either; every test is checked for that."""
    out, reading = pipe_output(place)
    out.begin(str(source), 3000)
    out.copy(0, 10)
    other = source.with_name("other")
    other.write_bytes(DATA[1:])
    with pytest.raises(OutputError, match="the content changed after 10 bytes"):
        out.begin(str(other), 3000)
    out.discard()
    assert os.read(reading, 10_000) == DATA[:10]
    os.close(reading)


def test_stream_whose_reader_left_is_an_error(place: Path, source: Path) -> None:
    """``dfget -o - URL | head`` ends."""
    out, reading = pipe_output(place)
    os.close(reading)
    out.begin(str(source), 3000)
    with pytest.raises(StoreError, match="pipe: Broken pipe"):
        out.copy(0, 3000)
    out.discard()


def test_device_that_is_full(source: Path) -> None:
    """A device is written, not replaced."""
    out = open_output("/dev/full", URL)
    out.begin(str(source), 3000)
    with pytest.raises(DiskFull, match="/dev is full: 3000 bytes wanted"):
        out.finish(3000)
    out.discard()


@pytest.mark.parametrize("name", ["-", "/dev/stdout"])
def test_standard_output(source: Path, capfd: pytest.CaptureFixture[str], name: str) -> None:
    """Both names mean it, and it stays open."""
    source.write_bytes(b"hello\n")
    out = open_output(name, URL)
    out.begin(str(source), 6)
    out.finish(6)
    os.write(1, b"there\n")
    assert capfd.readouterr().out == "hello\nthere\n"
