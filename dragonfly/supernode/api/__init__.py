"""Klein routes: parse, call tracker or CDN, encode, map errors; nothing else."""
