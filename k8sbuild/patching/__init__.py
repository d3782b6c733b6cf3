"""Patches and edits, applied strictly to trees in memory.

Nothing here touches disk, network or processes: a :class:`~k8sbuild.patching.tree.Tree`
goes in, the files that change come out. :func:`~k8sbuild.patching.parse.parse` reads one
``.patch`` file, :func:`~k8sbuild.patching.apply.apply` checks and applies all plugins'
contributions to one source, :func:`~k8sbuild.patching.diff.make` writes a patch.
"""
