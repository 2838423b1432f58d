"""What twistd starts: options and service composition."""
