# ruff: noqa: INP001 - a package here would hide every other plugin
"""What ``twistd`` finds of Dragonfly; imported by every run of it, so it names, no more."""

from twisted.application.service import ServiceMaker

dragonfly_supernode = ServiceMaker(
    "Dragonfly supernode",
    "dragonfly.taps.supernode",
    "Dragonfly's tracker and CDN: the node that all peers of a swarm know.",
    "supernode",
)

dragonfly_dfdaemon = ServiceMaker(
    "Dragonfly dfdaemon",
    "dragonfly.taps.daemon",
    "Dragonfly's mirror: pulls of container images go through the swarm.",
    "dfdaemon",
)
