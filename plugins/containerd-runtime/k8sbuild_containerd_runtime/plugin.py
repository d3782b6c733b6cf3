"""The target ``containerd-runtime``: containerd, its shim, runc and CNI plugins as static programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8sbuild import hookimpl
from k8sbuild.kinds import (
    ArchiveFile,
    Artifact,
    Check,
    Edit,
    Generator,
    GoBinary,
    GoModule,
    GoReplace,
    GoRequire,
    ImageBundle,
    OciImage,
    Option,
    Overlay,
    PluginInfo,
    Source,
    Step,
    Target,
)
from k8sbuild.upstream import Upstream, address, checked, target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k8sbuild.build import Build

NAME = "containerd-runtime"
CONTAINERD = "github.com/containerd/containerd/v2"
RUNC = "github.com/opencontainers/runc"
CNI = "github.com/containernetworking/plugins"
#: The CNI plugins that a node needs, by the folder of their code.
CNI_PLUGINS = ("main/bridge", "ipam/host-local", "main/loopback", "meta/portmap", "meta/firewall")

#: The modules that the programs are built from. The defaults are releases that are supported with Kubernetes v1.31.
#: The go line is the one of newer distributions: one toolchain for all.
UPSTREAMS = tuple(
    Upstream(plugin=NAME, name=name, path=path, version=version, go="1.25.0")
    for name, path, version in (
        ("containerd", CONTAINERD, "v2.0.14"),
        ("runc", RUNC, "v1.4.3"),
        ("cni-plugins", CNI, "v1.9.1"),
    )
)
#: The programs: their package by name, and the source that it is in.
PROGRAMS = {
    "containerd": ("containerd", f"{CONTAINERD}/cmd/containerd"),
    "containerd-shim-runc-v2": ("containerd", f"{CONTAINERD}/cmd/containerd-shim-runc-v2"),
    "runc": ("runc", RUNC),
    **{folder.partition("/")[2]: ("cni-plugins", f"{CNI}/plugins/{folder}") for folder in CNI_PLUGINS},
}
#: What upstream leaves out of the shim as well, and what needs other programs on the machine.
TAGS = {
    "containerd": ("no_btrfs", "no_devmapper", "no_zfs", "no_tracing"),
    "containerd-shim-runc-v2": ("no_grpc",),
    # As upstream links runc statically: names are looked up in Go.
    "runc": ("seccomp", "netgo", "osusergo"),
}
#: Where programs have their version; runc reads its own from a file.
VERSIONS = {
    "containerd": f"{CONTAINERD}/version.Version",
    "cni-plugins": f"{CNI}/pkg/utils/buildversion.BuildVersion",
}
#: zig's words for what Go calls the architecture.
ARCH = {"amd64": "x86_64", "arm64": "aarch64"}
ZIG = "fetch:containerd-runtime/ziglang/ziglang/zig"

#: The program of each pod's sandbox: its version is the one of Kubernetes v1.31, which keeps its source.
PAUSE_VERSION = "3.10"
PAUSE = address(NAME, "pause")
PAUSE_SOURCE = "fetch:containerd-runtime/kubernetes/build/pause/linux/pause.c"
#: What containerd, and those who mirror a cluster's images, call it.
PAUSE_IMAGE = f"registry.k8s.io/pause:{PAUSE_VERSION}"
IMAGES = "k8s-images-{k8s}-{os}-{arch}.tar.zst"

#: The messages of containerd's services, of the release that the program is built with; Kubernetes has what they
#: need besides, in the version that is kept.
API, API_VERSION = "github.com/containerd/containerd/api", "v1.8.0"
KEPT = ("github.com/containerd/ttrpc", "v1.2.2")

_SECCOMP = "libcontainer/seccomp/seccomp_linux.go"
_LOADER = "libcontainer/seccomp/patchbpf/enosys_linux.go"
_WHY = "filters are made in Go, by a package of the same names, so that there is no C library to build"


@hookimpl
def k8sbuild_plugin() -> PluginInfo:
    """Say who we are."""
    return PluginInfo(name=NAME, after=("single-binary",), targets=(NAME, "k8s"))


@hookimpl
def k8sbuild_targets() -> Iterator[Target]:
    """Offer the target ``containerd-runtime``."""
    told = "containerd, runc and CNI plugins as static programs"
    yield target(NAME, (*PROGRAMS, "pause"), help=told, k8s="v1.31.4")


@hookimpl
def k8sbuild_options() -> Iterator[Option]:
    """Declare the versions, and whether ``k8s`` has the runtime."""
    yield Option(
        name="bundle",
        help="build k8s with all that a node needs: the container runtime beside it in its archive, the pods' network",
        type="bool",
        default=False,
        flag="--node",
    )
    for upstream in UPSTREAMS:
        yield from upstream.options()
    yield Option(
        name="ziglang",
        help="version of the C compiler that builds runc (a Python package)",
        type="version",
        default="0.14.1",
        source="ziglang",
    )


@hookimpl
def k8sbuild_fetch(build: Build) -> Iterator[Source]:
    """Fetch the modules, and the C compiler for runc; for ``k8s``, take the programs."""
    if build.target != NAME:
        if build.option("bundle"):
            yield Source.target(NAME)
        return
    for upstream in UPSTREAMS:
        yield upstream.source(build)
    # For the source of pause; as it is fetched for a server, from wherever that is.
    yield Source.kubernetes(build.k8s)
    yield Source(name="ziglang", version=str(build.option("ziglang")), locations={"pypi": "ziglang"}, layout="as-is")


@hookimpl
def k8sbuild_patch(build: Build) -> Iterator[Edit]:
    """Let runc make its seccomp filters with our package instead of libseccomp's binding."""
    if build.target != NAME:
        return
    binding, own = '"github.com/seccomp/libseccomp-golang"', '"k8sbuild.dev/runc/seccomp"'
    for name, path in {"filters": _SECCOMP, "loader": _LOADER}.items():
        yield Edit(name=name, source="runc", path=path, op="replace", text=binding, new=own, why=_WHY)
    yield Edit(
        name="library", source="runc", path=_LOADER, op="delete-lines", text="// #cgo pkg-config: libseccomp", why=_WHY
    )
    yield Edit(
        name="header",
        source="runc",
        path=_LOADER,
        op="replace",
        text="#include <seccomp.h>",
        new="#include <linux/audit.h>\n#define SCMP_ACT_ERRNO(x) (0x00050000U | ((x) & 0x0000ffffU))",
        why="what it took from libseccomp's header",
    )


@hookimpl
def k8sbuild_codegen(build: Build) -> Iterator[GoModule | GoRequire | GoReplace | Overlay | Generator]:
    """Make the modules that the programs are compiled from: one for each upstream, with its own build list.

    To ``k8s``, add the component that runs containerd.
    """
    if build.target != NAME:
        if build.option("bundle"):
            yield Overlay(name="node", root="node", labels={"register": "pkg/containerd"})
            yield Overlay(name="images", root="images", labels={"register": "pkg/images"})
            yield GoRequire(name="api", path=API, version=API_VERSION)
            yield GoReplace(name="kept", path=KEPT[0], version=KEPT[1], why="no need to raise what Kubernetes has")
            yield Generator(
                name="sandbox",
                run="k8sbuild.stages.constants:generate",
                params={
                    "file": "pkg/containerd/zz_generated_sandbox.go",
                    "constants": {"sandboxImage": PAUSE_IMAGE},
                },
            )
        return
    for upstream in UPSTREAMS:
        yield from upstream.code()
    yield Overlay(name="seccomp", root="seccomp", module="containerd-runtime/runc")
    yield Generator(
        name="syscalls",
        run="k8sbuild_containerd_runtime.syscalls:generate",
        module="containerd-runtime/runc",
        inputs=("fetch:containerd-runtime/runc-modules",),
        params={"modules": "fetch:containerd-runtime/runc-modules"},
    )


@hookimpl
def k8sbuild_compile(build: Build) -> Iterator[GoBinary | Step]:
    """Compile the programs; runc begins in C, which enters namespaces before Go has threads, and pause is in C."""
    if build.target == NAME:
        yield Step(
            name="pause",
            stage="compile",
            run="k8sbuild.stages.cgo:program",
            inputs=(PAUSE_SOURCE, ZIG.rpartition("/ziglang/")[0]),
            outputs=("pause",),
            params={
                "source": PAUSE_SOURCE,
                "file": "pause",
                "cc": _cc(build),
                "flags": ["-Os", "-Wall", f"-DVERSION=v{PAUSE_VERSION}"],
            },
            memory=300,
        )
    for name, (source, package) in PROGRAMS.items() if build.target == NAME else ():
        cgo = name == "runc"
        yield GoBinary(
            name=name,
            package=package,
            module=f"containerd-runtime/{source}",
            tags=TAGS.get(name, ()),
            ldflags={VERSIONS[source]: str(build.option(source)).removeprefix("v")} if source in VERSIONS else {},
            cgo=cgo,
            cc=_cc(build) if cgo else "",
        )


@hookimpl
def k8sbuild_package(build: Build) -> Iterator[ArchiveFile | OciImage | ImageBundle | Artifact]:
    """Lay the programs beside ``k8s``, with their licences, and put all images of the build into one file."""
    if build.target == NAME or not build.option("bundle"):
        return
    for name in PROGRAMS:
        yield ArchiveFile(
            name=name,
            archive="single-binary/archive",
            address=f"fetch:{NAME}/{NAME}/{name}",
            path=f"libexec/k8s/{name}",
            mode=0o755,
            licences=True,
        )
    yield OciImage.of_programs(
        "pause",
        file="pause-{arch}.oci.tar",
        reference=PAUSE_IMAGE,
        programs={"pause": f"fetch:{NAME}/{NAME}/pause"},
        user="65535:65535",
    )
    yield ImageBundle(name="images", file=IMAGES)
    yield Artifact(name="images", file=IMAGES, address=f"package:{NAME}/images/{IMAGES}")


@hookimpl
def k8sbuild_validate(build: Build) -> Iterator[Check]:
    """Check that each is static and for this platform and, where it runs here, what it says of itself."""
    if build.target != NAME:
        return
    versions = {address(NAME, name): str(build.option(source)) for name, (source, _) in PROGRAMS.items()}
    # CNI plugins know one word, which they take from the environment.
    yield checked(build, {**versions, PAUSE: PAUSE_VERSION}, ["-v"], {"CNI_COMMAND": ""})
    yield Check(
        name="seccomp",
        run="k8sbuild_containerd_runtime.checks:seccomp",
        inputs=(address(NAME, "runc"),),
        params={"runc": address(NAME, "runc")},
    )


def _cc(build: Build) -> str:
    return f"{ZIG} cc -target {ARCH[build.platform.arch]}-linux-musl"
