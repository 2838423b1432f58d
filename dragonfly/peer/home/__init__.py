"""The home: its directory, its lock, its socket and who speaks there."""
