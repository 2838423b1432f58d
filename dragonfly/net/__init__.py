"""Twisted plumbing: disk pool, HTTP bodies, origins, TLS; the reactor is handed in."""
