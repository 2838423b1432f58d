"""One dfdaemon takes the place of another."""
