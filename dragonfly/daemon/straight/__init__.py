"""What goes straight on to a registry, and comes back."""
