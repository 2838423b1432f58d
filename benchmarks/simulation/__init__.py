"""Swarms under a simulated clock: the programs' own code on a network that is a calculation.

What is real: of a peer :class:`~dragonfly.peer.swarm.transfer.Transfer` with all that is in it
(picker, exchange, links, uploader with its slots, content with its checks, hunger, announces),
of the supernode the tracker with its graph, the seed's desk and links. Each of them gets a
clock, and reads no other.

What is not:

* the session has its own books and rules, but says messages instead of bytes; the handshake
  is three round trips (:mod:`.wire`);
* in the place of ``PeerProtocol`` there is :class:`~.wire.SimPeer`: the same corking of
  events, un-ACKed bytes and back-pressure, no PINGs;
* flows share links max-min, at once and without loss (:mod:`.fluid`); a message waits one
  latency, and behind pieces that were written to the same connection before it;
* the disk takes a fixed time for each job, files have no bytes, and all pieces are the same
  (:mod:`.hosts`); hashing is real;
* no CPU: how long code runs does not count;
* the seed's gate and the supernode's HTTP (:mod:`.supernode`).

Two runs of one plan differ a little: ``Exchange.links`` is a set of objects.
"""
