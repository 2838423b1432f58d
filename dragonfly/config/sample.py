"""What ``dfdaemon config default`` prints."""

from __future__ import annotations

__all__ = ["DAEMON_SAMPLE"]

DAEMON_SAMPLE = """\
# Configuration of dfdaemon: /etc/dragonfly/dfdaemon.yml
# Every key may be left out; what stands here is the default. Flags win over this file.

# The registry whose images are pulled through this host's mirror.
registry_mirror:
  remote: https://index.docker.io
  # Believe any certificate of the registry.
  insecure: false
  # PEM files whose authorities alone count for the registry; empty: those of the system.
  certs: []
  # For registries that want to know who asks: certificate and key, PEM.
  # client_cert: /etc/dragonfly/me.pem
  # client_key: /etc/dragonfly/me.key

# How other registries are asked; what is not listed is asked over TLS.
registries: []
#  - host: registry.example.com:5000
#    scheme: http
#  - host: harbor.example.com
#    insecure: false
#    certs: [/etc/dragonfly/harbor-ca.pem]

# What goes through the swarm besides layers: the first expression found in the URL counts.
# Rules with direct send straight on, those with use_https or redirect elsewhere.
proxies: []
#  - regx: '^https?://files[.]example[.]com/.*[.](whl|tar[.]gz|zip)$'
#  - regx: '/secret/'
#    direct: true
#  - regx: '^http://old[.]example[.]com/'
#    use_https: true
#    redirect: new.example.com

# Supernodes, host[:port][=weight]. Without any, everything comes from the registry.
supernodes: []
#  - supernode.example.com:8002=1

# Where the container engine finds the mirror.
port: 65001
hostIp: 127.0.0.1
# Public names under which clients may choose where a request goes (see the documentation).
hostNames: []
#  - dfdaemon.example.com
# With both, TLS is spoken there, too, and on httpsPort nothing else.
# certpem: /etc/dragonfly/dfdaemon.crt
# keypem: /etc/dragonfly/dfdaemon.key
# httpsPort: 65004

# Connections through the proxy (CONNECT) to these hosts are opened: layers come from the swarm.
# Clients must trust the authority, which 'dfdaemon gen-ca' makes.
# hijack_https:
#   cert: /etc/dragonfly/ca.crt
#   key: /etc/dragonfly/ca.key
#   hosts:
#     # Each is searched for in host:port.
#     - regx: ^registry\\.example\\.com:443$
#       # For the connection to the registry, as in registry_mirror.
#       insecure: false
#       certs: []

# Where other peers find pieces; the address is the one that the supernode sees.
peerPort: 65002
# peerIp: 10.0.0.7

# Where /metrics and /healthy are; the address is hostIp.
statusPort: 65003
# statusIp: 0.0.0.0

# All layers together, and what is sent to other peers, bytes for each second, as in 20M.
# Unlimited without it; a change counts from SIGHUP on.
# ratelimit: 20M

# When a client asks for a part of a content: fetch the rest, too, in the background.
prefetch: false

# Key, lock and socket of this host's peer, shared with dfget.
workHome: ~/.small-dragonfly
# Where layers are kept; without it: in workHome.
# localrepo: /var/lib/dragonfly

# So long answers may go on when dfdaemon ends; Kubernetes kills after 30 s. 0: cut at once.
drainTime: 25s

# Log more.
verbose: false
# A file that the log goes to besides.
# logConfig:
#   path: /var/log/dragonfly/dfdaemon.log
"""
