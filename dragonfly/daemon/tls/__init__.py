"""Certificates: those that an operator names, and those that dfdaemon makes."""
