"""Answering requests for pieces, within slots and rate limits."""
