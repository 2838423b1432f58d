"""The supernode role: tracker, scheduler and CDN."""
