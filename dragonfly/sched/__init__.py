"""Who asks whom for what: picker, seed choice, net-path graph, bans; pure."""
