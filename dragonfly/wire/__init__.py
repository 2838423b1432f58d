"""The piece-exchange protocol: bytes in, events out; no I/O, no clock, no reactor."""
