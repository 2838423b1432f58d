"""Reading the origin, and when to."""
