"""What somebody names must be something of the build, or of another target: else it would count for nothing.

Names of sources and providers in files count for all targets of a project, so that all are looked at.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from .errors import ConfigError, ResolveError, UsageError, suggest
from .options import given
from .targets import declared_sources, draft, for_target

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from .fetching import Fetcher
    from .kinds import Source
    from .project import Request, Setup

__all__ = ["check_options", "check_provider", "check_source_names"]


def check_source_names(base: Setup, request: Request, sources: Iterable[str]) -> None:
    """Refuse names of sources in the configuration and in ``--provider`` that no target has.

    Args:
        sources: those of the build, which need no look at the other targets.

    Raises:
        ConfigError: ``unknown-source``.
    """
    chosen = [text.partition("=")[0] for text in base.words("provider") if "=" in text]
    named = [
        *((f"[patches] {name}", name) for name in base.project.patches),
        *((f"[sources.{name}]", name) for name in base.project.sources),
        *((f"--provider={name}", name) for name in chosen),
    ]
    known = set(sources)
    if {name for _, name in named} <= known:
        return
    known |= {source.name for source in _of_all_targets(base, request)}
    for where, name in named:
        if name not in known:
            problem = f"no target has the source {name!r}{suggest(name, known)}"
            raise ConfigError(f"{where}: {problem}", reason="unknown-source")


def check_options(base: Setup, request: Request, targets: Collection[str]) -> None:
    """Refuse what the command line sets of plugins that add nothing to the targets of the build.

    Files and the environment are for all targets of a project, so that they may say more.

    Raises:
        UsageError: ``option-unused``.
    """
    for key, how in given(base.declared, request.flags).items():
        plugin = base.declared[key].plugin
        if plugin and not any(base.plugins.get(plugin).contributes_to(name) for name in targets):
            raise UsageError(
                f"{how}: the plugin {plugin} takes no part in the target {base.text('target')}",
                reason="option-unused",
                hint=f"leave it out, or choose another --target; {plugin} is for: {_targets_of(base, plugin)}",
            )


def _targets_of(base: Setup, plugin: str) -> str:
    return ", ".join(name for name in base.targets if base.plugins.get(plugin).contributes_to(name)) or "no target"


def check_provider(base: Setup, request: Request, fetcher: Fetcher, sources: Iterable[Source]) -> None:
    """Refuse a provider for all sources that none of any target has a location for: nothing would come from it.

    Args:
        sources: those of the build, which need no look at the other targets.

    Raises:
        ResolveError: ``no-provider``.
    """
    kind = fetcher.chosen.get("", "")
    if kind not in fetcher.providers or kind in [of for name, of in fetcher.chosen.items() if name]:
        return
    if not any(kind in source.locations for source in chain(sources, _of_all_targets(base, request))):
        raise ResolveError(
            f"--provider={kind}: no source has a location for {kind!r}",
            reason="no-provider",
            hint=f'[sources.NAME] provider = "{kind}" and location = … in k8sbuild.toml',
        )


def _of_all_targets(base: Setup, request: Request) -> Iterator[Source]:
    for target in base.targets:
        yield from declared_sources(base.plugins, draft(for_target(base, request, target))).values()
