"""Providers: ways to fetch sources.

Each provider is a module with two functions::

    fetch(ctx: Context, request: Request, dest: Path) -> Fetched
    resolve(ctx: Context, request: Request) -> str

``fetch`` lays the source out below the empty folder ``dest``; ``resolve``
gives the exact version. See :mod:`k8sbuild.providers.base` for the types.
"""
