"""Lowers what plugins yield to steps.

One rule per kind; the functions that do the work are in :mod:`k8sbuild.stages`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .archives import archives
from .binaries import binaries
from .components import filled_in
from .files import generators, templates
from .generated import generated, tree_address
from .images import bundles, images, root_file_systems
from .lints import lints
from .patches import patches, source_address
from .programs import modules
from .resolved import Needed, Resolved
from .sources import artifacts, sources, toolchains
from .steps import checks, steps

if TYPE_CHECKING:
    from k8sbuild.engine.graph import Node

__all__ = ["Needed", "Resolved", "lower", "source_address", "tree_address"]


def lower(r: Resolved) -> list[Node]:
    """Return the nodes of a build; edges are checked by :func:`k8sbuild.engine.graph.connect`."""
    nodes = [
        *toolchains(r),
        *sources(r),
        *artifacts(r),
        *patches(r),
        *generated(r),
        *modules(r),
        *templates(r),
        *generators(r),
        *binaries(r),
        *archives(r),
        *images(r),
        *bundles(r),
        *root_file_systems(r),
        *lints(r),
        *checks(r),
        *steps(r),
    ]
    own = [filled_in(node, nodes, r) for node in nodes]
    return [*own, *(node for target in r.needed for node in target.nodes)]
