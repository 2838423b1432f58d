"""Blocking disk I/O: preallocated files, the journal of finished pieces, recovery."""
