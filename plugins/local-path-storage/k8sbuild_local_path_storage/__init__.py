"""Volumes on the nodes' own disks: local-path-provisioner as a small image, and what runs it."""
