"""Control messages between peer and supernode: JSON over HTTP, described by frozen classes."""
