"""What is being moved: names, versions, piece layout, digests, manifests and grants."""
