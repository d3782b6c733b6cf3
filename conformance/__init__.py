"""Upstream's conformance tests, run against a node that the toolkit built: ``nox -s conformance``."""
