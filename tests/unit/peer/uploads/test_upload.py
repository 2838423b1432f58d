"""One answer: its bytes are read and cut to the byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from dragonfly.peer.uploads.upload import Upload, read_slices
from dragonfly.wire.constants import SLICE_BYTES
from tests.doubles.tasklab import TaskLab


def test_slices_are_read_to_the_byte(tmp_path: Path) -> None:
    """The last slice of a block may be short; an empty block is no slice."""
    lab = TaskLab(tmp_path, size=SLICE_BYTES + 5, piece_size=512 * 1024)
    file = lab.full_file()
    slices = read_slices(file, 1, SLICE_BYTES + 4)
    assert [len(each) for each in slices] == [SLICE_BYTES, 4]
    assert b"".join(slices) == lab.body[1:]
    assert read_slices(file, 0, 0) == []


def test_a_slice_is_cut_where_the_limit_says(lab: TaskLab) -> None:
    """What is cut off is the next slice; nothing is lost, and a short one stays as it is."""
    upload = Upload(cast("Any", None), lab.full_file(), 0, 0, 1000, 0)
    upload.blocks.extend([b"a" * 600, b"b" * 400])
    assert upload.unread == 0
    assert upload.cut(250) == 250
    assert [len(block) for block in upload.blocks] == [250, 350, 400]
    assert upload.cut(250) == 250
    assert b"".join(upload.blocks) == b"a" * 600 + b"b" * 400
