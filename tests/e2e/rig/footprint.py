"""What a process takes of the machine's memory, and what it writes to disks."""

from __future__ import annotations

from pathlib import Path

__all__ = ["Footprint"]

_KIB = 1024
_MEMORY = 8 * 1024 * 1024  # some reads' worth, and what Python keeps
_LOG = 64 * 1024
_FORGET_PEAK = "5"  # what proc(5) calls it


class Footprint:
    """Of one process, from now on."""

    def __init__(self, pid: int) -> None:
        self._of = Path(f"/proc/{pid}")
        (self._of / "clear_refs").write_text(_FORGET_PEAK)
        self._memory = self._told("status", "VmRSS") * _KIB
        self._written = self._told("io", "wchar")

    @property
    def grown(self) -> int:
        """By how many bytes its memory has grown, at its peak."""
        return self._told("status", "VmHWM") * _KIB - self._memory

    @property
    def written(self) -> int:
        """Bytes that it has written to files of all kinds; what it sends is not among them."""
        return self._told("io", "wchar") - self._written

    def check(self) -> None:
        """Check that nothing was gathered, however much passed through."""
        assert self.grown < _MEMORY
        assert self.written < _LOG

    def _told(self, file: str, name: str) -> int:
        lines = (self._of / file).read_text().splitlines()
        (found,) = (line for line in lines if line.startswith(f"{name}:"))
        return int(found.split()[1])
