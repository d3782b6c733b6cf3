"""What a plugin says of itself and offers: who it is, targets, options, providers, findings.

Plugins import these from :mod:`k8sbuild.kinds`, with the kinds of the stages.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ALL_TARGETS", "Finding", "Option", "PluginInfo", "Provider", "Target"]

#: In ``PluginInfo.targets``: the plugin contributes to every target.
ALL_TARGETS = ("*",)


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginInfo:
    """Who a plugin is and how it stands to others.

    ``before``/``after`` order contributions; a patch of another plugin may be
    touched only by one that is ``after`` it. ``requires`` and ``conflicts``
    name plugins, with an optional version specifier (``"kine-integration>=0.1"``).
    ``pins`` is a TOML file inside the plugin's package.
    """

    name: str
    api: str = ">=1,<2"
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    targets: tuple[str, ...] = ALL_TARGETS
    pins: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What can be built.

    ``artifacts`` maps the name in ``dist/artifacts`` to the address of a file
    or folder in a step's output; ``{k8s}``, ``{os}``, ``{arch}`` and
    ``{suffix}`` (empty on the default platform, else ``-<os>-<arch>``) are
    filled in. ``defaults`` gives options their value for this target, by key:
    ``k8s``, or ``plugin.option``. ``source`` is the one whose release gives
    ``{commit}``, ``{date}`` and ``{tree_state}`` of its programs and the time in its archives; edit trees are
    of it unless another is named. The ``default`` is what is built where nobody names a target, on the default
    platform with ``build.json`` beside it; of targets without one it is the only one.
    ``installer`` is the archive's program that installs what it lies beside: it is run as
    ``<installer> install --root=<folder>``, and prints for each file what became of it (``installed``,
    ``unchanged``, ``kept``, ``removed``) and its path; with ``--dry-run`` as well, what would become
    of it, and nothing does. Without one, programs, units and settings are
    put where such files go.
    """

    name: str
    help: str
    artifacts: Mapping[str, str]
    defaults: Mapping[str, str] = field(default_factory=dict)
    source: str = "kubernetes"
    default: bool = False
    installer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option of a plugin: flag, environment variable, config key and doc row.

    Set on the command line by ``--set <plugin>.<name>=VALUE``, or by
    ``--<flag>=VALUE`` where ``flag`` is given; in the environment by
    ``K8SBUILD_<PLUGIN>_<NAME>`` or an alias from ``env``; in k8sbuild.toml by
    ``[plugins.<plugin>] <name> = …``. ``type`` decides how text is read.
    A ``version`` option says by ``source`` which Source its versions are of.
    ``check`` is ``module:function``, called with the value of an option that has one, before anything is resolved
    or fetched; it raises what is wrong with it, and may look at the file that a ``path`` names.
    """

    name: str
    help: str
    type: Literal["str", "int", "bool", "list", "path", "version"] = "str"
    default: str | int | bool | tuple[str, ...] = ""
    choices: tuple[str, ...] = ()
    flag: str = ""
    env: tuple[str, ...] = ()
    source: str = ""
    check: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A way to fetch sources, by ``kind`` (``gomod``, ``git``, …).

    ``resolve`` and ``fetch`` are ``module:function``; see
    :mod:`k8sbuild.providers` for their signatures.
    """

    name: str
    kind: str
    resolve: str
    fetch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One result of ``doctor``: what was looked at, whether it is fine, and the fix."""

    name: str
    ok: bool
    message: str
    fix: str = ""
