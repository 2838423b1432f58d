"""The parts of the lab (``benchmarks/lab.py``): network, adapters, clock, figures."""
