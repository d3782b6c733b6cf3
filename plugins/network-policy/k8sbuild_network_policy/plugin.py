"""kube-network-policies: fetched, patched, and added to the node of ``k8s`` as a component."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8sbuild import hookimpl
from k8sbuild.kinds import Edit, GoRequire, Option, Overlay, PatchSeries, PluginInfo, Source, on_github

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k8sbuild.build import Build

NAME = "network-policy"
#: The plugin whose option makes a node of ``k8s``.
RUNTIME = "containerd-runtime"
#: The project's name, and the source's.
PROJECT = "kube-network-policies"
MODULE = f"sigs.k8s.io/{PROJECT}"
#: What its packages need that Kubernetes does not have; the versions are those of its own go.mod.
NEEDED: tuple[tuple[str, str], ...] = (
    ("github.com/florianl/go-nfqueue", "v1.3.2"),
    ("github.com/google/nftables", "v0.2.1-0.20241219092456-e99829fb4f26"),
    ("github.com/mdlayher/netlink", "v1.7.2"),
)

_PACKAGE = "pkg/networkpolicy"
_METRICS = f"{_PACKAGE}/metrics.go"


@hookimpl
def k8sbuild_plugin() -> PluginInfo:
    """Say who we are."""
    return PluginInfo(name=NAME, after=("single-binary", RUNTIME), targets=("k8s",))


@hookimpl
def k8sbuild_options() -> Iterator[Option]:
    """Declare the version."""
    yield Option(name="version", help=f"version of {PROJECT}", type="version", default="v0.7.0", source=PROJECT)


def wanted(build: Build) -> bool:
    """Say whether a node is built."""
    return build.enabled(f"{RUNTIME}.bundle")


@hookimpl
def k8sbuild_fetch(build: Build) -> Iterator[Source]:
    """Fetch the project, without what its own programs require."""
    if wanted(build):
        yield Source(
            name=PROJECT,
            version=str(build.option("version")),
            layout="bare",
            locations={"gomod": MODULE, **on_github(f"kubernetes-sigs/{PROJECT}")},
        )


@hookimpl
def k8sbuild_patch(build: Build) -> Iterator[PatchSeries | Edit]:
    """Leave policies of the one kind that clusters have, and make it live in one process with the rest."""
    if wanted(build):
        yield PatchSeries(name=PROJECT, source=PROJECT, root=f"patches/{PROJECT}")
        yield from _edits()


def _edits() -> Iterator[Edit]:
    yield Edit(
        name="no-policies-of-administrators",
        source=PROJECT,
        path=f"{_PACKAGE}/networkpolicyapi.go",
        op="delete-file",
        why="kinds of another module",
    )
    yield Edit(
        name="rules-are-no-news",
        source=PROJECT,
        path=f"{_PACKAGE}/controller.go",
        op="replace",
        text='.Info("Syncing nftables rules")',
        new='.V(4).Info("Syncing nftables rules")',
        why="they are written twice a minute",
    )
    yield Edit(
        name="metrics-of-the-process",
        source=PROJECT,
        path=_METRICS,
        op="replace",
        text="prometheus.MustRegister",
        new="legacyregistry.RawMustRegister",
        count=7,
        why="the process has one registry, which the ports of its components show",
    )
    yield Edit(
        name="metrics-of-the-process-import",
        source=PROJECT,
        path=_METRICS,
        op="insert-after",
        text='\t"github.com/prometheus/client_golang/prometheus"\n',
        new='\t"k8s.io/component-base/metrics/legacyregistry"\n',
        why="used by the edit above",
    )


@hookimpl
def k8sbuild_codegen(build: Build) -> Iterator[GoRequire | Overlay]:
    """Add the component, and what the project's package needs."""
    if wanted(build):
        yield GoRequire(name=PROJECT, path=MODULE, source=PROJECT)
        for path, version in NEEDED:
            yield GoRequire(name=path, path=path, version=version)
        yield Overlay(name="component", root="overlay", labels={"register": _PACKAGE})
