"""What there is here: options, plugins, targets, versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import __version__, pins
from .project import no_target, setup

if TYPE_CHECKING:
    from .options import Declared
    from .project import Request

__all__ = ["options", "plugins", "versions"]


def options(request: Request) -> dict[str, Declared]:
    """Return every option by key, plugins' included; a broken plugin is passed over."""
    return dict(setup(request, strict=False).declared)


def plugins(request: Request) -> dict[str, list[dict[str, Any]]]:
    """Return ``plugins``, ``targets``, and the plugins that are ``broken`` with the error of each."""
    base = setup(request, strict=False)
    return {
        "plugins": [
            {"name": p.name, "version": p.version, "package": p.distribution, "targets": list(p.info.targets)}
            for p in base.plugins
        ],
        "targets": [{"name": t.name, "help": t.help, "plugin": owner} for owner, t in base.targets.values()],
        "broken": [{"name": b.name, "package": b.distribution, **b.error.to_dict()} for b in base.plugins.broken],
    }


def versions(request: Request) -> dict[str, Any]:
    """Return which versions there are: of the tool, of plugins, what a build uses by default, what pins know.

    Raises:
        UsageError: ``unknown-target``.
    """
    base = setup(request, strict=False)
    name = base.text("target")
    if name and name not in base.targets:
        raise no_target(name, base.targets, chosen=bool(base.words("plugin") or base.words("no-plugin")))
    known = pins.load(p.folder / p.info.pins for p in base.plugins if p.info.pins)
    return {
        "k8sbuild": __version__,
        "plugins": {p.name: p.version for p in base.plugins},
        "build": {d.key: base.values[d.key] for d in base.declared.values() if d.option.type == "version"},
        "releases": sorted(known.releases),
        "go": {"releases": list(known.go_releases), "minors": known.go_of_minor},
    }
