"""Calls to supernodes: registering and announcing."""
