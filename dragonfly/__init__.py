"""Dragonfly: files and container images reach many hosts at once, peer to peer."""

__version__ = "0.1.0"
