"""Docker Hub, which engines know by a name that is not its host's; pure."""

from __future__ import annotations

__all__ = ["HUB_HOST", "HUB_NAME", "HUB_NAMES"]

HUB_NAME = "docker.io"
"""As it stands in names of images: engines have that name built in."""

HUB_HOST = "registry-1.docker.io"
"""Where the images are."""

HUB_NAMES = frozenset({HUB_NAME, HUB_HOST, "index.docker.io"})
"""What it is called, in configurations and by engines."""
