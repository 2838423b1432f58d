"""The tasks of this peer: those it shares, and those it reads alone."""
