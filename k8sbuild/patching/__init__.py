"""Patches as data, read strictly; trees in memory.

Nothing here touches disk, network or processes.
:func:`~k8sbuild.patching.parse.parse` reads one ``.patch`` file.
"""
