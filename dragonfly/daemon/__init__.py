"""dfdaemon: the proxy between a container engine and its registry."""
