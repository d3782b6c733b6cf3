"""The target ``kubelet-image``: systemd, a container runtime and a standalone kubelet in one container image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8sbuild import hookimpl
from k8sbuild.kinds import (
    Artifact,
    Check,
    Edit,
    Finding,
    GoBinary,
    GoModule,
    GoRequire,
    ImageBundle,
    OciImage,
    Option,
    Overlay,
    PluginInfo,
    RootFs,
    Source,
    Step,
    SystemdUnit,
    Target,
    Template,
)
from k8sbuild.upstream import KUBERNETES_RELEASE, address, checked

from . import config, content, cri_dockerd, crictl, folder, trim
from .choice import NAME, RUNTIMES, choice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k8sbuild.build import Build

TARGET = "kubelet-image"
#: Programs that a kubelet and its runtime run, which a base must have beside the runtime's own.
WANTED = ("conntrack", "ethtool", "ip", "iptables", "mount", "socat", "systemctl")

#: Looks at the values of options.
_VALUES = f"{__package__}.values"


@hookimpl
def k8sbuild_plugin() -> PluginInfo:
    """Say who we are."""
    return PluginInfo(name=NAME, targets=(TARGET,))


@hookimpl
def k8sbuild_targets() -> Iterator[Target]:
    """Offer the target ``kubelet-image``."""
    made = f"{folder.FOLDER}{{suffix}}"
    yield Target(
        name=TARGET,
        help="a container image with systemd, a container runtime and a kubelet that runs static pods",
        artifacts={
            made: f"package:{NAME}/folder/{folder.FOLDER}",
            f"{made}/images.tar": content.IMAGES,
            f"{made}/image.oci.tar": f"package:{NAME}/image/image.oci.tar",
        },
        defaults={"k8s": "v1.34.0"},
    )


@hookimpl
def k8sbuild_options() -> Iterator[Option]:
    """Declare versions, base, runtime, and the user's own files."""
    yield Option(
        name="cri-dockerd",
        help="version of cri-dockerd",
        type="version",
        default="v0.3.21",
        flag="--cri-dockerd",
        env=("CRI_DOCKERD_VERSION",),
        source="cri-dockerd",
    )
    yield Option(
        name="cri-dockerd-source",
        help="where cri-dockerd is instead: a folder, or the address of a git repository",
        env=("K8SBUILD_SOURCE_CRI_DOCKERD",),
        check=f"{_VALUES}:source",
    )
    yield Option(
        name="whole-cri-dockerd",
        help="compile cri-dockerd with the code that it links and never runs",
        type="bool",
        default=False,
    )
    yield from crictl.options()
    yield Option(
        name="runtime",
        help="container runtime that the kubelet uses",
        choices=tuple(RUNTIMES),
        default="cri-dockerd",
        flag="--runtime",
    )
    yield Option(
        name="base",
        help="what the image stands on: kicbase[:VERSION][@DIGEST], debian, or the tar of a root file system",
        default="kicbase",
        flag="--base",
        check=f"{_VALUES}:base",
    )
    yield Option(name="suite", help="of Debian, for --base=debian", default="bookworm")
    yield Option(
        name="cgroup-driver",
        help="of the kubelet and the container runtime",
        choices=("cgroupfs", "systemd"),
        default="cgroupfs",
    )
    yield Option(
        name="kubelet-config",
        help="a KubeletConfiguration, which is laid over the image's own",
        type="path",
        flag="--kubelet-config",
        check=f"{_VALUES}:kubelet_config",
    )
    pod = f"{_VALUES}:manifest"
    yield Option(name="manifest", help="a static pod instead of hello-world", type="path", check=pod)
    yield Option(
        name="expose-kubelet",
        help="certificates of an authority: its clients may reach the kubelet from outside of the container",
        type="path",
        flag="--expose-kubelet",
        check=f"{_VALUES}:client_ca",
    )
    yield Option(name="max-size", help="most that is added to the base, in MiB", type="int", default=95)


@hookimpl
def k8sbuild_fetch(build: Build) -> Iterator[Source]:
    """Fetch Kubernetes, cri-dockerd, the base, and the user's files."""
    yield Source.kubernetes(build.k8s)
    chosen = choice(build)
    if chosen.runtime == "cri-dockerd":
        yield cri_dockerd.source(build)
    yield chosen.source(build)
    if crictl.wanted(build):
        yield crictl.CRICTL.source(build)
    for name in ("kubelet-config", "manifest", "expose-kubelet"):
        if build.option(name):
            yield Source(name=name, version="local", locations={"path": str(build.option(name))}, layout="as-is")


@hookimpl
def k8sbuild_patch(build: Build) -> Iterator[Edit]:
    """Cut off what cri-dockerd does not run."""
    if trim.trimmed(build):
        yield from trim.edits(build)


@hookimpl
def k8sbuild_codegen(build: Build) -> Iterator[GoModule | GoRequire | Overlay | SystemdUnit | Template]:
    """Make the modules that programs are compiled from, and the texts of the image and its folder."""
    yield GoModule(name="kubelet", path="k8sbuild.dev/kubelet", go="1.24.0", coverage=80)
    yield GoRequire(name="kubernetes", path="k8s.io/kubernetes", source="kubernetes", module=f"{NAME}/kubelet")
    yield Overlay(name="kubelet", root="kubelet", module=f"{NAME}/kubelet")
    yield GoModule(name="pods", path="k8sbuild.dev/pods", go="1.24.0")
    yield Overlay(name="pods", root="pods", module=f"{NAME}/pods")
    chosen = choice(build)
    if chosen.runtime == "cri-dockerd":
        yield cri_dockerd.module()
    if crictl.wanted(build):
        yield from crictl.CRICTL.code()
    yield from content.units(chosen)
    yield from content.templates(build, chosen)
    yield from folder.templates(build, chosen)


@hookimpl
def k8sbuild_compile(build: Build) -> Iterator[GoBinary]:
    """Compile the kubelet, what looks at its configuration, cri-dockerd, and what the first pods run."""
    yield GoBinary(
        name="kubelet",
        package="k8s.io/kubernetes/cmd/kubelet",
        module=f"{NAME}/kubelet",
        # Upstream's own for its releases; without gRPC's traces, the linker leaves out what nobody calls.
        tags=("grpcnotrace", "notest", "selinux"),
        ldflags=KUBERNETES_RELEASE,
    )
    yield GoBinary(name="kubelet-config", package="./cmd/kubelet-config", module=f"{NAME}/kubelet", host=True)
    for name in ("pause", "hello-world"):
        yield GoBinary(name=name, package=f"./cmd/{name}", module=f"{NAME}/pods")
    if choice(build).runtime == "cri-dockerd":
        yield cri_dockerd.program(build)
    if crictl.wanted(build):
        yield crictl.program(build)


@hookimpl
def k8sbuild_package(build: Build) -> Iterator[Artifact | OciImage | ImageBundle | RootFs | Step]:
    """Make the image, the images that it brings, and the folder."""
    chosen = choice(build)
    if chosen.base == "debian":
        yield RootFs(name="root", file="root.tar", packages=f"fetch:{NAME}/debian")
    yield from config.steps(build)
    yield _pod("pause", content.PAUSE)
    yield _pod("hello-world", content.HELLO)
    bundled = tuple(f"package:{NAME}/{name}/{name}.tar" for name in ("pause", "hello-world"))
    yield ImageBundle(name="images", file="images.tar", images=bundled)
    yield OciImage(
        name="image",
        file="image.oci.tar",
        reference="kubelet-image:{k8s}",
        base=chosen.address,
        layers=content.layers(build, chosen),
        entrypoint=("/usr/local/bin/entrypoint", "/sbin/init"),
        env={"container": "docker"},
        stop_signal="SIGRTMIN+3",
    )
    yield from folder.steps(build, chosen)
    if crictl.wanted(build):
        yield crictl.artifact(folder.FOLDER)
    yield Step(
        name="base-programs",
        stage="package",
        run=f"{__package__}.checks:base_programs",
        inputs=(chosen.address,),
        outputs=("programs.json",),
        params={"base": chosen.address, "platform": str(build.platform)},
        memory=300,
    )


def _pod(name: str, reference: str) -> OciImage:
    programs = {name: address(NAME, name)}
    return OciImage.of_programs(name, file=f"{name}.tar", reference=reference, programs=programs, user="65534:65534")


@hookimpl
def k8sbuild_validate(build: Build) -> Iterator[Check]:
    """Check the programs, what they need of the base, and how much is added to it."""
    chosen = choice(build)
    programs = {content.KUBELET: build.k8s}
    if chosen.runtime == "cri-dockerd":
        programs[content.CRI_DOCKERD] = str(build.option("cri-dockerd"))
    if crictl.wanted(build):
        programs[crictl.PROGRAM] = crictl.CRICTL.chosen(build)
    yield checked(build, programs, ["--version"])
    listed = f"package:{NAME}/base-programs/programs.json"
    yield Check(
        name="base",
        run=f"{__package__}.checks:base",
        inputs=(listed,),
        params={
            "programs": listed,
            "base": str(build.option("base")),
            "wanted": [RUNTIMES[chosen.runtime].program, *WANTED],
        },
    )
    if trim.trimmed(build):
        yield from trim.checks(build)
    layers = [layer for layer in content.layers(build, chosen) if layer.name != content.BASE]
    added = tuple(file.address for layer in layers for file in layer.files if file.address)
    yield Check(
        name="size",
        run=f"{__package__}.checks:size",
        inputs=added,
        params={"files": added, "max_size": build.option("max-size")},
    )


@hookimpl
def k8sbuild_doctor() -> Iterator[Finding]:
    """Say whether a base of Debian's packages can be assembled here."""
    from k8sbuild import debian  # not for the builds of other targets, which load this plugin as well

    yield from debian.findings()
