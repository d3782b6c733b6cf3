"""Upstream's conformance tests as a program, and the images that they run."""
