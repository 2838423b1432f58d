"""One content on this host: its pieces, its file, what was verified."""
