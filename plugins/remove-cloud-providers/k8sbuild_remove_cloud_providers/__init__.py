"""Unlinks cloud providers, in-tree storage drivers and IPVS from Kubernetes, and proves that they are gone."""
