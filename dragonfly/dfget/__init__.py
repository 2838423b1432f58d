"""The wget-like command."""
