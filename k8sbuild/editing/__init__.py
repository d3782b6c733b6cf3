"""Edit trees: a patched source to work in, and its changes as a patch of a series.

An edit tree lies under ``.k8sbuild/edit/<source>``; no build reads it. Beside
it ``<source>.json`` says what it was when it was laid out, so that only what
somebody changed since becomes a patch.

>>> from pathlib import Path
>>> from k8sbuild import api
>>> request = api.Request(flags={}, env={}, root=Path("."))
>>> api.start_edit(request, "kubernetes").folder                                   # doctest: +SKIP
>>> api.refresh_patch(request, "kubernetes", plugin="mine", name="fix").patch      # doctest: +SKIP
"""
