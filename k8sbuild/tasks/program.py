"""The command ``k8sbuild``: the same tasks as a program of their own."""

from __future__ import annotations

from invoke.program import Program

from k8sbuild import __version__

from . import ns

__all__ = ["main"]


def main() -> None:
    """Run the program with the arguments of the process."""
    Program(name="k8sbuild", binary="k8sbuild", version=__version__, namespace=ns).run()
