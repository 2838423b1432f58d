"""Clients: connections, requests, answers."""
