"""Whom a request is for, and which way it goes; pure but for the files that it names."""
