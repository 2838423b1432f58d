"""What is remembered of requests, and where it is written."""
