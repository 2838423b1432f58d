"""Asking registries: connections, requests, answers."""
