"""The groups of upstream code that this plugin unlinks, as data.

One group is what a user can keep (``--set remove-cloud-providers.keep=iscsi,fc``).
Drivers whose registrations stand on neighbouring lines are removed by
:class:`~k8sbuild.kinds.Edit`, since hunks of patches that may each be absent
cannot share context; everything else is a patch of its own files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from k8sbuild.errors import ConfigError, suggest
from k8sbuild.kinds import Edit

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["GROUPS", "Denied", "Group", "denied", "edits", "patches", "removed"]

_SOURCE = "kubernetes"
_CONTROLLER_MANAGER = "cmd/kube-controller-manager/app/plugins.go"
_KUBELET = "cmd/kubelet/app/plugins.go"
_VOLUME = "k8s.io/kubernetes/pkg/volume"
_CLOUD = "k8s.io/cloud-provider"
#: Makes "no volume plugin matched" say what to use instead; goes with any of the volume groups.
_HINT = "0001-volume-hint.patch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Code that is unlinked, or kept, together.

    Args:
        name: what ``keep`` takes.
        packages: import paths that must not be linked when the group is removed.
        modules: module paths that must not be linked then.
        needs: denied packages of other groups that this one links when it is kept.
        patches: file names in the series.
        edits: declarative edits of the Kubernetes tree.
    """

    name: str
    packages: tuple[str, ...]
    modules: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    patches: tuple[str, ...] = ()
    edits: tuple[Edit, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """What must not be linked: import paths of packages and paths of modules, sorted."""

    packages: tuple[str, ...]
    modules: tuple[str, ...]


def _unregister(driver: str, package: str, path: str, component: str, *, count: int = 1) -> tuple[Edit, ...]:
    """Edits that take a volume driver out of the list that ``path`` registers ``count`` times."""
    name = f"{driver}-in-{component}"
    call = f"\tallPlugins = append(allPlugins, {package}.ProbeVolumePlugins()...)"
    why = f"unlinks the in-tree driver {package} of {component}; CSI drivers replace it"
    return (
        _drop_import(f"{name}-import", path, f"{_VOLUME}/{package}", why),
        Edit(name=f"{name}-register", source=_SOURCE, path=path, op="delete-lines", text=call, count=count, why=why),
    )


def _no_prober(path: str, component: str, call: str) -> tuple[Edit, ...]:
    """Edits that make ``path`` give no prober; nil is upstream's own way to say so."""
    name = f"flexvolume-in-{component}"
    why = f"unlinks the FlexVolume drivers of {component}; CSI drivers replace them"
    return (
        _drop_import(f"{name}-import", path, f"{_VOLUME}/flexvolume", why),
        Edit(
            name=f"{name}-prober",
            source=_SOURCE,
            path=path,
            op="replace",
            text=f"return {call}",
            new="return nil",
            why=why,
        ),
    )


def _drop_import(name: str, path: str, package: str, why: str) -> Edit:
    return Edit(name=name, source=_SOURCE, path=path, op="drop-import", text=package, why=why)


GROUPS: tuple[Group, ...] = (
    Group(
        name="cloud-controllers",
        packages=(
            f"{_CLOUD}/controllers/nodelifecycle",
            f"{_CLOUD}/controllers/route",
            f"{_CLOUD}/controllers/service",
            f"{_CLOUD}/service/helpers",
            f"{_CLOUD}/volume",
            f"{_CLOUD}/volume/helpers",
        ),
        patches=("0002-cloud-controllers.patch",),
    ),
    Group(
        name="portworx",
        packages=(f"{_VOLUME}/portworx",),
        modules=("github.com/libopenstorage/openstorage",),
        needs=(f"{_CLOUD}/volume", f"{_CLOUD}/volume/helpers"),
        patches=(_HINT, "0003-portworx.patch"),
    ),
    Group(
        name="fc",
        packages=(f"{_VOLUME}/fc",),
        patches=(_HINT,),
        edits=(
            *_unregister("fc", "fc", _CONTROLLER_MANAGER, "kube-controller-manager", count=2),
            *_unregister("fc", "fc", _KUBELET, "kubelet"),
        ),
    ),
    Group(
        name="iscsi",
        packages=(f"{_VOLUME}/iscsi",),
        patches=(_HINT,),
        edits=(
            *_unregister("iscsi", "iscsi", _CONTROLLER_MANAGER, "kube-controller-manager"),
            *_unregister("iscsi", "iscsi", _KUBELET, "kubelet"),
        ),
    ),
    Group(
        name="flexvolume",
        packages=(f"{_VOLUME}/flexvolume",),
        patches=(_HINT,),
        edits=(
            *_no_prober(
                _CONTROLLER_MANAGER,
                "kube-controller-manager",
                "flexvolume.GetDynamicPluginProber(config.FlexVolumePluginDir, exec.New() /*exec.Interface*/)",
            ),
            _drop_import(
                "flexvolume-in-kube-controller-manager-exec",
                _CONTROLLER_MANAGER,
                "k8s.io/utils/exec",
                "only the FlexVolume prober used it",
            ),
            *_no_prober(_KUBELET, "kubelet", "flexvolume.GetDynamicPluginProber(pluginDir, runner)"),
        ),
    ),
    Group(
        name="git-repo",
        packages=(f"{_VOLUME}/git_repo",),
        patches=(_HINT,),
        edits=_unregister("git-repo", "git_repo", _KUBELET, "kubelet"),
    ),
    Group(
        name="ipvs",
        packages=(
            "k8s.io/kubernetes/pkg/proxy/ipvs",
            "k8s.io/kubernetes/pkg/proxy/ipvs/ipset",
            "k8s.io/kubernetes/pkg/proxy/ipvs/util",
        ),
        modules=("github.com/moby/ipvs",),
        patches=("0004-ipvs.patch",),
    ),
)


def removed(keep: Iterable[str]) -> tuple[Group, ...]:
    """Return the groups that are not in ``keep``.

    Raises:
        ConfigError: ``keep`` names something that is no group (``unknown-group``).

    >>> [group.name for group in removed(["iscsi", "fc", "cloud-controllers", "portworx"])]
    ['flexvolume', 'git-repo', 'ipvs']
    """
    names = [group.name for group in GROUPS]
    for name in (kept := set(keep)):
        if name not in names:
            raise ConfigError(
                f"remove-cloud-providers.keep: no group is named {name!r}{suggest(name, names)}",
                reason="unknown-group",
                hint=f"groups: {', '.join(names)}",
            )
    return tuple(group for group in GROUPS if group.name not in kept)


def patches(keep: Iterable[str]) -> tuple[str, ...]:
    """Return the file names of the series that remove all groups but ``keep``, each once, in order.

    >>> patches(["cloud-controllers", "portworx", "ipvs"])
    ('0001-volume-hint.patch',)
    """
    return tuple(sorted({patch for group in removed(keep) for patch in group.patches}))


def edits(keep: Iterable[str]) -> tuple[Edit, ...]:
    """Return the edits that remove all groups but ``keep``."""
    return tuple(edit for group in removed(keep) for edit in group.edits)


def denied(keep: Iterable[str]) -> Denied:
    """Return what must not be linked when all groups but ``keep`` are removed.

    >>> denied(["cloud-controllers", "portworx", "fc", "iscsi", "flexvolume", "git-repo"]).modules
    ('github.com/moby/ipvs',)
    """
    gone = removed(keep)
    needed = {package for group in GROUPS if group not in gone for package in group.needs}
    return Denied(
        packages=tuple(sorted({package for group in gone for package in group.packages} - needed)),
        modules=tuple(sorted(module for group in gone for module in group.modules)),
    )
