"""What clients send through CONNECT."""
