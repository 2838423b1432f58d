#!/bin/sh
# Installs the real programs that the end-to-end tests run (Debian, Ubuntu). Needs root.
set -eu
apt-get update
DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
    nginx-light curl aria2 docker-registry skopeo containerd apache2-utils \
    podman buildah docker.io iproute2 wget git git-lfs npm
