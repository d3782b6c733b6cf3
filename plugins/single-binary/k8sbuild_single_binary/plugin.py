"""The target ``k8s``: apiserver, controller-manager, scheduler, kubelet and kube-proxy in one process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8sbuild import hookimpl
from k8sbuild.kinds import (
    Archive,
    ArchiveFile,
    Check,
    Collect,
    Edit,
    Generator,
    GoBinary,
    GoModule,
    GoRequire,
    Option,
    Overlay,
    PatchSeries,
    PluginInfo,
    Source,
    SystemdUnit,
    Target,
    Template,
)
from k8sbuild.upstream import KUBERNETES_RELEASE

from . import exits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k8sbuild.build import Build

MODULE = "k8sbuild.dev/distribution"
BINARY = "compile:single-binary/k8s/k8s"
ETCD = "fetch:single-binary/etcd/etcd"
STATICCHECK = "fetch:single-binary/staticcheck/staticcheck"
SIZE_BUDGET = 160
#: The option with which the archive has all that a node needs.
RUNTIME = "containerd-runtime.bundle"

_VERSION = {
    "GitVersion": "{k8s}+k8sbuild",
    "GitCommit": "{commit}",
    "GitTreeState": "{tree_state}",
    "BuildDate": "{date}",
    "K8sVersion": "{k8s}",
}


@hookimpl
def k8sbuild_plugin() -> PluginInfo:
    """Say who we are."""
    return PluginInfo(name="single-binary", targets=("k8s",))


@hookimpl
def k8sbuild_targets() -> Iterator[Target]:
    """Offer the target ``k8s``."""
    yield Target(
        name="k8s",
        help="a Kubernetes server in one static binary, with systemd unit",
        artifacts={
            "k8s{suffix}": BINARY,
            "k8s-{k8s}-{os}-{arch}.tar.zst": "package:single-binary/archive/k8s-{k8s}-{os}-{arch}.tar.zst",
        },
        defaults={"k8s": "v1.31.4"},
        default=True,
        installer="k8s",
    )


@hookimpl
def k8sbuild_options() -> Iterator[Option]:
    """Declare the budget, and the check that takes longest."""
    yield Option(name="max-size", help="largest binary, in MiB", type="int", default=SIZE_BUDGET)
    yield Option(
        name="validate-ha",
        help="also boot two servers on one etcd, which is built as well (plugin etcd)",
        type="bool",
        default=False,
        flag="--validate-ha",
    )
    yield Option(
        name="staticcheck",
        help="lint with staticcheck too, which is built as well (plugin staticcheck)",
        type="bool",
        default=False,
    )


@hookimpl
def k8sbuild_fetch(build: Build) -> Iterator[Source]:
    """Fetch Kubernetes, and take the programs that checks and linting want."""
    if build.option("validate-ha"):
        yield Source.target("etcd")
    if build.option("staticcheck"):
        yield Source.target("staticcheck")
    yield Source.kubernetes(build.k8s)


@hookimpl
def k8sbuild_patch(build: Build) -> Iterator[PatchSeries | Edit]:
    """Make the components live in one process."""
    yield PatchSeries(name="kubernetes", source="kubernetes", root="patches/kubernetes")
    yield from exits.edits()


@hookimpl
def k8sbuild_codegen(
    build: Build,
) -> Iterator[GoModule | GoRequire | Overlay | Generator | SystemdUnit | Template]:
    """Make the distribution's own Go module, and what systemd needs."""
    yield GoModule(
        name="distribution",
        path=MODULE,
        go="1.24.0",
        coverage=80,
        # The tests of pkg/boot boot it.
        test_inputs={"K8S_BINARY": BINARY, **({"ETCD_BINARY": ETCD} if build.option("validate-ha") else {})},
        linters=(STATICCHECK,) if build.option("staticcheck") else (),
    )
    yield GoRequire(name="kubernetes", path="k8s.io/kubernetes", source="kubernetes")
    yield Overlay(name="server", root="overlay")
    yield Generator(
        name="registry",
        run="k8sbuild_single_binary.registry:generate",
        params={"packages": Collect(kind="Overlay", label="register")},
    )
    yield SystemdUnit(
        name="k8s.service",
        path="files/k8s.service.in",
        file="k8s.service",
        values={"K8S": "{k8s}", "AGENT": "" if build.enabled(RUNTIME) else " --disable-agent"},
    )
    yield Template(
        name="k8s.env.example", path="files/k8s.env.example.in", file="k8s.env.example", values={"K8S": "{k8s}"}
    )


@hookimpl
def k8sbuild_compile(build: Build) -> Iterator[GoBinary]:
    """Compile the server."""
    own = {f"{MODULE}/pkg/version.{name}": value for name, value in _VERSION.items()}
    yield GoBinary(
        name="k8s",
        package="./cmd/server",
        ldflags={**own, **KUBERNETES_RELEASE},
        # Releases before 1.31 still honour them; newer ones have no file that carries them.
        tags=() if build.k8s_in(">=1.31") else ("providerless", "dockerless"),
    )


@hookimpl
def k8sbuild_package(build: Build) -> Iterator[Archive]:
    """Pack binary, unit, environment file and licences."""
    yield Archive(
        name="archive",
        file="k8s-{k8s}-{os}-{arch}.tar.zst",
        prefix="k8s-{k8s}-{os}-{arch}/",
        members=(
            ArchiveFile(name="binary", address=BINARY, path="k8s", mode=0o755),
            ArchiveFile(name="unit", address="codegen:single-binary/k8s.service/k8s.service", path="k8s.service"),
            ArchiveFile(
                name="env", address="codegen:single-binary/k8s.env.example/k8s.env.example", path="k8s.env.example"
            ),
        ),
        licences=(BINARY,),
    )


@hookimpl
def k8sbuild_validate(build: Build) -> Iterator[Check]:
    """Prove the binary: static facts, then a live boot."""
    yield Check(
        name="static",
        run="k8sbuild_single_binary_checks.binary:static",
        inputs=(BINARY,),
        params={
            "binary": BINARY,
            "max_size": build.option("max-size"),
            "arch": build.platform.arch,
            "strings": [build.k8s, f"{build.k8s}+k8sbuild"],
        },
    )
    yield Check(
        name="exits",
        run="k8sbuild_single_binary_checks.binary:exits",
        inputs=(BINARY,),
        params={"binary": BINARY, "enders": exits.ENDERS, "denied": exits.DENIED, "except": exits.EXCEPT},
    )
    yield Check(
        name="live",
        run="k8sbuild_single_binary_checks.live:boot",
        inputs=(BINARY,),
        params={"binary": BINARY, "k8s": build.k8s},
        live=True,
        enabled=build.has("kine-integration"),
        why="single mode has no storage without the plugin kine-integration",
    )
    wanted = bool(build.option("validate-ha"))
    yield Check(
        name="live-ha",
        run="k8sbuild_single_binary_checks.ha:boot",
        inputs=(BINARY, ETCD) if wanted else (BINARY,),
        params={"binary": BINARY, "etcd": ETCD, "k8s": build.k8s},
        live=True,
        enabled=wanted,
        why="--set single-binary.validate-ha=true boots two servers on an etcd",
    )
