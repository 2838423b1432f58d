"""What the store holds: found by name, opened, dropped when idle."""
