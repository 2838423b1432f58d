"""What goes through the swarm."""
