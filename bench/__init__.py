"""Measures the project's numbers as ratios, in one run on one machine: ``nox -s bench``."""
