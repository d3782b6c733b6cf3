"""Build your own Kubernetes distribution: fetch, patch, generate, compile, package, validate.

Plugins import :data:`hookimpl` and the kinds of :mod:`k8sbuild.kinds`;
programs and notebooks use :mod:`k8sbuild.api`.
"""

from __future__ import annotations

from .hookspecs import hookimpl

__all__ = ["__version__", "hookimpl"]

__version__ = "0.1.0"
